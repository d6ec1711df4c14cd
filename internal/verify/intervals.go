package verify

import "slices"

// An interval is the seqs first to last, both included.
type interval struct{ first, last uint64 }

// intervals is a set of seqs: disjoint intervals that do not touch, in order. A run without gaps is
// one interval, so the memory is that of the gaps, whatever the number of lines, and it has an
// end: beyond maxIntervals (1 MiB a run) the lower half of the gaps is closed. A seq that comes
// for a closed gap later on counts as a duplicate instead of as out of order.
type intervals struct {
	list   []interval
	closed uint64 // seqs in closed gaps
}

const maxIntervals = 1 << 16

// add puts a..b into the set and returns how many of them were in it before.
func (s *intervals) add(a, b uint64) (again uint64) {
	n := len(s.list)
	if n > 0 && a == s.list[n-1].last+1 { // the next ones: nearly always
		s.list[n-1].last = b
		return 0
	}
	if n == 0 || a > s.list[n-1].last {
		if s.list = append(s.list, interval{a, b}); n == maxIntervals {
			s.close(n / 2)
		}
		return 0
	}
	// list[i:j] touch or overlap a..b and become one with it.
	i, _ := slices.BinarySearchFunc(s.list, a, func(in interval, a uint64) int {
		if in.last+1 < a {
			return -1
		}
		return 1
	})
	j := i
	merged := interval{a, b}
	for j < n && s.list[j].first <= b+1 {
		in := s.list[j]
		if first, last := max(in.first, a), min(in.last, b); first <= last {
			again += last - first + 1
		}
		merged = interval{min(merged.first, in.first), max(merged.last, in.last)}
		j++
	}
	s.list = slices.Replace(s.list, i, j, merged)
	if len(s.list) > maxIntervals {
		s.close(len(s.list) / 2)
	}
	return again
}

// close makes the lowest n+1 intervals one.
func (s *intervals) close(n int) {
	for i := range n {
		s.closed += s.list[i+1].first - s.list[i].last - 1
	}
	s.list = slices.Replace(s.list, 0, n+1, interval{s.list[0].first, s.list[n].last})
}

// count returns how many of a..b are in the set.
func (s *intervals) count(a, b uint64) (n uint64) {
	i, _ := slices.BinarySearchFunc(s.list, a, func(in interval, a uint64) int {
		if in.last < a {
			return -1
		}
		return 1
	})
	for ; i < len(s.list) && s.list[i].first <= b; i++ {
		n += min(s.list[i].last, b) - max(s.list[i].first, a) + 1
	}
	return n
}

// first returns the lowest seq, 0 of an empty set.
func (s *intervals) first() uint64 {
	if len(s.list) == 0 {
		return 0
	}
	return s.list[0].first
}

// last returns the highest seq, 0 of an empty set.
func (s *intervals) last() uint64 {
	if len(s.list) == 0 {
		return 0
	}
	return s.list[len(s.list)-1].last
}
