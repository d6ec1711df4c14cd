// Analyst watches a log while it is written: how many records of each logger are errors, over a sliding window, and
// an alert when they are too many. A table on a terminal, lines otherwise.
//
// It reads beside the collector, which does not wait for it. README.md shows what it looks like.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/logbraid/logbraid/pkg/consumer"
	"github.com/logbraid/logbraid/pkg/record"
)

type options struct {
	window time.Duration
	every  time.Duration
	limit  float64
	least  int
	level  record.Level
}

func main() {
	o := options{level: record.Error}
	flag.DurationVar(&o.window, "window", env("ANALYST_WINDOW", time.Minute, time.ParseDuration), "how far back the rates look (ANALYST_WINDOW)")
	flag.DurationVar(&o.every, "every", env("ANALYST_EVERY", 2*time.Second, time.ParseDuration), "how often they are shown (ANALYST_EVERY)")
	flag.Float64Var(&o.limit, "alert", env("ANALYST_ALERT", 5, number), "error rate, in percent, above which there is an alert (ANALYST_ALERT)")
	flag.IntVar(&o.least, "records", env("ANALYST_RECORDS", 20, strconv.Atoi), "fewest records within the window for an alert (ANALYST_RECORDS)")
	flag.TextVar(&o.level, "level", env("ANALYST_LEVEL", record.Error, record.ParseLevel), "least level that counts as an error (ANALYST_LEVEL)")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "Analyst shows error rates per logger. Where the log is, LOGBRAID_NATS_URL and the like say (docs/settings.md).")
		flag.PrintDefaults()
	}
	flag.Parse()
	if o.window <= 0 || o.every <= 0 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	o.limit /= 100

	cfg, err := consumer.ConfigFromEnv(nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, "analyst:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cfg, o); err != nil && ctx.Err() == nil && !errors.Is(err, syscall.EPIPE) {
		fmt.Fprintln(os.Stderr, "analyst:", err)
		os.Exit(1)
	}
}

func number(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

// env reads a variable; one that cannot be read is a matter of usage.
func env[T any](variable string, otherwise T, parse func(string) (T, error)) T {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	v, err := parse(text)
	if err != nil {
		fmt.Fprintf(os.Stderr, "analyst: %s=%q: %v\n", variable, text, err)
		os.Exit(2)
	}
	return v
}

// An analyst is the state that reading and showing share.
type analyst struct {
	mu      sync.Mutex
	rates   *Rates
	records uint64
	missed  uint64
	dropped uint64
}

func run(ctx context.Context, cfg consumer.Config, o options) error {
	cfg.Diagnostics = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if cfg.Stream != "" {
		cfg.Since = time.Now().Add(-o.window) // the window is full from the beginning
	}
	signal.Ignore(syscall.SIGPIPE) // a reader that goes away is an error of the write, and ends us
	c, err := consumer.Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	a := &analyst{rates: NewRates(o.window, 60)}
	ended := make(chan error, 1)
	go func() { ended <- a.read(ctx, c, o.level) }()
	return a.show(ctx, o, ended)
}

// read counts until something ends it.
func (a *analyst) read(ctx context.Context, c *consumer.Consumer, level record.Level) error {
	for rec, err := range c.Records(ctx) {
		var gap *consumer.Gap
		switch {
		case err == nil:
			a.mu.Lock()
			a.records++
			a.rates.Add(rec.Logger, rec.Time, time.Now(), rec.Level >= level)
			a.mu.Unlock()
		case errors.As(err, &gap):
			a.mu.Lock()
			a.missed += gap.Missed
			a.dropped += gap.Dropped
			a.mu.Unlock()
		case consumer.Continues(err):
			fmt.Fprintln(os.Stderr, "analyst:", err)
		default:
			return err
		}
	}
	return nil
}

const mostRecent = 5

func (a *analyst) show(ctx context.Context, o options, ended <-chan error) error {
	terminal := isTerminal(os.Stdout)
	alerts := &Alerts{Limit: o.limit, Records: o.least}
	var recent []string
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for {
		var end error
		over := false
		select {
		case <-tick.C:
		case end = <-ended:
			over = true
		}
		now := time.Now()
		a.mu.Lock()
		v := View{Now: now, Window: o.window, Rows: a.rates.Rows(now), Raised: alerts.Raised, Records: a.records, Missed: a.missed, Dropped: a.dropped}
		a.mu.Unlock()
		v.Alerts = alerts.Check(v.Rows, o.window)
		for _, line := range v.Alerts {
			recent = append(recent, now.Format(time.TimeOnly)+" "+line)
		}
		recent = recent[max(0, len(recent)-mostRecent):]
		var err error
		if terminal {
			err = table(os.Stdout, v, recent)
		} else {
			err = lines(os.Stdout, v)
		}
		switch {
		case err != nil:
			return err
		case over && ctx.Err() == nil:
			return end
		case over:
			if v.Missed > 0 || v.Dropped > 0 {
				fmt.Fprintf(os.Stderr, "analyst: %d records counted; %d missed, %d dropped by their publishers\n", v.Records, v.Missed, v.Dropped)
			}
			return nil
		}
	}
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" }
