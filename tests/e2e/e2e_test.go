//go:build unix

// Package e2e is the main job from end to end: real worker processes, a real broker, files, and the independent checker.
package e2e

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m.Run, nil) }

// system is a broker and a collector, whichever way they are arranged.
type system struct {
	worker func(name string, more ...string) harness.Option // the environment of a worker
	stop   func() harness.CollectorStats                    // after the workers have ended
	ask    func(command string)
}

// An arrangement is a way to run the product.
type arrangement func(t *testing.T, dir string, handlers []string) system

// arrangements are the ways to run the product: everything in the master, or a broker and a collector of their own; each in both
// deliveries.
var arrangements = map[string]arrangement{
	"embedded":        embedded("direct"),
	"external":        external("direct"),
	"embedded stream": embedded("stream"),
	"external stream": external("stream"),
}

func embedded(delivery string) arrangement {
	return func(t *testing.T, dir string, handlers []string) system {
		m := harness.StartMaster(t, harness.MasterSpec{Dir: dir, Handlers: handlers, Delivery: delivery})
		return system{
			worker: m.WorkerEnv,
			// In stream delivery a worker's Close waits for the stream, not for the log.
			stop: func() harness.CollectorStats { m.CatchUp(); s := m.Stats(); m.Stop(); return s },
			ask:  func(command string) { m.Ask(command, nil) },
		}
	}
}

func external(delivery string) arrangement {
	return func(t *testing.T, dir string, handlers []string) system {
		spec := harness.BrokerSpec{}
		if delivery == "stream" {
			spec.Store = t.TempDir()
		}
		b := harness.StartBroker(t, spec)
		c := harness.StartCollector(t, harness.CollectorSpec{URL: b.URL, Dir: dir, Handlers: handlers, Delivery: delivery})
		return system{
			worker: func(name string, more ...string) harness.Option {
				return harness.PlainEnv(b.URL, name, append(more, "LOGBRAID_DELIVERY="+delivery)...)
			},
			stop: func() harness.CollectorStats { c.CatchUp(); s := c.Stats(); c.Stop(); b.Stop(); return s },
			ask:  func(command string) { c.Ask(command, nil) },
		}
	}
}

func each(t *testing.T, f func(t *testing.T, arrange arrangement)) {
	for _, name := range []string{"embedded", "external", "embedded stream", "external stream"} {
		t.Run(name, func(t *testing.T) { f(t, arrangements[name]) })
	}
}

// count compares what the publishers and the collector counted with what was accepted: I9 with nothing dropped or lost.
func count(t *testing.T, stats harness.CollectorStats, reports []harness.WorkerReport) {
	t.Helper()
	logged := uint64(0)
	for _, r := range reports {
		if r.Close != "" {
			t.Errorf("run %s: Close: %s", r.Run, r.Close)
		}
		if r.Logged != uint64(r.Calls) || r.Acked != r.Logged || r.Dropped != 0 {
			t.Errorf("run %s: %d calls; logged %d, acked %d, dropped %d", r.Run, r.Calls, r.Logged, r.Acked, r.Dropped)
		}
		logged += r.Logged
	}
	if stats.Logged != logged || stats.Written != logged || stats.Dropped != 0 || stats.Lost != 0 {
		t.Errorf("the collector counts logged %d, written %d, dropped %d, lost %d; the publishers logged %d", stats.Logged, stats.Written, stats.Dropped, stats.Lost, logged)
	}
	if len(stats.Runs) != len(reports) {
		t.Errorf("the collector knows %d runs of %d", len(stats.Runs), len(reports))
	}
}

// Eight workers, through each front end, of 20,000 records each; 5,000 over a stream, to save time.
func TestEightWorkers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		records int
	}{{"embedded", 20_000}, {"external", 20_000}, {"embedded stream", 5_000}, {"external stream", 5_000}} {
		t.Run(tt.name, func(t *testing.T) { eightWorkers(t, arrangements[tt.name], fewer(tt.records)) })
	}
}

// fewer is n, and less under the race detector, which makes everything dear and does not look for what only a great number shows.
func fewer(n int) int {
	if harness.Race {
		return n / 3
	}
	return n
}

func eightWorkers(t *testing.T, arrange arrangement, records int) {
	dir, ledgers := t.TempDir(), t.TempDir()
	handlers, logs := harness.Logs(dir)
	s := arrange(t, dir, handlers)
	var workers []*harness.Worker
	for i := range 8 {
		name := fmt.Sprintf("w%d", i+1)
		front := harness.FrontEnds()[i%len(harness.FrontEnds())]
		workers = append(workers, harness.StartWorker(t, name, harness.WorkerSpec{
			Ledger: ledgers, Records: records, FrontEnd: front, Payload: 60,
			Loggers: []string{"etl.load", "etl.extract", "orders"}, Levels: []string{"info", "warn", "error"},
		}, s.worker(name)))
	}
	var reports []harness.WorkerReport
	for _, w := range workers {
		reports = append(reports, w.Report())
	}
	count(t, s.stop(), reports)
	for _, r := range harness.Check(t, ledgers, logs...) {
		if r.Records != 8*records {
			t.Errorf("%s holds %d records", r.Path, r.Records)
		}
		for name, n := range r.PerWorker {
			if name != "collector" && n != records {
				t.Errorf("%s holds %d lines of %s", r.Path, n, name)
			}
		}
	}
}

