package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

// Row 17: the disk of the embedded broker's store runs full, then grows. JetStream stops and does not start again by itself: the
// master says so, the workers keep their records, and when there is room the broker is started again. 0L0D0R0T.
func TestFault17StoreFull(t *testing.T) {
	t.Parallel()
	if err := harness.CanMount(); err != nil {
		t.Skip(err)
	}
	dir, ledgers := t.TempDir(), t.TempDir()
	store := filepath.Join(dir, ".logbraid", "stream")
	if err := os.MkdirAll(store, 0o700); err != nil {
		t.Fatal(err)
	}
	disk := harness.MountTmpfsAt(t, store, 8<<20)
	handlers, logs := harness.Logs(dir)
	m := harness.StartMaster(t, harness.MasterSpec{Dir: dir, Handlers: handlers, Delivery: "stream"})
	spec := steady
	spec.Ledger, spec.Serve = ledgers, true
	w := harness.StartWorker(t, "w1", spec, m.WorkerEnv("w1", patient...))
	w.Log(1000)
	w.Flush()
	// Somebody else's file takes what room there is, and what is freed meanwhile.
	filler, err := os.Create(filepath.Join(store, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	fill := func() {
		for block := make([]byte, 4096); err == nil; {
			_, err = filler.Write(block)
		}
		err = nil
	}
	fill()
	w.BeginLog(10_000)
	harness.Until(t, "the master to say that the store is in trouble", func() bool {
		fill()
		return strings.Contains(m.Stderr(), "stream store")
	})
	w.WaitLogged() // the buffer takes it
	if s := w.Stats(); s.Acked == s.Logged {
		t.Error("everything is acknowledged by a broker that has no room")
	}
	disk.Resize(64 << 20)
	harness.Until(t, "the broker to be started again", func() bool { return strings.Contains(m.Stderr(), "the broker was started again") })
	w.Log(1000)
	if report := w.Finish(); report.Close != "" || report.Dropped != 0 || report.Acked != report.Logged {
		t.Errorf("%+v", report)
	}
	m.CatchUp()
	if s := m.Stats(); s.Written != 12_000 || s.Lost != 0 || s.Dropped != 0 || s.StreamTrouble != "" {
		t.Errorf("the collector counts written %d, lost %d, dropped %d; trouble %q", s.Written, s.Lost, s.Dropped, s.StreamTrouble)
	}
	m.Stop()
	harness.Check(t, ledgers, logs...)
}
