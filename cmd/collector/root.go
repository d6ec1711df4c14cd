package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/logbraid/logbraid/internal/settings"
)

func newRootCommand() *cobra.Command {
	root := newRunCommand()
	root.Use = "collector"
	root.Short = "Collect the log records of many publishers into ordered files"
	root.Long = `Collector subscribes to the records that publishers send over NATS, writes each
of them once and in the order of its publisher, and acknowledges it after that.

Without a command it does what "collector run" does.

Every flag that has a variable in brackets can also be set by that variable.
Exit codes: 0 all is well, 1 failure, 2 usage or configuration, 3 loss found.`
	root.Args = noCommand
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.AddCommand(
		newRunCommand(),
		newStatsCommand(),
		newDrainCommand(),
		newExecCommand(),
		newTailCommand(),
		newHealthcheckCommand(),
		newConfigCommand(),
		newVerifyCommand(),
		newVersionCommand(),
	)
	root.SetFlagErrorFunc(suggestFlag)
	return root
}

// noCommand refuses what is not a command. (Cobra suggests others by itself only
// for programs that do nothing without one.)
func noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.SuggestionsMinimumDistance <= 0 {
		c.SuggestionsMinimumDistance = 2
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(near, " or "))
	}
	return err
}

// suggestFlag adds a did-you-mean to what pflag says about an unknown flag.
func suggestFlag(c *cobra.Command, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return err
	}
	known := make(map[string]bool)
	c.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
	if near := settings.Nearest(name, maps.Keys(known)); near != "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return err
}

func addJSONFlag(fs *pflag.FlagSet) *bool {
	return fs.Bool("json", false, "write JSON instead of a table")
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
