package logfile

import (
	"cmp"
	"maps"
	"slices"
)

// state is everything that the entries up to one of them say.
type state struct {
	runs    map[string]runState
	files   map[string]fileState // by path: the generation that is written
	retired []fileState          // by age
	medium  string
	source  Source
	days    []day // of service, the oldest first
}

func newState() *state {
	return &state{runs: map[string]runState{}, files: map[string]fileState{}}
}

// apply brings the state from one entry to the next.
func (s *state) apply(c *checkpoint) {
	if c.snapshot {
		*s = *newState()
	}
	for _, id := range c.evicted {
		delete(s.runs, id)
	}
	for _, r := range c.runs {
		s.runs[r.id] = r
	}
	for _, f := range c.files {
		switch {
		case f.retired:
			s.retired = append(s.retired, f)
		case f.absent:
			delete(s.files, f.path)
		default:
			s.files[f.path] = f
		}
	}
	// What was retired by an entry that is on the disk, is on the disk itself:
	// the sync that says so took the retired files with it.
	s.forgetRetired(c.durable)
	if c.medium != "" {
		s.medium = c.medium
	}
	if c.source != nil {
		s.source = *c.source
	}
	s.addDays(c.days)
}

func (s *state) forgetRetired(durable uint64) {
	s.retired = slices.DeleteFunc(s.retired, func(f fileState) bool { return f.since <= durable })
}

// snapshot is the whole state as one entry.
func (s *state) snapshot(number, durable uint64) *checkpoint {
	c := &checkpoint{number: number, previous: number, durable: durable, snapshot: true, medium: s.medium}
	for _, r := range s.runs {
		c.runs = append(c.runs, r)
	}
	for _, f := range s.files {
		c.files = append(c.files, f)
	}
	c.files = append(c.files, s.retired...)
	source := s.source
	c.source = &source
	c.days = slices.Clone(s.days)
	// In a fixed order, so that the same state is the same bytes.
	slices.SortFunc(c.runs, func(a, b runState) int {
		return cmp.Or(cmp.Compare(a.changed, b.changed), cmp.Compare(a.id, b.id))
	})
	slices.SortFunc(c.files, func(a, b fileState) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.generation, b.generation))
	})
	return c
}

func (s *state) clone() *state {
	return &state{
		runs: maps.Clone(s.runs), files: maps.Clone(s.files), retired: slices.Clone(s.retired),
		medium: s.medium, source: s.source, days: slices.Clone(s.days),
	}
}
