//go:build unix

package faults

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/logbraid/logbraid/tests/crash"
	"github.com/logbraid/logbraid/tests/harness"
)

// Row 1: kill -9 a worker under load. The master delivers what it left within a second of its death.
func TestFault01WorkerKilled(t *testing.T) { both(t, workerKilled) }

func workerKilled(t *testing.T, delivery string) {
	dir, ledgers := t.TempDir(), t.TempDir()
	handlers, logs := harness.Logs(dir)
	m := harness.StartMaster(t, harness.MasterSpec{Dir: dir, Handlers: handlers, Delivery: delivery})
	w := harness.StartWorker(t, "w1", harness.WorkerSpec{Ledger: ledgers, Serve: true, Payload: 60}, m.WorkerEnv("w1", patient...))
	other := harness.StartWorker(t, "w2", harness.WorkerSpec{Ledger: ledgers, Serve: true, Payload: 60, Burst: 20, Every: time.Millisecond}, m.WorkerEnv("w2", patient...))
	other.BeginLog(5000)
	// With the master stopped nothing is acknowledged: all of this is in the buffer alone when the worker dies.
	w.Log(500)
	m.Pause()
	w.Log(5000)
	w.Kill()
	m.Continue()
	harness.Within(t, limit(time.Second), "the dead worker's buffer to be drained", func() bool {
		rings, err := filepath.Glob(filepath.Join(dir, ".logbraid", "buffer", "w1-*.ring"))
		return err == nil && len(rings) == 0
	})
	other.WaitLogged()
	other.Finish()
	m.CatchUp()
	for _, run := range harness.AllEnded(t, m.Stats).Runs {
		if run.Logged != run.Written || run.Lost+run.Dropped > 0 {
			t.Errorf("the collector counts %+v", run)
		}
	}
	m.Stop()
	harness.Check(t, ledgers, logs...)
}

// limit is a limit that the product promises on a machine that has time, stretched for one that is busy or slowed down by the
// race detector: it tells what never comes from what comes late. How long things take is for measurements.
func limit(d time.Duration) time.Duration { return 10*d + 30*time.Second }

// Rows 2 to 5: kill -9 of each part at random moments, and of everything at once. TestKill9 in tests/crash does many more cycles
// of all kinds; here each row has a few of its own, so that one that fails says so by name. For row 2, the kill at every system
// call is in tests/crash as well.

func TestFault02CollectorKilled(t *testing.T) {
	killed(t, crash.Options{Cycles: 4, Seed: 102, Layout: "external", Victim: "collector"})
}

func TestFault03MasterKilled(t *testing.T) {
	killed(t, crash.Options{Cycles: 4, Seed: 103, Layout: "embedded", Victim: "master"})
}

func TestFault04BrokerKilled(t *testing.T) {
	killed(t, crash.Options{Cycles: 4, Seed: 104, Layout: "external", Victim: "broker"})
}

func TestFault05AllAtOnce(t *testing.T) {
	for _, layout := range []string{"embedded", "external"} {
		t.Run(layout, func(t *testing.T) {
			killed(t, crash.Options{Cycles: 3, Seed: 105, Layout: layout, Victim: "all"})
		})
	}
}

func killed(t *testing.T, o crash.Options) {
	t.Helper()
	both(t, func(t *testing.T, delivery string) {
		o := o
		o.Delivery = delivery
		t.Log(crash.Run(t, o))
	})
}
