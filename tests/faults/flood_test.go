//go:build unix

package faults

import (
	"os"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

// Row 34: one publisher floods, from sixteen goroutines and with a large buffer. Three others with much to deliver keep at least
// their fair share of what is written while they deliver it.
//
// The log itself says what was written when, so no clock decides: between a worker's first record and its last, how much of the
// lines is its own. By right that is a quarter; that processors are given to one process and then to another costs some of it. Were
// the flood served as it comes, it would be a twentieth.
func TestFault34Flood(t *testing.T) {
	r := newRig(t, harness.BrokerSpec{})
	flood := r.worker("flood", harness.WorkerSpec{Payload: 200, Goroutines: 16}, "LOGBRAID_BUFFER=64MiB")
	others := []*harness.Worker{r.worker("w1", harness.WorkerSpec{Payload: 200}), r.worker("w2", harness.WorkerSpec{Payload: 200}), r.worker("w3", harness.WorkerSpec{Payload: 200})}
	each := 4000
	if harness.Race {
		each = 1500
	}
	r.collector.Pause()
	flood.Log(each * 3 / 4) // by each of its goroutines: 48,000 records, some 25 MB
	for _, w := range others {
		w.Log(each)
	}
	r.collector.Continue()
	r.finish(append(others, flood)...)
	r.check()

	text, err := os.ReadFile(r.logs[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	var order []string // whose the lines are
	for line := range strings.Lines(string(text)) {
		_, tail, _ := strings.Cut(line, `,"worker":"`)
		worker, _, _ := strings.Cut(tail, `"`)
		order = append(order, worker)
	}
	for _, w := range others {
		first, last := -1, 0
		for i, worker := range order {
			if worker == w.Name {
				if first < 0 {
					first = i
				}
				last = i
			}
		}
		share := float64(each) / float64(last-first+1)
		t.Logf("%s: %.0f %% of %d lines", w.Name, 100*share, last-first+1)
		if share < 0.25/2 {
			t.Errorf("%s got %.1f %% of what was written while it delivered its own", w.Name, 100*share)
		}
	}
}
