//go:build unix

// Package faults is the fault matrix: one test for each row, named after its number, with the injection that the row names and the
// independent checker. 0L0D0R0T below means: of the records whose log call returned and that were not counted as dropped, none
// lost, none duplicated, none out of order within its run, no line torn.
package faults

import (
	"context"
	"testing"

	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m.Run, programs) }

// both runs a test over both deliveries, at the same time, since most of them mostly wait. A test whose fault means something else in
// one of them has a table of its own; one whose fault has nothing to do with delivery says so.
func both(t *testing.T, test func(t *testing.T, delivery string)) {
	t.Helper()
	for _, delivery := range []string{"direct", "stream"} {
		t.Run(delivery, func(t *testing.T) {
			t.Parallel()
			test(t, delivery)
		})
	}
}

// inTurn is both, one after the other: for what measures processor time, or takes hold of the machine's loop devices.
func inTurn(t *testing.T, test func(t *testing.T, delivery string)) {
	t.Helper()
	for _, delivery := range []string{"direct", "stream"} {
		t.Run(delivery, func(t *testing.T) { test(t, delivery) })
	}
}

// patient makes a worker's log calls wait instead of dropping anything, so that every record must arrive.
var patient = []string{"LOGBRAID_OVERFLOW=block", "LOGBRAID_BLOCK_TIMEOUT=10m"}

// guarded is a context that ends when something hangs.
func guarded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), harness.Guard)
}

// rig is an external broker and a collector with a JSON and a text file, and a proxy between the workers and the broker.
type rig struct {
	t         *testing.T
	broker    *harness.Broker
	collector *harness.Collector
	proxy     *harness.Proxy
	ledgers   string
	delivery  string
	logs      []checker.Destination
	reports   []harness.WorkerReport
}

// A setup is what is special about a rig.
type setup struct {
	broker    harness.BrokerSpec
	collector harness.CollectorSpec // broker and delivery are filled in, directory and handlers where there are none
}

func newRig(t *testing.T, delivery string, with setup, options ...harness.Option) *rig {
	t.Helper()
	r := newBroker(t, delivery, with.broker)
	c := with.collector
	c.URL, c.Delivery = r.broker.URL, delivery
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	handlers, logs := harness.Logs(c.Dir)
	if c.Handlers == nil {
		c.Handlers = handlers
	}
	r.logs = logs
	r.collector = harness.StartCollector(t, c, options...)
	return r
}

// newBroker is a rig without a collector.
func newBroker(t *testing.T, delivery string, broker harness.BrokerSpec) *rig {
	t.Helper()
	r := &rig{t: t, ledgers: t.TempDir(), delivery: delivery}
	if delivery == "stream" && broker.Store == "" {
		broker.Store = t.TempDir()
	}
	r.broker = harness.StartBroker(t, broker)
	r.proxy = harness.StartProxy(t, r.broker.Addr())
	return r
}

// worker starts a worker that answers commands, behind the proxy.
func (r *rig) worker(name string, spec harness.WorkerSpec, more ...string) *harness.Worker {
	r.t.Helper()
	spec.Ledger = r.ledgers
	spec.Serve = true
	env := append(append(patient, more...), "LOGBRAID_DELIVERY="+r.delivery)
	return harness.StartWorker(r.t, name, spec, harness.PlainEnv(r.proxy.URL(), name, env...))
}

// written waits until all that the workers have logged is in the files. In stream delivery a flush waits for the stream alone.
func (r *rig) written(workers ...*harness.Worker) {
	r.t.Helper()
	for _, w := range workers {
		w.Flush()
	}
	r.collector.CatchUp()
}

// finish ends a worker; with patience nothing is dropped and Close delivers everything.
func (r *rig) finish(workers ...*harness.Worker) {
	r.t.Helper()
	for _, w := range workers {
		report := w.Finish()
		if report.Close != "" || report.Dropped != 0 || report.Acked != report.Logged {
			r.t.Errorf("%s: Close %q, logged %d, acked %d, dropped %d", w.Name, report.Close, report.Logged, report.Acked, report.Dropped)
		}
		r.reports = append(r.reports, report)
	}
}

// check ends the collector and has the checker judge its files: 0L0D0R0T. The counters must agree (I9).
func (r *rig) check() harness.CollectorStats {
	r.t.Helper()
	r.collector.CatchUp()
	stats := r.collector.Stats()
	r.collector.Stop()
	harness.Check(r.t, r.ledgers, r.logs...)
	logged := uint64(0)
	for _, report := range r.reports {
		logged += report.Logged
	}
	if stats.Logged != logged || stats.Written != logged || stats.Lost != 0 || stats.Dropped != 0 {
		r.t.Errorf("the collector counts logged %d, written %d, dropped %d, lost %d; its workers logged %d", stats.Logged, stats.Written, stats.Dropped, stats.Lost, logged)
	}
	return stats
}

// steady logs in bursts, so that a fault of a few hundred milliseconds falls into the middle of it.
var steady = harness.WorkerSpec{Burst: 20, Every: 1_000_000, Payload: 60}
