package verify

import (
	"cmp"
	"slices"
)

// A run is what is known of one life of a publisher. The merging goroutine owns all but the names.
type run struct {
	app, worker, id string
	mixed           bool // several workers' names: the collector's run for foreign records

	seen       intervals
	lines      uint64
	duplicates uint64
	disorder   uint64
	told       []told  // by the publisher, as dropped
	lost       []told  // by the collector, as lost
	pieces     []piece // one per stream in which the run stands
}

// A piece is where in the run one stream's lines lie.
type piece struct {
	stream int
	interval
}

// told is what a "records dropped" or a "records lost" record says: count of the seqs first to last
// were dropped, or are lost.
type told struct {
	interval
	count uint64
}

const maxTold = 1 << 12

// add takes the lines a, a+1, ... b of a stream, which stand there in this order.
func (r *run) add(stream int, a, b uint64) {
	r.lines += b - a + 1
	n := len(r.pieces)
	if n == 0 || r.pieces[n-1].stream != stream {
		r.pieces = append(r.pieces, piece{stream, interval{a, b}})
		r.duplicates += r.seen.add(a, b)
		return
	}
	p := &r.pieces[n-1]
	if a > p.last { // the usual case: order holds
		p.last = b
		r.duplicates += r.seen.add(a, b)
		return
	}
	late := min(b, p.last)
	fresh := late - a + 1 - r.seen.count(a, late)
	r.disorder += fresh
	r.duplicates += r.seen.add(a, b)
	p.first, p.last = min(p.first, a), max(p.last, b)
}

// tell adds to what is told of a run. Neighbours are joined when there are too many of them.
func tell(all []told, t told) []told {
	all = append(all, t)
	if len(all) <= maxTold {
		return all
	}
	sortTold(all)
	joined := all[:0]
	for i := 0; i < len(all); i += 2 {
		t := all[i]
		if i+1 < len(all) {
			next := all[i+1]
			t = told{interval{t.first, max(t.last, next.last)}, t.count + next.count}
		}
		joined = append(joined, t)
	}
	return joined
}

func sortTold(t []told) {
	slices.SortFunc(t, func(a, b told) int { return cmp.Compare(a.first, b.first) })
}

// missing returns how many seqs are not there, how many of those are told as dropped, and the
// first gaps. A partial log need not begin with seq 1.
func (r *run) missing(partial bool) (missing, dropped uint64, gaps []interval) {
	if len(r.seen.list) == 0 {
		return 0, 0, nil
	}
	sortTold(r.told)
	remaining := make([]uint64, len(r.told))
	for i, t := range r.told {
		remaining[i] = t.count
	}
	at := 0
	explain := func(gap interval) {
		size := gap.last - gap.first + 1
		missing += size
		if len(gaps) < maxGaps {
			gaps = append(gaps, gap)
		}
		for at < len(r.told) && r.told[at].last < gap.first {
			at++
		}
		for i := at; i < len(r.told) && r.told[i].first <= gap.last; i++ {
			first, last := max(r.told[i].first, gap.first), min(r.told[i].last, gap.last)
			if first > last {
				continue
			}
			n := min(last-first+1, remaining[i])
			remaining[i] -= n
			dropped += n
		}
	}
	next := uint64(1)
	if partial {
		next = r.seen.list[0].first
	}
	for _, in := range r.seen.list {
		if in.first > next {
			explain(interval{next, in.first - 1})
		}
		next = in.last + 1
	}
	if r.seen.closed > 0 { // where they were is forgotten: all that is told and left may explain them
		missing += r.seen.closed
		var left uint64
		for _, n := range remaining {
			left += n
		}
		dropped += min(left, r.seen.closed)
	}
	return missing, dropped, gaps
}

// lostAtEnd returns how many records behind the last one that is there are told as lost, and where. What
// is lost before it is a gap, told or not.
func (r *run) lostAtEnd() (lost uint64, where []interval) {
	sortTold(r.lost)
	end := r.seen.last()
	for _, t := range r.lost {
		if t.last <= end {
			continue
		}
		in := interval{max(t.first, end+1), t.last}
		lost += min(t.count, in.last-in.first+1) // drops may lie between
		where = append(where, in)
		end = t.last
	}
	return lost, where
}

// maxGaps is how many gaps of a run a report names.
const maxGaps = 8

// interleaved returns how many of the run's pieces begin before another, in another stream, has
// ended: each stream is in order, but together they are not. Pieces that lie wholly over seqs
// that are duplicates say nothing about order.
func (r *run) interleaved() (n uint64) {
	if len(r.pieces) < 2 || r.duplicates > 0 {
		return 0
	}
	p := slices.Clone(r.pieces)
	slices.SortFunc(p, func(a, b piece) int { return cmp.Compare(a.first, b.first) })
	end := p[0].last
	for _, q := range p[1:] {
		if q.first < end {
			n++
		}
		end = max(end, q.last)
	}
	return n
}
