package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/logbraid/logbraid/internal/version"
)

func newVersionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Show the version",
		Args:  cobra.NoArgs,
	}
	asJSON := addJSONFlag(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		info := version.Get()
		if *asJSON {
			return writeJSON(c.OutOrStdout(), info)
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "logbraid collector %s (go %s, nats.go %s, %s/%s)\n",
			info, info.Go, info.NATS, runtime.GOOS, runtime.GOARCH)
		return err
	}
	return c
}
