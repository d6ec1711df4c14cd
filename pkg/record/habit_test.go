package record

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A Line that has made other records makes the same of a record as one that has made none, whatever keys came before.
func TestHabitChangesNothing(t *testing.T) {
	keys := []string{"rows", "table", "took", "rows", "error", "msg", "fields.msg", "a\"b", "", "rows#2", "χ", "group"}
	random := rand.New(rand.NewPCG(12, 5))
	prefixes := []*Prefix{
		nil,
		NewPrefix(nil, func(l *Line) { l.Int("rows", 1) }),
		NewPrefix(nil, func(l *Line) { l.Int("table", 1); l.OpenGroup("in") }),
		NewPrefix(nil, func(l *Line) { l.Str("error", "first") }),
	}
	// A program has few call sites, each with its keys; some are met again and again.
	type step struct {
		key  string
		open int // of groups, before the field; -1 closes one
	}
	sites := make([][]step, 40)
	for i := range sites {
		for range random.IntN(maxHabit + 3) {
			s := step{key: keys[random.IntN(len(keys))]}
			switch random.IntN(8) {
			case 0:
				s.open = 1
			case 1, 2:
				s.open = -1
			case 3:
				s.key = fmt.Sprint("k", random.IntN(40))
			}
			sites[i] = append(sites[i], s)
		}
	}
	now := time.Unix(1_700_000_000, 0)
	encode := func(l *Line, site []step, p *Prefix) string {
		l.Start(now, Info, "etl", "message")
		l.Prefix(p)
		for i, s := range site {
			switch {
			case s.open > 0:
				l.OpenGroup(s.key)
				if i%2 == 0 {
					l.CloseGroup() // empty: it leaves nothing
				}
			case s.open < 0:
				l.CloseGroup()
			}
			l.Int(s.key, int64(i))
		}
		return string(l.Finish(256 << 10))
	}
	used := &Line{}
	for i := range 20_000 {
		site, p := sites[random.IntN(len(sites))], prefixes[random.IntN(len(prefixes))]
		if random.IntN(2) == 0 {
			site, p = sites[i/50%len(sites)], prefixes[i/200%len(prefixes)] // in rows, too
		}
		if got, want := encode(used, site, p), encode(&Line{}, site, p); got != want {
			t.Fatalf("record %d:\n got %s\nwant %s", i, got, want)
		}
	}
}

// What is learnt is used: a repeated key would otherwise be found out anew each time, and this would be slow without a word.
func TestHabitIsUsed(t *testing.T) {
	l := &Line{}
	for range 2 {
		benchLine(l, time.Now())
	}
	if l.habit.met != 3 || l.habit.known != 3 {
		t.Errorf("met %d of %d known keys, want 3 of 3", l.habit.met, l.habit.known)
	}
}
