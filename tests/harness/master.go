//go:build unix

package harness

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/logbraid/logbraid/pkg/collector"
	"github.com/logbraid/logbraid/pkg/embedded"
)

// A MasterSpec describes an embedded master: broker, collector, buffers, orphan drain.
type MasterSpec struct {
	Dir      string
	Handlers []string // empty: the product's defaults
	FSync    string
	Delivery string // direct or stream; "": direct
	MaxBytes int64  // of the stream; 0: the product's default
	Port     int    // of the broker; 0: that of the last master on Dir, or any
}

// A Master is pkg/embedded in a process of its own. Its workers are children of the test, so that they outlive it.
type Master struct {
	*Process
	Dir string
}

// StartMaster starts a master and waits until it is ready.
func StartMaster(t T, spec MasterSpec, options ...Option) *Master {
	t.Helper()
	m := LaunchMaster(t, spec, options...)
	m.Ready(nil)
	return m
}

// LaunchMaster starts a master and does not wait.
func LaunchMaster(t T, spec MasterSpec, options ...Option) *Master {
	t.Helper()
	p := Start(t, with(Command{Name: "master", Role: "master", Spec: spec}, options))
	return &Master{Process: p, Dir: spec.Dir}
}

// Restart starts the master again on its directory and waits until it is ready.
func (m *Master) Restart() {
	m.t.Helper()
	m.Process.Relaunch()
	m.Ready(nil)
}

// WorkerEnv asks the master for a worker's environment.
func (m *Master) WorkerEnv(name string, more ...string) Option {
	m.t.Helper()
	var env []string
	m.Ask("env "+name, &env)
	return Env(append(env, more...)...)
}

// Stats asks for the counters of the master's collector.
func (m *Master) Stats() CollectorStats {
	m.t.Helper()
	var s CollectorStats
	m.Ask("stats", &s)
	return s
}

// CatchUp is Collector.CatchUp for the master's.
func (m *Master) CatchUp() {
	m.t.Helper()
	m.Process.catchUp()
}

func playMaster(r *Role) error {
	var spec MasterSpec
	if err := r.Spec(&spec); err != nil {
		return err
	}
	m, err := embedded.Start(context.Background(), embedded.Config{
		Dir: spec.Dir, App: "etl", Handlers: spec.Handlers, FSync: spec.FSync, Port: spec.Port,
		Delivery: spec.Delivery, Stream: collector.StreamConfig{MaxBytes: spec.MaxBytes},
		Diagnostics: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		return err
	}
	r.Ready(nil)
	return serve(r, func(word, rest string) (any, error) {
		if word == "env" {
			return m.WorkerEnv(rest), nil
		}
		return answer(m.Collector(), word)
	}, func() error { return m.Close(context.Background()) })
}

// answer carries out what can be asked of a collector.
func answer(c *collector.Collector, word string) (any, error) {
	switch word {
	case "stats":
		return plainStats(c.Stats()), nil
	case "catchup":
		ctx, cancel := context.WithTimeout(context.Background(), Guard)
		defer cancel()
		return nil, c.CatchUp(ctx)
	case "rotate":
		return nil, c.Rotate(context.Background())
	case "reopen":
		return nil, c.Reopen(context.Background())
	}
	return nil, fmt.Errorf("unknown command %q", word)
}

// serve answers commands until the parent says stop, and then ends with end.
func serve(r *Role, answer func(word, rest string) (any, error), end func() error) error {
	for {
		select {
		case command := <-r.Commands():
			word, rest, _ := strings.Cut(command, " ")
			v, err := answer(word, rest)
			if err != nil {
				v = map[string]string{"error": err.Error()}
			}
			r.Say(word, v)
		case <-r.Stopped():
			return end()
		}
	}
}
