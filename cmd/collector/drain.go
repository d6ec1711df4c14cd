package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/internal/settings/flags"
	"github.com/logbraid/logbraid/internal/status"
	"github.com/logbraid/logbraid/pkg/publisher"
)

func newDrainCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "drain DIR",
		Short: "Deliver what dead workers left in their buffer files",
		Long: `Drain sends the records that processes which are gone left in the buffer
directory DIR (LOGBRAID_BUFFER_DIR; the log directory of an embedded master will
do as well), under their own run and numbers, and removes each file when all
of it is acknowledged: by a collector or, in stream delivery, by the stream. Files of living processes are left alone.

It waits for the NATS server and the collector. It may be interrupted, or killed,
and started again: what has arrived is not written twice.

Exit codes: 0 everything was delivered, 1 not everything, 2 usage or settings,
3 a file was damaged and records may be missing.`,
		Example: `  collector drain --nats-url nats://127.0.0.1:4222 /var/lib/etl/buffer`,
		Args:    cobra.ExactArgs(1),
	}
	asJSON := addJSONFlag(c.Flags())
	flags.Add(c.Flags(), new(natsconn.Config), new(settings.Flow), new(settings.Compression))
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := loadDrain(c.Flags(), args[0])
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		cfg.Diagnostics = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
		report, err := publisher.Drain(ctx, cfg)
		if shown := showDrain(c.OutOrStdout(), report, *asJSON); shown != nil {
			return shown
		}
		return drained(ctx, report, err)
	}
	return c
}

func loadDrain(fs *pflag.FlagSet, dir string) (publisher.DrainConfig, error) {
	cfg := publisher.DrainConfig{Dir: dir}
	var flow settings.Flow
	var compression settings.Compression
	values, err := settings.Loader{Flag: flags.Given(fs)}.Load(&cfg.Conn, &flow, &compression)
	cfg.Delivery, cfg.Stream, cfg.BatchCompression = flow.Delivery, flow.Stream, compression.BatchCompression
	if !cfg.Conn.Configured() {
		cfg.Conn.URL = settings.DefaultURL
	}
	cfg.Conn.Name = "logbraid drain"
	// A master keeps its workers' buffers here.
	if buffers := filepath.Join(dir, ".logbraid", "buffer"); isDir(buffers) {
		cfg.Dir = buffers
	}
	var more problem.List
	if !isDir(cfg.Dir) {
		more.Add("DIR", dir, "is not a directory", "/var/lib/etl/buffer")
	}
	return cfg, settings.Merge(err, values, more).Err()
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// drained turns the outcome into the program's. Damage counts for more than
// whatever else went wrong.
func drained(ctx context.Context, r publisher.DrainReport, err error) error {
	damaged := len(r.Unreadable)
	for _, run := range r.Runs {
		if run.Damage != "" {
			damaged++
		}
	}
	if damaged > 0 {
		return &exitError{exitLoss, errors.Join(fmt.Errorf("%d buffer files were damaged and set aside; records may be missing", damaged), err)}
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("interrupted; what was not acknowledged stays for the next drain: %w", err)
	}
	return err
}

// drainedRun is publisher.DrainedRun for readers outside Go.
type drainedRun struct {
	App      string    `json:"app"`
	Worker   string    `json:"worker"`
	Run      string    `json:"run"`
	PID      int       `json:"pid"`
	Started  time.Time `json:"started"`
	Last     uint64    `json:"last"`
	Sent     uint64    `json:"sent"`
	Dropped  uint64    `json:"dropped"`
	Closed   bool      `json:"closed"`
	Crash    string    `json:"crash,omitempty"`
	Damage   string    `json:"damage,omitempty"`
	SetAside string    `json:"set_aside,omitempty"`
}

func showDrain(w io.Writer, r publisher.DrainReport, asJSON bool) error {
	if asJSON {
		runs := make([]drainedRun, len(r.Runs))
		for i, run := range r.Runs {
			runs[i] = drainedRun{
				run.Identity.App, run.Identity.Worker, run.Identity.Run, run.PID, run.Started,
				run.Last, run.Sent, run.Dropped, run.Closed, run.Crash, run.Damage, run.SetAside,
			}
		}
		return writeJSON(w, struct {
			Runs       []drainedRun `json:"runs"`
			InUse      int          `json:"in_use"`
			Unreadable []string     `json:"unreadable,omitempty"`
		}{runs, r.InUse, r.Unreadable})
	}
	if len(r.Runs) == 0 && len(r.Unreadable) == 0 {
		_, err := fmt.Fprintf(w, "nothing to drain; %d files are in use\n", r.InUse)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "sent\tdropped\tlast\t  who")
	for _, run := range r.Runs {
		who := status.Printable(run.Identity.App) + "/" + status.Printable(run.Identity.Worker) + " " + run.Identity.Run
		if run.Crash != "" {
			who += ": " + status.Printable(run.Crash)
		}
		if run.Damage != "" {
			who += ": damaged, set aside as " + status.Printable(run.SetAside)
		}
		fmt.Fprintf(t, "%d\t%d\t%d\t  %s\n", run.Sent, run.Dropped, run.Last, who)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, path := range r.Unreadable {
		if _, err := fmt.Fprintf(w, "no buffer any more, set aside: %s\n", status.Printable(path)); err != nil {
			return err
		}
	}
	return nil
}
