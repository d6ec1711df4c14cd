package faults

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// The long run: go test -timeout 0 -run TestFault06 -v ./tests/faults -powercuts 100 -powerseed 7
var (
	powerCuts = flag.Int("powercuts", 5, "TestFault06PowerCut: how many times the power is cut")
	powerSeed = flag.Uint64("powerseed", 6, "TestFault06PowerCut: decides when")
)

func powerDisk(t *testing.T) *harness.PowerDisk {
	t.Helper()
	if err := harness.CanCutPower(); err != nil {
		t.Skip(err)
	}
	return harness.NewPowerDisk(t, 96<<20)
}

// powerRig has its log directory on a disk whose power can be cut; small generations and compression, so that cuts hit rotations.
func powerRig(t *testing.T, delivery string, disk *harness.PowerDisk, fsync string) *rig {
	t.Helper()
	dir := filepath.Join(disk.Dir, "logs")
	handlers, _ := harness.Logs(dir)
	handlers[0] += "?rotate=300KiB&keep=100000&compress=gzip"
	handlers[1] += "?rotate=200KiB&keep=100000"
	return newRig(t, delivery, setup{collector: harness.CollectorSpec{Dir: dir, Handlers: handlers, FSync: fsync}})
}

// powerRounds cuts the power under the collector so many times, each at a moment within the load that the seed decides.
func powerRounds(t *testing.T, disk *harness.PowerDisk, r *rig, rounds int) {
	t.Helper()
	random := rand.New(rand.NewPCG(*powerSeed, 6))
	w1, w2 := r.worker("w1", steady), r.worker("w2", steady)
	for range rounds {
		w1.BeginLog(1500)
		w2.BeginLog(1500)
		// A ledger line has about twenty bytes.
		share, before := int64(random.Float64()*0.9*20*3000), size(t, r.ledgers)
		harness.Until(t, "the workers to log", func() bool { return size(t, r.ledgers)-before >= share })
		linger := time.Duration(random.IntN(30)) * time.Millisecond
		disk.Cut()
		// The collector lives on for a moment over a disk that keeps nothing any more: what it acknowledged now would be lost.
		time.Sleep(linger)
		r.collector.Kill()
		disk.Restore()
		r.collector.Restart()
		w1.WaitLogged()
		w2.WaitLogged()
	}
	r.finish(w1, w2)
}

// Row 6: the power of the log directory's disk is cut, FSYNC=always. A worker sends again what was not acknowledged and forgets
// what was; so when at the end nothing is missing, no acknowledged record was ever lost: 0L0D0R0T. A stream frees the room of what
// is forced to the disk, and nothing else.
func TestFault06PowerCut(t *testing.T) { inTurn(t, powerCut) }

func powerCut(t *testing.T, delivery string) {
	disk := powerDisk(t)
	r := powerRig(t, delivery, disk, "always")
	powerRounds(t, disk, r, *powerCuts)
	r.check()
	t.Logf("%d power cuts, seed %d", *powerCuts, *powerSeed)
}

// Row 6 with FSYNC=1s, which does not promise to keep what it acknowledged: what is lost is counted exactly, and told in the log;
// nothing is duplicated, out of order or torn. A stream still has what was lost, since it keeps all that is not forced to the disk of
// the log: 0L.
func TestFault06PowerCutLossIsReported(t *testing.T) { inTurn(t, powerCutLossIsReported) }

func powerCutLossIsReported(t *testing.T, delivery string) {
	disk := powerDisk(t)
	r := powerRig(t, delivery, disk, "1s")
	powerRounds(t, disk, r, 3)
	if delivery == "stream" {
		r.check()
		return
	}
	stats := r.collector.Stats()
	r.collector.Stop()
	lossIsTold(t, r.ledgers, r.logs, stats)
}

// Row 6 for a whole machine: master, workers and their buffers are on the disk and die with it, FSYNC=always. What Flush had
// returned for is there, in the log or in the stream; what was only in a buffer may be gone with it.
func TestFault06PowerCutMachine(t *testing.T) { inTurn(t, powerCutMachine) }

func powerCutMachine(t *testing.T, delivery string) {
	disk := powerDisk(t)
	dir := filepath.Join(disk.Dir, "logs")
	handlers, logs := harness.Logs(dir)
	ledgers, flushed := t.TempDir(), t.TempDir()
	group := harness.NewGroup(t)
	m := harness.StartMaster(t, harness.MasterSpec{Dir: dir, Handlers: handlers, FSync: "always", Delivery: delivery}, harness.In(group))
	for range 2 {
		w := harness.StartWorker(t, "w1", harness.WorkerSpec{Ledger: ledgers, Serve: true, Payload: 60}, m.WorkerEnv("w1", append(patient, "LOGBRAID_BUFFER=1MiB")...), harness.In(group))
		w.Log(500)
		w.Flush()
		snapshot(t, ledgers, flushed)
		w.Log(500) // no flush
		disk.Cut()
		group.Kill()
		m.Kill() // reaps them
		w.Kill()
		disk.Restore()
		group = harness.NewGroup(t)
		m.Join(group)
		m.Restart()
	}
	buffers := filepath.Join(dir, ".logbraid", "buffer")
	harness.Until(t, "the dead workers' buffers to be drained or put aside", func() bool {
		rings, err := filepath.Glob(filepath.Join(buffers, "*.ring"))
		return err == nil && len(rings) == 0
	})
	m.CatchUp()
	m.Stop()
	but := func(ledgers string, kinds ...checker.Kind) {
		t.Helper()
		accepted, err := checker.ReadLedgers(ledgers)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range logs {
			d.LossTold = true
			report, err := checker.Check(accepted, d)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(report)
			harness.Agree(t, d, report)
			for _, kind := range kinds {
				delete(report.Counts, kind)
			}
			if len(report.Counts) > 0 {
				t.Errorf("%v: %v", report.Counts, report.Err())
			}
		}
	}
	but(flushed, checker.Unknown) // what was logged after the flush is not in these ledgers
	but(ledgers, checker.Lost)
}

// snapshot copies the ledgers that it has not copied before.
func snapshot(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(to, e.Name())); err == nil || !strings.HasSuffix(e.Name(), ".ledger") {
			continue // of a worker that is dead already
		}
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
