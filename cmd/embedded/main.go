// Embedded is a master with its workers: a NATS server and a collector in this
// process, and worker processes whose records come together in one log.
//
//	                     Ctrl-C
//	                       v
//	session ── starts ──> child, child, ...   real processes (child.go)
//	   │                    │ records, over TCP with a token
//	   │                    v
//	   │       embedded.Master: broker ─> collector ─> files, console
//	   │                    ^
//	   │<── stdout, stderr ─┘ line by line, where a command is wrapped (wrap.go)
//	   v
//	report.go: accepted = written + dropped?
//
// Without a command the children are this binary again and do the main job
// (job.go, worker.go). Data goes to standard output, everything said about it to
// standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings/flags"
	"github.com/logbraid/logbraid/internal/version"
)

//go:generate go test . -run TestCommandReference -update

// The program's exit codes, beside those of a wrapped command.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // usage or settings; nothing was started
	exitLoss    = 3 // accepted is not written + dropped
)

// exitError ends the program with a code of its own. err may be nil when
// everything has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func main() { os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)

	// What cobra refuses before a command runs is a matter of usage.
	usage := true
	root.PersistentPreRun = func(*cobra.Command, []string) { usage = false }
	err := root.ExecuteContext(ctx)

	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintf(stderr, "embedded: %v\n", exit.err)
		}
		return exit.code
	}
	fmt.Fprintf(stderr, "embedded: %v\n", err)
	switch {
	case problem.In(err) != nil:
		fmt.Fprintln(stderr, "Nothing was started. See embedded --help, and docs/settings.md.")
		return exitUsage
	case usage:
		fmt.Fprintln(stderr, "See embedded --help.")
		return exitUsage
	}
	return exitFailure
}

func newRootCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "embedded [flags] [-- COMMAND [ARGUMENT...]]",
		Short: "Run worker processes with one log: server, collector and workers in one command",
		Long: `Embedded starts a NATS server and a collector in its own process, then several
workers, each with a token of its own, and writes what they log into one place:
each record once, in the order of its worker.

With a COMMAND it starts that command, -n times (default 1), in any language.
Each gets LOGBRAID_WORKER=w1, w2, ... and all else that a logbraid worker needs.
What it prints is logged line by line: lines of JSON keep their fields, a
traceback or a panic stays in one record; standard output is logged at level
info, standard error at warn. SIGINT and SIGTERM are passed on.

Without a command it does the main job: workers (default 4) parse the source
tree of the installed Go toolchain, or --input DIR, and log what they see.

At the end it shows what each worker had accepted and what became of it. A
second one on the same directory is refused while the first runs; afterwards it
goes on in the same files.

Every flag that has a variable in brackets can also be set by that variable.
Exit codes: with a command, the first of its codes that is not 0 (128 + N for
signal N, 126 and 127 if it cannot be run). Otherwise 0 all is well, 1 failure,
2 usage or settings, 3 accepted is not written + dropped, 130 interrupted.`,
		Example: `  embedded
  embedded --input . --dir /tmp/logs --level info
  embedded -n 3 -- python3 worker.py arg
  embedded -n 8 --handler json://logs/all.jsonl --handler 'json://logs/{worker}.jsonl' -- ./etl`,
		Args:              noStrayArguments,
		Version:           version.Get().String(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	c.SetHelpCommand(&cobra.Command{Hidden: true})
	flags.Add(c.Flags(), new(specs).help()...)
	c.Flags().Lookup("diagnostics").DefValue = "warn" // see options.defaults
	c.Flags().Bool("json", false, "write the report as JSON instead of a table")
	c.Flags().SortFlags = false
	c.AddCommand(newWorkCommand())
	c.RunE = func(c *cobra.Command, args []string) error {
		o, err := loadOptions(c.Context(), c.Flags(), args)
		if err != nil {
			return err
		}
		return o.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
	}
	return c
}

// noStrayArguments wants a command to stand behind "--", so that its flags and
// ours cannot be mixed up.
func noStrayArguments(c *cobra.Command, args []string) error {
	switch dash := c.ArgsLenAtDash(); {
	case dash < 0 && len(args) > 0, dash > 0:
		return fmt.Errorf("unexpected argument %q; a command to run stands behind --, as in: embedded -n 3 -- %s", args[0], args[0])
	case dash == 0 && len(args) == 0:
		return errors.New("there is no command behind --")
	}
	return nil
}
