package logfile

import (
	"cmp"
	"slices"
	"time"
)

// A run leaves the table only when the table is full (MaxRuns), for while it is
// there nothing of it is ever written twice (I4). The ended ones go first, the
// longest ended before the others: they have nothing to send any more. A worker
// that was killed has not ended, and somebody may find its buffer file after
// weeks. Such a run goes when nothing was committed for it on so many days of
// service:
const quietDays = 30

// A day of service is one on which the store was open and looked at its files, by
// the calendar (UTC). Neither days on which the collector was down count, nor a
// clock that jumps: one that was set forward and back counts again when that day
// has come. So a stream that a collector comes back to after a year of absence,
// with the rest of a run in it, finds the run in the table. The journal keeps the
// days, as the entries with which they began.
type day struct {
	date   int64  // days since 1970
	number uint64 // of the entry that says so
}

// most evictions of one commit, so that none takes long when a great many runs
// have become old together.
const evictAtOnce = 256

// today notes the day, once a day.
func (s *Store) today(now time.Time) error {
	date := now.Unix() / (24 * 60 * 60)
	if days := s.journal.state.days; len(days) > 0 && date <= days[len(days)-1].date {
		return nil
	}
	return s.append(&checkpoint{days: []day{{date: date}}}, s.syncer.piped)
}

// quietSince is the entry since which there were quietDays whole days of service;
// 0 if there were not so many.
func (s *state) quietSince() uint64 {
	if len(s.days) <= quietDays {
		return 0
	}
	return s.days[0].number
}

// addDays keeps as many as are needed.
func (s *state) addDays(days []day) {
	s.days = append(s.days, days...)
	s.days = slices.Delete(s.days, 0, max(0, len(s.days)-quietDays-1))
}

// evict chooses the runs that leave the table with c.
func (j *journal) evict(c *checkpoint) []string {
	size := len(j.state.runs)
	for i := range c.runs {
		if _, ok := j.state.runs[c.runs[i].id]; !ok {
			size++
		}
	}
	if size <= j.opts.MaxRuns {
		return nil
	}
	var out []string
	take := func(from []string) {
		for _, id := range from {
			if size <= j.opts.MaxRuns || len(out) == evictAtOnce {
				return
			}
			r, ok := j.state.runs[id]
			if !ok || !r.Ended && r.changed >= j.state.quietSince() ||
				slices.ContainsFunc(c.runs, func(n runState) bool { return n.id == id }) {
				continue
			}
			out = append(out, id)
			size--
		}
	}
	take(j.ended)
	if !j.sought {
		j.seekQuiet()
	}
	take(j.quiet)
	return out
}

// evicted tells of the runs that left the table.
func (j *journal) evicted(ids []string) {
	gone := make(map[string]bool, len(ids))
	for _, id := range ids {
		gone[id] = true
		j.opts.Evicted(id, j.state.runs[id].Run)
	}
	left := func(id string) bool { return gone[id] }
	j.ended = slices.DeleteFunc(j.ended, left)
	j.quiet = slices.DeleteFunc(j.quiet, left)
}

// seekQuiet lists the runs that have been quiet long enough, the longest quiet
// first. It goes through the whole table, so it is done when the table is full, and
// again when a day has passed.
func (j *journal) seekQuiet() {
	j.sought = true
	j.quiet = j.quiet[:0]
	since := j.state.quietSince()
	for id, r := range j.state.runs {
		if !r.Ended && r.changed < since {
			j.quiet = append(j.quiet, id)
		}
	}
	slices.SortFunc(j.quiet, func(a, b string) int {
		return cmp.Or(cmp.Compare(j.state.runs[a].changed, j.state.runs[b].changed), cmp.Compare(a, b))
	})
}
