//go:build unix

package analysts

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m.Run, Roles()) }

// patience only keeps a broken test from hanging: some 20 processes share what the machine has.
const patience = 8 * time.Minute

// startWorkers starts four that write until they are told to stop: fast, but not so fast that on a machine with two cores
// nobody else gets to run. Full speed is for the measurement (cmd).
func startWorkers(t harness.T, url, ledgers string) (workers []*harness.Worker) {
	for i := range 4 {
		name := fmt.Sprintf("w%d", i+1)
		workers = append(workers, harness.StartWorker(t, name, harness.WorkerSpec{Ledger: ledgers, Payload: 1000, Burst: 50, Every: 5 * time.Millisecond},
			harness.PlainEnv(url, name, "LOGBRAID_BLOCK_TIMEOUT=1h"))) // however slow the machine, nothing is shed
	}
	return workers
}

// broker is one that holds little for a reader who does not read, so that a short stop is enough.
func broker(t harness.T, more string) *harness.Broker {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(conf, []byte("max_pending: 16MB\nwrite_deadline: \"5s\"\n"+more), 0o600); err != nil {
		t.Fatalf("%v", err)
	}
	return harness.StartBroker(t, harness.BrokerSpec{Args: []string{"-c", conf}})
}

// settle waits until an analyst has heard of everything that the workers logged, and checks its books. One that the broker has
// cut off more often than the test meant to, on a machine that did not let it run, may not have heard of a run's end.
func settle(t *testing.T, name string, a *Analyst, workers []harness.WorkerReport, fromStart bool, interruptions int) Account {
	t.Helper()
	var r Report
	harness.Within(t, patience, name+" to hear of everything", func() bool {
		r = a.Report()
		for _, w := range workers {
			if r.Runs[w.Run].Last < w.Logged && r.Interruptions <= interruptions {
				return false
			}
		}
		return true
	})
	if len(r.Runs) != len(workers) || len(r.Rejected) > 0 {
		t.Errorf("%s: %d runs, rejected: %v", name, len(r.Runs), r.Rejected)
	}
	for _, w := range workers {
		a := r.Runs[w.Run]
		if a.Twice != 0 || a.Disorder != 0 || a.Received+a.Missed+a.Dropped != a.Last-a.First+1 || a.Dropped != 0 || fromStart && a.First != 1 {
			t.Errorf("%s: %+v of %d logged", name, a, w.Logged)
		}
		if a.Last > w.Logged || a.Last < w.Logged && r.Interruptions <= interruptions {
			t.Errorf("%s: heard of %d records, %d were logged", name, a.Last, w.Logged)
		}
	}
	sum := r.Sum()
	t.Logf("%-8s received %8d, missed %8d, interruptions %d", name, sum.Received, sum.Missed, r.Interruptions)
	return sum
}