// One publisher, 32 goroutines: each one's records are in its order.
func TestManyGoroutines(t *testing.T) {
	each(t, func(t *testing.T, arrange arrangement) {
		dir, ledgers := t.TempDir(), t.TempDir()
		handlers, logs := harness.Logs(dir)
		s := arrange(t, dir, handlers)
		w := harness.StartWorker(t, "w1", harness.WorkerSpec{Ledger: ledgers, Records: 1_000, Goroutines: 32, Payload: 60}, s.worker("w1"))
		r := w.Report()
		count(t, s.stop(), []harness.WorkerReport{r})
		harness.Check(t, ledgers, logs...)
	})
}

// 200 workers that live only for ten records each: twenty at a time, so that starts, closes and connections overlap.
func TestShortLivedWorkers(t *testing.T) {
	for _, name := range []string{"embedded", "embedded stream"} {
		t.Run(name, func(t *testing.T) { shortLived(t, arrangements[name]) })
	}
}

func shortLived(t *testing.T, arrange arrangement) {
	dir, ledgers := t.TempDir(), t.TempDir()
	handlers, logs := harness.Logs(dir)
	s := arrange(t, dir, handlers)
	var reports []harness.WorkerReport
	var running []*harness.Worker
	jobs := fewer(200)
	for i := range jobs {
		if len(running) == 20 {
			reports = append(reports, running[0].Report())
			running = running[1:]
		}
		name := fmt.Sprintf("job-%d", i%max(jobs/4, 21)) // workers come again under their name
		running = append(running, harness.LaunchWorker(t, name, harness.WorkerSpec{Ledger: ledgers, Records: 10, Payload: 20}, s.worker(name)))
	}
	for _, w := range running {
		reports = append(reports, w.Report())
	}
	count(t, s.stop(), reports)
	if r := harness.Check(t, ledgers, logs...); r[0].Records != 10*jobs {
		t.Errorf("%d records", r[0].Records)
	}
}

// Three files by logger, one by level, and one for each logger.
func TestRouting(t *testing.T) {
	each(t, func(t *testing.T, arrange arrangement) {
		dir, ledgers := t.TempDir(), t.TempDir()
		path := func(name string) string { return filepath.Join(dir, name) }
		loggers := []string{"orders", "trades.equity", "trades", "etl.load"}
		s := arrange(t, dir, []string{
			"json://" + path("orders.jsonl") + "?logger=orders",
			"json://" + path("trades.jsonl") + "?logger=trades",
			"file://" + path("problems.log") + "?level=warn",
			"json://" + path("each") + "/{logger}.jsonl",
			"json://" + path("w2.jsonl") + "?worker=w2",
		})
		var workers []*harness.Worker
		for _, name := range []string{"w1", "w2", "w3"} {
			workers = append(workers, harness.StartWorker(t, name, harness.WorkerSpec{
				Ledger: ledgers, Records: 5_000, Payload: 40, Loggers: loggers, Levels: []string{"debug", "info", "warn", "error", "trace"},
			}, s.worker(name, "LOGBRAID_LEVELS=trace")))
		}
		var reports []harness.WorkerReport
		for _, w := range workers {
			reports = append(reports, w.Report())
		}
		count(t, s.stop(), reports)
		logger := func(names ...string) func(checker.Entry) bool {
			return func(e checker.Entry) bool {
				for _, n := range names {
					if e.Logger == n {
						return true
					}
				}
				return false
			}
		}
		to := []checker.Destination{
			{Path: path("orders.jsonl"), Select: logger("orders")},
			{Path: path("trades.jsonl"), Select: logger("trades", "trades.equity")},
			{Path: path("problems.log"), Format: checker.Text, Select: func(e checker.Entry) bool { return e.Level == "warn" || e.Level == "error" }},
			{Path: path("w2.jsonl"), Select: func(e checker.Entry) bool { return e.Source == reports[1].Run }},
		}
		for _, name := range loggers {
			to = append(to, checker.Destination{Path: path("each/" + name + ".jsonl"), Select: logger(name)})
		}
		harness.Check(t, ledgers, to...)
	})
}

// Rotation by size many times over while eight workers log, with compression, and on request in the middle of it.
func TestRotationUnderLoad(t *testing.T) {
	for _, tt := range []struct{ arrangement, compress string }{
		{"embedded", "none"}, {"embedded", "gzip"}, {"embedded", "zstd"}, {"embedded stream", "gzip"},
	} {
		t.Run(tt.arrangement+" "+tt.compress, func(t *testing.T) {
			dir, ledgers := t.TempDir(), t.TempDir()
			path := func(name string) string { return filepath.Join(dir, name) }
			s := arrangements[tt.arrangement](t, dir, []string{
				"json://" + path("app.jsonl") + "?rotate=256KiB&keep=10000&compress=" + tt.compress,
				"file://" + path("app.log") + "?rotate=128KiB&keep=10000&compress=" + tt.compress,
			})
			var workers []*harness.Worker
			for i := range 8 {
				name := fmt.Sprintf("w%d", i+1)
				workers = append(workers, harness.StartWorker(t, name, harness.WorkerSpec{Ledger: ledgers, Records: 2_500, Payload: 100}, s.worker(name)))
			}
			for range 5 {
				s.ask("rotate")
			}
			var reports []harness.WorkerReport
			for _, w := range workers {
				reports = append(reports, w.Report())
			}
			count(t, s.stop(), reports)
			got := harness.Check(t, ledgers, checker.Destination{Path: path("app.jsonl")}, checker.Destination{Path: path("app.log"), Format: checker.Text})
			// A commit is in one generation, and how many commits there are is up to the machine: mostly dozens.
			for _, r := range got {
				if r.Files < 3 {
					t.Errorf("%s has only %d generations", r.Path, r.Files)
				}
			}
		})
	}
}
