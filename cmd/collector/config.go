package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/internal/settings/flags"
)

func newConfigCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Show the settings that would apply, and where each comes from",
		Long: `Config takes the same flags and variables as "collector run", starts nothing,
and shows every setting with its value and its origin: a flag, a variable, or
the default. Secrets are masked. When something is wrong with the settings, it
says so and ends with 2.`,
		Args: cobra.NoArgs,
	}
	asJSON := addJSONFlag(c.Flags())
	flags.Add(c.Flags(), new(settings.Collector))
	c.RunE = func(c *cobra.Command, _ []string) error {
		p, problems := loadProgram(c.Flags())
		if err := p.show(c, *asJSON); err != nil {
			return err
		}
		if problems != nil {
			return &exitError{exitUsage, problems}
		}
		return nil
	}
	return c
}

func (p *program) show(c *cobra.Command, asJSON bool) error {
	if asJSON {
		type row struct {
			Variable string `json:"variable"`
			Value    string `json:"value"`
			Origin   string `json:"origin"`
		}
		rows := make([]row, len(p.values))
		for i, v := range p.values {
			rows[i] = row{v.Variable, v.Text, v.Origin}
		}
		return writeJSON(c.OutOrStdout(), rows)
	}
	t := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "setting\tvalue\torigin")
	for _, v := range p.values {
		origin := v.Origin
		if v.Text == "" {
			origin = "not set"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", v.Variable, v.Text, origin)
	}
	return t.Flush()
}
