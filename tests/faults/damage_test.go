//go:build unix

package faults

import (
	"path/filepath"
	"strings"
	"testing"
)

// Rows 14 and 15 with a worker that lives through all of it: the collector is killed, its files are damaged as the tests of wreck go
// through in full, and its successor goes on. It says so where it was not just what every crash may leave. 0L0D0R0T.
func TestFault15WorkerLivesOn(t *testing.T) { both(t, workerLivesOn) }

func workerLivesOn(t *testing.T, delivery string) {
	r := newRig(t, delivery, setup{})
	w := r.worker("w1", steady)
	journal := []string{filepath.Join(r.collector.Dir, ".logbraid", "journal")}
	logs := []string{r.logs[0].Path, r.logs[1].Path}
	told := 0
	for _, damage := range []struct {
		what  string
		files []string
		how   func([]byte) []byte
		told  bool
	}{
		{"half a line behind the logs", logs, func(b []byte) []byte { return append(b, `{"time":"2026-11-21T`...) }, false},
		{"zeros behind the logs", logs, func(b []byte) []byte { return append(b, make([]byte, 5000)...) }, false},
		{"the journal cut by its last entry", journal, func(b []byte) []byte { return b[:max(len(b)-30, 0)] }, false},
		{"the journal cut to nothing", journal, func(b []byte) []byte { return nil }, true},
		{"the journal flipped", journal, func(b []byte) []byte { b[len(b)/2] ^= 0x10; return b }, true},
		{"garbage behind the journal", journal, func(b []byte) []byte { return append(b, "garbage"...) }, true},
	} {
		w.Log(100)
		r.written(w)
		r.collector.Kill()
		for _, path := range damage.files {
			change(t, path, damage.how)
		}
		r.collector.Restart()
		if damage.told {
			told++
		}
		n := 0
		for line := range strings.Lines(r.collector.Stderr()) {
			if strings.Contains(line, "journal damaged") {
				n++
			}
		}
		if n != told {
			t.Errorf("%s: the collector speaks of damage %d times, not %d:\n%s", damage.what, n, told, r.collector.Stderr())
		}
		w.Log(100)
	}
	r.finish(w)
	r.check()
}
