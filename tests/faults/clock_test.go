//go:build unix

package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// Row 29: clocks. That of a worker stands still and jumps by decades: its records stay in the order of their calls. That of the
// collector, which rotates every hour, stands still, goes back, jumps, and goes through the change to summer time in the zone of its
// process: it rotates when an hour has begun that the file does not belong to, once, and never because of anything else. 0L0D0R.
func TestFault29Clocks(t *testing.T) { both(t, clocks) }

func clocks(t *testing.T, delivery string) {
	const path = "/app.jsonl"
	dir := t.TempDir()
	// In Berlin the clock goes from 02:00 to 03:00 at 01:00 UTC on this day.
	begin := time.Date(2026, 3, 29, 0, 10, 0, 0, time.UTC)
	r := newRig(t, delivery, setup{collector: harness.CollectorSpec{Dir: dir, Clock: begin,
		Handlers: []string{"json://" + dir + path + "?every=1h&keep=1000"}}}, harness.Env("TZ=Europe/Berlin"))
	r.logs = []checker.Destination{{Path: dir + path}}
	wild, tame := harness.WorkerSpec{FrontEnd: "wild clock", Payload: 60}, harness.WorkerSpec{Payload: 60}
	w1, w2 := r.worker("w1", wild), r.worker("w2", tame)

	files := 1
	for _, step := range []struct {
		what    string
		to      time.Time
		rotates bool
	}{
		{"stands still", begin, false},
		{"goes on within the hour", begin.Add(49 * time.Minute), false},
		{"is set to summer time", begin.Add(50 * time.Minute), true},
		{"goes on in summer time", begin.Add(109 * time.Minute), false},
		{"is set back by two hours", begin.Add(-10 * time.Minute), false},
		{"stands still there", begin.Add(-10 * time.Minute), false},
		{"comes back to where it was", begin.Add(109 * time.Minute), true},
		{"jumps ahead by ten years", begin.AddDate(10, 0, 0), true},
		{"stands still in the future", begin.AddDate(10, 0, 0), false},
		{"is set right", begin.Add(110 * time.Minute), false},
		{"goes on", begin.Add(110*time.Minute + time.Hour), true},
		{"is at the beginning of time", time.Unix(0, 0), false},
	} {
		r.collector.SetClock(step.to)
		for range 5 { // commits, each of which could rotate
			w1.Log(20)
			r.written(w1)
			w2.Log(20)
			r.written(w2)
		}
		if step.rotates {
			files++
		}
		generations, err := checker.Generations(dir + path)
		if err != nil {
			t.Fatal(err)
		}
		if len(generations) != files {
			t.Errorf("the clock %s: %d files, not %d", step.what, len(generations), files)
			files = len(generations)
		}
	}

	// And without any order, as fast as it goes: no more files than times that it was set.
	w1.BeginLog(2000)
	w2.BeginLog(2000)
	for i := range 40 {
		r.collector.SetClock(begin.Add(time.Duration(i*i*i%29-14) * 40 * time.Minute))
	}
	w1.WaitLogged()
	w2.WaitLogged()
	r.finish(w1, w2)
	r.check()
	if generations, err := checker.Generations(dir + path); err != nil || len(generations) > files+40 {
		t.Error(fmt.Sprint(len(generations), " files; ", files, " before the clock was set forty times; ", err))
	}
}