// Analysts that read, read slowly, stop reading, begin late, and are killed, while four workers write at full speed: every
// account is exact, and the log does not notice.
func TestDirect(t *testing.T) {
	dir, ledgers := t.TempDir(), t.TempDir()
	b := broker(t, "")
	handlers, logs := harness.Logs(dir)
	c := harness.StartCollector(t, harness.CollectorSpec{URL: b.URL, Dir: dir, Handlers: handlers})
	written := func(more uint64) (now uint64) {
		t.Helper()
		first := c.Stats().Written
		harness.Within(t, patience, fmt.Sprintf("%d more records", more), func() bool { now = c.Stats().Written; return now >= first+more })
		return now
	}

	reading := Start(t, "reading", Spec{URL: b.URL})
	slow := Start(t, "slow", Spec{URL: b.URL, Buffer: 1 << 18, Every: 10, Pause: 100 * time.Millisecond})
	stopped := Start(t, "stopped", Spec{URL: b.URL})
	workers := startWorkers(t, b.URL, ledgers)
	written(2_000)
	stopped.Pause() // SIGSTOP
	written(2_000)
	late := Start(t, "late", Spec{URL: b.URL})
	for range 3 {
		killed := Start(t, "killed", Spec{URL: b.URL})
		written(1_000)
		killed.Kill()
	}
	harness.Within(t, patience, "the broker to cut off the one that is stopped", func() bool { return strings.Contains(b.Stderr(), "Slow Consumer Detected") })
	written(2_000)
	stopped.Continue()
	back := c.Stats().Logged
	harness.Within(t, patience, "the stopped one to hear of the present", func() bool { return stopped.Report().Sum().Last > back })
	harness.Within(t, patience, "the slow one to miss something", func() bool { return slow.Report().Sum().Missed > 0 })

	var reports []harness.WorkerReport
	for _, w := range workers {
		w.Send("stop")
	}
	for _, w := range workers {
		r := w.Report()
		if r.Close != "" || r.Dropped != 0 || r.Acked != r.Logged {
			t.Errorf("%s: %+v", w.Name, r)
		}
		reports = append(reports, r)
	}
	settle(t, "reading", reading, reports, true, 0)
	settle(t, "slow", slow, reports, true, 0)
	settle(t, "late", late, reports, false, 0)
	if sum := settle(t, "stopped", stopped, reports, true, 1); sum.Missed == 0 {
		t.Error("the one that was stopped has missed nothing: nothing was tested")
	}
	c.Stop()
	harness.Check(t, ledgers, logs...)
}

// Replay from a time returns exactly the records from then on, each once, in order per run; and a consumer that is stopped loses
// nothing.
func TestReplay(t *testing.T) {
	dir, ledgers := t.TempDir(), t.TempDir()
	b := broker(t, fmt.Sprintf("jetstream: {store_dir: %q}\n", t.TempDir()))
	nc, err := nats.Connect(b.URL, nats.Timeout(harness.Guard))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Guard)
	defer cancel()
	// Beside the direct delivery: the same messages, stored.
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "LOGS", Subjects: []string{"logs.>"}, NoAck: true}); err != nil {
		t.Fatal(err)
	}
	c := harness.StartCollector(t, harness.CollectorSpec{URL: b.URL, Dir: dir})
	all := Start(t, "all", Spec{URL: b.URL, Stream: "LOGS", Sequence: 1})
	workers := startWorkers(t, b.URL, ledgers)
	more := func(n uint64) {
		first := c.Stats().Written
		harness.Within(t, patience, "more records", func() bool { return c.Stats().Written >= first+n })
	}
	more(3_000)
	since := time.Now()
	all.Pause()
	more(3_000)
	all.Continue()
	var reports []harness.WorkerReport
	for _, w := range workers {
		w.Send("stop")
	}
	for _, w := range workers {
		reports = append(reports, w.Report())
	}
	c.Stop()
	if sum := settle(t, "all", all, reports, true, 0); sum.Missed > 0 {
		t.Errorf("%d missed", sum.Missed)
	}

	want := map[string][]string{}
	n := 0
	f, err := os.Open(c.Path("app.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r struct {
			Time time.Time
			Run  string
			Seq  uint64
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if !r.Time.Before(since) && slices.ContainsFunc(reports, func(w harness.WorkerReport) bool { return w.Run == r.Run }) {
			want[r.Run] = append(want[r.Run], fmt.Sprintf("%s %d", r.Run, r.Seq))
			n++
		}
	}
	replay := Start(t, "replay", Spec{URL: b.URL, Stream: "LOGS", Since: since, Keep: true})
	var got Report
	harness.Within(t, patience, "the replay", func() bool { got = replay.Report(); return len(got.Kept) >= n })
	by := map[string][]string{}
	for _, k := range got.Kept {
		run, _, _ := strings.Cut(k, " ")
		by[run] = append(by[run], k)
	}
	for run := range want {
		if !slices.Equal(by[run], want[run]) {
			t.Errorf("run %s: %d records replayed, %d are in the log", run, len(by[run]), len(want[run]))
		}
	}
	if len(by) != len(want) || n == 0 || got.Sum().Missed > 0 {
		t.Errorf("%d runs of %d, %d records, %d missed", len(by), len(want), n, got.Sum().Missed)
	}
}
