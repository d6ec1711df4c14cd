//go:build unix

package faults

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

// Row 34: one publisher floods, from sixteen goroutines and with a large buffer. Three others with much to deliver keep at least
// their fair share of what is written while they deliver it.
//
// The log itself says what was written when, so no clock decides: between a worker's first record and its last, how much of the
// lines is its own. By right that is a quarter; that processors are given to one process and then to another costs some of it, and
// one of them alone may get none for a while, so the three are judged by the one in the middle. Were the flood served as it comes, it would
// be a twentieth for each. That one alone is not passed over follows from the queue's order (TestQueueTakesInOrderWithinBounds).
//
// In direct delivery it is the collector that takes from each in turn; in stream delivery the broker does, since each has one batch
// on its way, and the log is in the order of the stream.
func TestFault34Flood(t *testing.T) {
	for _, tt := range []struct {
		delivery string
		blocked  func(r *rig) *harness.Process // who is stopped while all that is to be delivered gathers in the buffers
	}{
		{"direct", func(r *rig) *harness.Process { return r.collector.Process }},
		{"stream", func(r *rig) *harness.Process { return r.broker.Process }},
	} {
		t.Run(tt.delivery, func(t *testing.T) { // one after the other: the processors are to be shared by the workers alone
			r := newRig(t, tt.delivery, setup{})
			flood(t, r, tt.blocked(r))
		})
	}
}

func flood(t *testing.T, r *rig, blocked *harness.Process) {
	flood := r.worker("flood", harness.WorkerSpec{Payload: 200, Goroutines: 16}, "LOGBRAID_BUFFER=64MiB")
	others := []*harness.Worker{r.worker("w1", harness.WorkerSpec{Payload: 200}), r.worker("w2", harness.WorkerSpec{Payload: 200}), r.worker("w3", harness.WorkerSpec{Payload: 200})}
	each := 4000
	if harness.Race {
		each = 1500
	}
	blocked.Pause()
	flood.Log(each * 3 / 4) // by each of its goroutines: 48,000 records, some 25 MB
	for _, w := range others {
		w.Log(each)
	}
	blocked.Continue()
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
	var shares []float64
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
		shares = append(shares, share)
	}
	slices.Sort(shares)
	if median := shares[len(shares)/2]; median < 0.25/2 {
		t.Errorf("of what was written while they delivered their own, the workers got shares of %.3f; the one in the middle is too small", shares)
	}
}
