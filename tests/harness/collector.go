//go:build unix

package harness

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/collector"
)

// A CollectorSpec describes a collector against an external broker.
type CollectorSpec struct {
	URL      string
	Dir      string
	Handlers []string // empty: json://DIR/app.jsonl
	FSync    string
	Prefix   string // of the subjects; "": logs
	Delivery string // direct or stream; "": direct
	Stream   string // its name; "": the product's default
	MaxBytes int64  // of the stream; 0: the product's default
	// Clock, unless it is zero, is what time it is for the collector: it stands still until "SetClock".
	Clock time.Time
}

// A CollectorStart is what a collector says when it is ready.
type CollectorStart struct {
	Took time.Duration // from the beginning of collector.Start: lock, recovery, connection
	PID  int
}

// A Collector is pkg/collector in a process of its own.
type Collector struct {
	*Process
	Dir  string
	Took time.Duration // see CollectorStart; of the present life
	PID  int           // of the collector itself, where Pid is that of a tracer
}

// StartCollector starts a collector and waits until it is subscribed.
func StartCollector(t T, spec CollectorSpec, options ...Option) *Collector {
	t.Helper()
	c := LaunchCollector(t, spec, options...)
	c.ready()
	return c
}

// LaunchCollector starts a collector and does not wait: for tests in which it must fail to start, or be killed before.
func LaunchCollector(t T, spec CollectorSpec, options ...Option) *Collector {
	t.Helper()
	p := Start(t, with(Command{Name: "collector", Role: "collector", Spec: spec}, options))
	return &Collector{Process: p, Dir: spec.Dir}
}

// Restart starts the collector again on its directory and waits until it is subscribed.
func (c *Collector) Restart() {
	c.t.Helper()
	c.Process.Relaunch()
	c.ready()
}

func (c *Collector) ready() {
	c.t.Helper()
	var s CollectorStart
	c.Ready(&s)
	c.Took, c.PID = s.Took, s.PID
}

// Stats asks for the collector's counters.
func (c *Collector) Stats() CollectorStats {
	c.t.Helper()
	var s CollectorStats
	c.Ask("stats", &s)
	return s
}

// CatchUp waits until the collector has written everything that its stream holds now; in direct delivery there is nothing to wait for.
func (c *Collector) CatchUp() {
	c.t.Helper()
	c.Process.catchUp()
}

func (p *Process) catchUp() {
	p.t.Helper()
	if answer := p.Asked("catchup"); answer != "null" {
		p.t.Fatalf("catch up: %s", answer)
	}
}

// SetClock sets the clock of a collector whose spec has one.
func (c *Collector) SetClock(to time.Time) {
	c.t.Helper()
	if answer := c.Asked("clock " + to.Format(time.RFC3339Nano)); answer != "null" {
		c.t.Fatalf("set clock: %s", answer)
	}
}

// Path is a file in the log directory.
func (c *Collector) Path(name string) string { return filepath.Join(c.Dir, name) }

func playCollector(r *Role) error {
	var spec CollectorSpec
	if err := r.Spec(&spec); err != nil {
		return err
	}
	var clock struct {
		atomic.Pointer[time.Time]
		tell func() time.Time // nil: the machine's
	}
	if !spec.Clock.IsZero() {
		clock.Store(&spec.Clock)
		clock.tell = func() time.Time { return *clock.Load() }
	}
	begin := time.Now()
	c, err := collector.Start(context.Background(), collector.Config{
		Dir: spec.Dir, Handlers: spec.Handlers, FSync: spec.FSync, Prefix: spec.Prefix, Delivery: spec.Delivery,
		Stream: collector.StreamConfig{Name: spec.Stream, MaxBytes: spec.MaxBytes}, Clock: clock.tell, Version: "test",
		NATS:        natsconn.Config{URL: spec.URL, Name: "collector under test"},
		Diagnostics: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		return err
	}
	r.Ready(CollectorStart{Took: time.Since(begin), PID: os.Getpid()})
	return serve(r, func(word, rest string) (any, error) {
		if word == "clock" && clock.tell != nil {
			to, err := time.Parse(time.RFC3339Nano, rest)
			if err == nil {
				clock.Store(&to)
			}
			return nil, err
		}
		return answer(c, word)
	}, func() error { return c.Close(context.Background()) })
}

// CollectorStats are a collector's counters as they come out of its process.
type CollectorStats struct {
	collector.Stats        // without Stalled and Stream.Trouble: an error does not survive the way through JSON
	StalledBy       string // the text of Stalled
	StreamTrouble   string // the text of Stream.Trouble
}

// AllEnded waits until every run that a collector knows has ended, and returns the counters in which they have. When a dead worker's
// buffer has been drained, the master tells of its death in a short run of its own, about a second later: between its record and its
// end it is a run that has not ended.
func AllEnded(t T, stats func() CollectorStats) CollectorStats {
	t.Helper()
	var s CollectorStats
	Until(t, "all runs to have ended", func() bool {
		s = stats()
		return !slices.ContainsFunc(s.Runs, func(run collector.RunStats) bool { return !run.Ended })
	})
	return s
}

func plainStats(s collector.Stats) CollectorStats {
	plain := CollectorStats{Stats: s}
	if s.Stalled != nil {
		plain.Stats.Stalled, plain.StalledBy = nil, s.Stalled.Error()
	}
	if s.Stream != nil && s.Stream.Trouble != nil {
		stream := *s.Stream
		plain.Stats.Stream, plain.StreamTrouble, stream.Trouble = &stream, s.Stream.Trouble.Error(), nil
	}
	return plain
}
