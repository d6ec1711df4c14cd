package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/internal/settings/flags"
	"github.com/logbraid/logbraid/internal/status"
	"github.com/logbraid/logbraid/pkg/collector"
)

func newRunCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Collect until interrupted",
		Long: `Run collects records until SIGINT or SIGTERM. It then takes what has arrived,
commits and acknowledges it, says so, and ends; a second signal quits at once
(what is not acknowledged, publishers keep and send again). SIGHUP opens all
files anew, as after a rotation by another program.`,
		Example: `  collector run --nats-url nats://127.0.0.1:4222 --handler json://logs/app.jsonl --handler 'console://stderr?level=warn'
  LOGBRAID_NATS_URL=nats://nats:4222 LOGBRAID_NATS_CREDS=/run/secrets/collector.creds collector`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := loadProgram(c.Flags())
			if err != nil {
				return err
			}
			return p.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	flags.Add(c.Flags(), new(settings.Collector))
	return c
}

// samePress is how soon a second signal still counts as the first: a terminal
// sends Ctrl-C to a whole process group, whose parent may send it on.
const samePress = 300 * time.Millisecond

// run is the life of the process:
//
//	signals ──> run ──> Start, Reopen, Close of the collector
//	reopen  <── run     one goroutine: SIGHUPs while one is under way become one
func (p *program) run(ctx context.Context, stdout, stderr io.Writer) error {
	// What does not fit into its channel is thrown away: so that no SIGHUPs ever crowd out a signal to end, they have one of their own,
	// where one stands for all.
	signals, hangups := make(chan os.Signal, 16), make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Notify(hangups, syscall.SIGHUP)
	// For good: all is said when this returns, and one more signal must not turn the exit code into a death.
	// A reader of our standard output that goes away must not take the log with
	// it: the console handler gets an error instead.
	signal.Ignore(syscall.SIGPIPE)

	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: p.level}))
	p.cfg.Diagnostics = log
	p.cfg.ConsoleOut, p.cfg.ConsoleErr = stdout, stderr

	var running atomic.Pointer[collector.Collector]
	endpoints := newEndpoints(func() (status.Report, bool) {
		c := running.Load()
		if c == nil {
			return status.Report{}, false
		}
		return p.report(c), true
	})
	if p.Metrics != "" {
		l, err := net.Listen("tcp", p.Metrics)
		if err != nil {
			return fmt.Errorf("serve metrics: %w", err)
		}
		defer status.Serve(l, endpoints).Close()
		log.Info("serving metrics", "address", l.Addr().String())
	}

	c, interrupted, err := start(ctx, p.cfg, signals)
	if err != nil {
		return err
	}
	running.Store(c)
	if l, err := status.Listen(p.Dir); err != nil {
		log.Warn("collector stats and healthcheck will not find this collector", "error", err)
	} else {
		defer status.Serve(l, endpoints).Close()
	}
	log.Info("collecting", "subjects", p.Prefix+".>", "dir", p.Dir, "handlers", p.cfg.Handlers, "pid", os.Getpid())

	if !interrupted {
		serve(ctx, c, signals, hangups, log)
	}
	first := time.Now()
	fmt.Fprintln(stderr, "collector: stopping: writing what has arrived (interrupt again to quit at once)")
	closed := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.CloseTimeout)
		defer cancel()
		closed <- c.Close(ctx)
	}()
	for {
		select {
		case <-signals:
			if time.Since(first) < samePress {
				continue
			}
			return errors.New("quit without waiting; what was not acknowledged, publishers will send again")
		case err := <-closed:
			p.summary(stderr, c)
			if err != nil {
				return fmt.Errorf("stop: %w", err)
			}
			return nil
		}
	}
}

// start returns when the collector is ready, or cannot be. A signal to end stops
// the wait for a NATS server that is not there; if the collector is ready all the
// same, interrupted says that it is to be closed.
func start(ctx context.Context, cfg collector.Config, signals <-chan os.Signal) (_ *collector.Collector, interrupted bool, _ error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		c   *collector.Collector
		err error
	}
	started := make(chan result, 1)
	go func() {
		c, err := collector.Start(ctx, cfg)
		started <- result{c, err}
	}()
	for {
		select {
		case <-signals:
			interrupted = true
			cancel()
		case r := <-started:
			if r.err != nil && interrupted {
				r.err = fmt.Errorf("interrupted while starting: %w", r.err)
			}
			return r.c, interrupted, r.err
		}
	}
}

// serve returns at the first signal to end, or when ctx does.
func serve(ctx context.Context, c *collector.Collector, signals, hangups <-chan os.Signal, log *slog.Logger) {
	ctx, cancel := context.WithCancel(ctx)
	reopen, done := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(done)
		for range reopen {
			if err := c.Reopen(ctx); err != nil {
				log.Error("reopen files", "error", err)
			} else {
				log.Info("reopened all files")
			}
		}
	}()
	defer func() { cancel(); close(reopen); <-done }()
	for {
		select {
		case <-signals:
			return
		case <-hangups:
			select {
			case reopen <- struct{}{}:
			default: // one is waiting already
			}
		case <-ctx.Done():
			return
		}
	}
}

func (p *program) report(c *collector.Collector) status.Report {
	r := status.NewReport(c.Stats())
	r.PID = os.Getpid()
	r.Version = p.cfg.Version
	r.Dir = p.Dir
	if abs, err := filepath.Abs(p.Dir); err == nil {
		r.Dir = abs
	}
	return r
}

// mostWorkers is how many the summary lists one by one.
const mostWorkers = 40

func (p *program) summary(w io.Writer, c *collector.Collector) {
	r := p.report(c)
	workers := r.Workers()
	if len(workers) > mostWorkers {
		fmt.Fprintf(w, "collector: %d workers\n", len(workers))
		workers = nil
	}
	_ = status.WriteRuns(w, workers, r.Totals)
	_, _ = io.WriteString(w, r.Notes())
	fmt.Fprintf(w, "collector: stopped after %s\n", time.Since(r.Started).Round(time.Millisecond))
}
