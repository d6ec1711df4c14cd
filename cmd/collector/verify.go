package main

import (
	"github.com/spf13/cobra"

	"github.com/logbraid/logbraid/internal/verify"
)

func newVerifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Prove that a log has no gap, no duplicate, no disorder, no torn line",
		Long: `Verify reads JSON files of a log, in any order, rotated and compressed ones (gzip,
zstd, told by their content) as well, "-" for standard input, and checks them as
one log: of each run every record from the first on must be there, once, in
order, in a whole line. Records that a publisher dropped and told of count as
dropped, not as lost; records of which the collector tells that they are lost
count as lost, also where nothing of their run stands behind them.

Give it all the files that one handler without a filter has written. Where old
ones have been removed, --partial takes each run from the first record on that
is left. The end of a run that is still going on, or whose worker's buffer was
never drained, cannot be missed: nothing in the files tells of it.

A line is taken for whole when it begins and ends as a record does and none
begins inside it; --full parses every line.

Exit codes: 0 the log is whole, 1 a file cannot be read, 2 usage, 3 something is
lost, twice, out of order or torn.`,
		Example: `  collector verify logs/app.jsonl*
  zcat -f old/*.gz | collector verify --json - | jq '.runs[] | select(.lost > 0)'`,
		Args: cobra.MinimumNArgs(1),
	}
	asJSON := addJSONFlag(c.Flags())
	partial := c.Flags().Bool("partial", false, "do not miss records before a run's first")
	full := c.Flags().Bool("full", false, "parse every line (slower)")
	c.RunE = func(c *cobra.Command, paths []string) error {
		report, err := verify.Files(c.Context(), paths, verify.Options{
			Partial: *partial,
			Full:    *full,
			Stdin:   c.InOrStdin(),
		})
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeJSON(c.OutOrStdout(), report)
		} else {
			err = report.WriteTable(c.OutOrStdout())
		}
		if err == nil && !report.OK {
			err = &exitError{code: exitLoss}
		}
		return err
	}
	return c
}
