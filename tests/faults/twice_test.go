//go:build unix

package faults

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/tests/harness"
)

// Row 26: a second collector on the same directory refuses and names the first. When the first is killed, the next takes over at once.
func TestFault26TwoCollectors(t *testing.T) { both(t, twoCollectors) }

func twoCollectors(t *testing.T, delivery string) {
	r := newRig(t, delivery, setup{})
	w := r.worker("w1", steady)
	w.BeginLog(3000)
	second := harness.LaunchCollector(t, harness.CollectorSpec{URL: r.broker.URL, Dir: r.collector.Dir, Delivery: delivery}, harness.Named("second collector"))
	if second.Wait() == 0 || !strings.Contains(second.Stderr(), fmt.Sprint(r.collector.Pid())) {
		t.Errorf("the second collector does not name the first (pid %d): %v\n%s", r.collector.Pid(), second.State(), second.Stderr())
	}
	r.collector.Kill()
	r.collector.Restart()
	t.Logf("takeover: %v", r.collector.Took)
	if r.collector.Took > limit(100*time.Millisecond) {
		t.Errorf("the takeover took %v", r.collector.Took)
	}
	w.WaitLogged()
	r.finish(w)
	r.check()
}

// Row 26: the same for masters.
func TestFault26TwoMasters(t *testing.T) { both(t, twoMasters) }

func twoMasters(t *testing.T, delivery string) {
	dir, ledgers := t.TempDir(), t.TempDir()
	handlers, logs := harness.Logs(dir)
	m := harness.StartMaster(t, harness.MasterSpec{Dir: dir, Handlers: handlers, Delivery: delivery})
	w := harness.StartWorker(t, "w1", harness.WorkerSpec{Ledger: ledgers, Serve: true, Burst: 20, Every: time.Millisecond}, m.WorkerEnv("w1", patient...))
	w.BeginLog(3000)
	second := harness.LaunchMaster(t, harness.MasterSpec{Dir: dir, Handlers: handlers, Delivery: delivery}, harness.Named("second master"))
	if second.Wait() == 0 || !strings.Contains(second.Stderr(), fmt.Sprint(m.Pid())) {
		t.Errorf("the second master does not name the first (pid %d): %v\n%s", m.Pid(), second.State(), second.Stderr())
	}
	m.Kill()
	m.Restart()
	w.WaitLogged()
	if report := w.Finish(); report.Close != "" || report.Dropped != 0 {
		t.Errorf("%+v", report)
	}
	m.CatchUp()
	m.Stop()
	harness.Check(t, ledgers, logs...)
}

// Row 27: two workers with the same name are two runs, both complete and in order; with a shared buffer directory too.
func TestFault27TwoWorkersOfOneName(t *testing.T) { both(t, twoWorkersOfOneName) }

func twoWorkersOfOneName(t *testing.T, delivery string) {
	r := newRig(t, delivery, setup{})
	buffers := "LOGBRAID_BUFFER_DIR=" + t.TempDir()
	a, b := r.worker("w1", steady, buffers), r.worker("w1", steady, buffers)
	a.BeginLog(3000)
	b.BeginLog(3000)
	a.WaitLogged()
	b.WaitLogged()
	r.finish(a, b)
	if s := r.check(); len(s.Runs) != 2 {
		t.Errorf("%d runs", len(s.Runs))
	}
	dir, _ := strings.CutPrefix(buffers, "LOGBRAID_BUFFER_DIR=")
	if left, err := filepath.Glob(filepath.Join(dir, "*.ring")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
