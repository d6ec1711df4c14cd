package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/internal/settings/flags"
	"github.com/logbraid/logbraid/internal/status"
)

// askTimeout bounds a question to a running collector.
const askTimeout = 5 * time.Second

func newStatsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "stats",
		Short: "Show the numbers of a running collector",
		Long: `Stats asks a running collector what it has written, per publisher and per
handler. A collector on this machine is found by its log directory; one
elsewhere is asked at its metrics address (--metrics).

At every moment logged + excess = written + dropped + lost. In stream delivery it
also shows what the stream holds that is not in the log yet, and the room left.`,
		Example: `  collector stats --dir /var/log/etl
  collector stats --metrics 10.0.0.7:9464 --json | jq .totals`,
		Args: cobra.NoArgs,
	}
	asJSON := addJSONFlag(c.Flags())
	flags.Add(c.Flags(), new(query))
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(c.Context(), askTimeout)
		defer cancel()
		var r status.Report
		err := ask(c.Flags(), func(t status.Target) (err error) {
			r, err = t.Stats(ctx)
			return err
		})
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(c.OutOrStdout(), r)
		}
		return r.WriteTable(c.OutOrStdout())
	}
	return c
}

func newHealthcheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "healthcheck",
		Short: "Tell by the exit code whether a collector is well",
		Long: `Healthcheck ends with 0 when the collector is connected to NATS, reads the stream
(in stream delivery) and can write, and otherwise with 1 and the reason. It finds the collector as "collector stats"
does, so that a container's health check needs no settings of its own.`,
		Example: `  HEALTHCHECK CMD ["collector", "healthcheck"]`,
		Args:    cobra.NoArgs,
	}
	flags.Add(c.Flags(), new(query))
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(c.Context(), askTimeout)
		defer cancel()
		if err := ask(c.Flags(), func(t status.Target) error { return t.Health(ctx) }); err != nil {
			return err
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), "ok")
		return err
	}
	return c
}

// ask puts a question to the collector that the settings lead to: the address
// that a flag gives, else the log directory's socket, else the address that the
// environment gives.
func ask(fs *pflag.FlagSet, question func(status.Target) error) error {
	var q query
	values, err := settings.Loader{Flag: flags.Given(fs)}.Load(&q)
	var problems problem.List
	if q.Metrics != "" {
		address, reason := listenAddress(q.Metrics)
		if reason != nil {
			problems.Add("LOGBRAID_METRICS", q.Metrics, reason.Error(), "127.0.0.1:9464")
		}
		q.Metrics = address
	}
	if err := settings.Merge(err, values, problems).Err(); err != nil {
		return err
	}
	if fs.Changed("metrics") && q.Metrics != "" {
		return question(status.Target{Address: q.Metrics})
	}
	err = question(status.Target{Dir: q.Dir})
	if errors.Is(err, status.ErrNotRunning) && q.Metrics != "" {
		return question(status.Target{Address: q.Metrics})
	}
	return err
}
