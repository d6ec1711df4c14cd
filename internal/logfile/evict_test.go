package logfile

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// calendar is a store with virtual days.
type calendar struct {
	t       *testing.T
	m       *mount
	store   *Store
	now     time.Time
	evicted []string
	most    int // evictions of one commit
	options Options
}

func newCalendar(t *testing.T, maxRuns int) *calendar {
	c := &calendar{t: t, m: newDisk().mount(), now: time.Unix(1_800_000_000, 0)}
	c.options = Options{FS: c.m, MaxRuns: maxRuns, Clock: func() time.Time { return c.now },
		Evicted: func(id string, r Run) { c.evicted = append(c.evicted, fmt.Sprint(id, " ", r.Last)) }}
	c.open()
	return c
}

func (c *calendar) open() {
	c.t.Helper()
	s, _, err := open(logDir, c.options, true)
	if err != nil {
		c.t.Fatal(err)
	}
	c.store = s
}

// restart kills the process and starts another.
func (c *calendar) restart() {
	c.t.Helper()
	c.m.kill()
	c.m = c.m.disk.mount()
	c.options.FS = c.m
	c.open()
}

func (c *calendar) commit(id string, r Run) {
	c.t.Helper()
	before := len(c.evicted)
	c.store.Commit(Commit{Runs: []RunDelta{{id, r}}}, func(err error) {
		if err != nil {
			c.t.Fatal(err)
		}
	})
	c.most = max(c.most, len(c.evicted)-before)
}

// serve lets days pass, with the store looking at its files.
func (c *calendar) serve(days int) {
	c.t.Helper()
	for range days {
		c.now = c.now.Add(24 * time.Hour)
		for range 3 {
			if err := c.store.Check(); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

// TestQuietRuns: a run that was killed leaves the table only when that is full, and
// when it has been quiet for thirty days of service.
func TestQuietRuns(t *testing.T) {
	c := newCalendar(t, 3)
	if err := c.store.Check(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		c.commit(fmt.Sprint("dead", i), Run{Last: uint64(i + 1)})
	}
	c.serve(100)
	c.commit("dead0", Run{Last: 10}) // somebody has found its buffer
	if len(c.evicted) > 0 {
		t.Fatalf("evicted %q from a table that is not full", c.evicted)
	}
	c.commit("new", Run{Last: 1})
	if want := []string{"dead1 2"}; !slices.Equal(c.evicted, want) {
		t.Fatalf("evicted %q, want %q", c.evicted, want)
	}
	c.commit("newer", Run{Last: 1})
	c.commit("newest", Run{Last: 1}) // all others are too young: the table grows
	if want := []string{"dead1 2", "dead2 3"}; !slices.Equal(c.evicted, want) || len(c.store.Runs()) != 4 {
		t.Fatalf("evicted %q, want %q, and %v", c.evicted, want, c.store.Runs())
	}
	c.commit("ended", Run{Last: 1, Ended: true})
	c.serve(29)
	c.commit("newest", Run{Last: 2})
	if want := []string{"dead1 2", "dead2 3", "ended 1"}; !slices.Equal(c.evicted, want) {
		t.Fatalf("evicted %q, want %q: the ended one first, and no other before its time", c.evicted, want)
	}
	c.restart() // the days are in the journal, and not counted twice
	c.serve(1)
	c.commit("newest", Run{Last: 3})
	if got := len(c.evicted); got != 3 {
		t.Fatalf("evicted %q after 30 days begun", c.evicted)
	}
	c.store.journal.failed = errRewrite // and in the snapshot
	if err := c.store.journal.restore(true); err != nil {
		t.Fatal(err)
	}
	c.restart()
	c.serve(1)
	c.commit("newest", Run{Last: 4})
	if want := []string{"dead1 2", "dead2 3", "ended 1", "dead0 10"}; !slices.Equal(c.evicted, want) {
		t.Fatalf("evicted %q, want %q", c.evicted, want)
	}
	c.restart()
	if got := c.store.Runs(); len(got) != 3 || got["dead0"] != (Run{}) {
		t.Errorf("left after restart: %v", got)
	}
}

// TestAbsenceIsNoQuiet: days on which nobody looked do not count, nor does a clock
// that jumps. What waits in a stream, or in a worker's buffer, while the collector
// is away for a year, must find its run.
func TestAbsenceIsNoQuiet(t *testing.T) {
	c := newCalendar(t, 1)
	c.commit("dead", Run{Last: 7})
	for range 20 {
		c.serve(1)
		c.now = c.now.Add(365 * 24 * time.Hour)
		c.restart()
	}
	for range 50 { // forward and back
		c.now = c.now.Add(1000 * time.Hour)
		if err := c.store.Check(); err != nil {
			t.Fatal(err)
		}
		c.now = c.now.Add(-1000 * time.Hour)
		if err := c.store.Check(); err != nil {
			t.Fatal(err)
		}
	}
	c.commit("new", Run{Last: 1})
	if len(c.evicted) > 0 || c.store.Runs()["dead"].Last != 7 {
		t.Errorf("evicted %q", c.evicted)
	}
}

// TestManyQuietRuns: a great many that have become old together go a few at a time,
// whatever the order in which they came, and the table gets down to its size.
func TestManyQuietRuns(t *testing.T) {
	c := newCalendar(t, 100)
	for i := range 3000 {
		c.commit(fmt.Sprint("dead", i), Run{Last: 1})
	}
	if got := len(c.store.Runs()); got != 3000 {
		t.Fatalf("%d runs", got)
	}
	c.serve(quietDays + 1)
	for i := range 20 {
		c.commit("live", Run{Last: uint64(i + 1)})
	}
	if got := len(c.store.Runs()); got != 100 || c.most != evictAtOnce || len(c.evicted) != 2901 || c.evicted[0] != "dead0 1" {
		t.Errorf("%d runs, %d evicted, at most %d at once, %q first", got, len(c.evicted), c.most, c.evicted[0])
	}
}
