package collector

import (
	"errors"

	"github.com/logbraid/logbraid/pkg/record"
)

// This file is I4: what the collector does with a batch, given what it has of the run. It is pure
// arithmetic, so that the model test can explore it whole.

// progress is how far a run has come. The zero value is a run of which nothing is known.
//
// How many records are written follows from it and is kept nowhere, so that it cannot disagree.
type progress struct {
	last    uint64 // every seq up to here is accounted for
	dropped uint64 // of these, those that the publisher says it dropped
	lost    uint64 // of these, those that nobody can send any more
	// excess counts the records that the publisher says it dropped although they had been written: their
	// acknowledgement was lost, and then the publisher's own copy became unreadable. Without it such a
	// publisher's numbers would never add up again, and every later batch would look like a lie.
	excess uint64
	ended  bool // the publisher has said that nothing follows
	// rebuilt: last was read from the log files after the checkpoint was damaged, and dropped counts
	// everything up to last that is not in them. The run's next batch tells which of these were drops.
	rebuilt bool
}

func (p progress) written() uint64 { return p.last + p.excess - p.dropped - p.lost }

// What becomes of a batch.
type action int

const (
	write     action = iota // write the lines with a seq above verdict.after; then next is the run's progress
	duplicate               // everything is written already: acknowledge again
	want                    // older records must come first, and the publisher has some
	reject                  // the numbers contradict what is known of the run
)

// verdict is the answer to one batch.
type verdict struct {
	action action
	after  uint64   // write: lines up to this seq are written already
	lost   uint64   // write: so many records before the batch are missing for ever; a gap record tells
	next   progress // write: the run's progress once the batch is committed; else: unchanged
	err    error    // reject: why
}

var (
	errBackward = errors.New("fewer records dropped than in an earlier batch")
	errHole     = errors.New("records are missing, not dropped, after some that were sent before")
)

// judge applies I4 to a batch that record.ParseBatch has accepted, so that its numbers do not contradict
// each other. linesAfter returns how many lines of the batch have a seq above its argument; it is asked
// only when a part of the batch is written already.
//
// An oldest of 0 says that nobody can be asked for what is missing: the batch stood in a stream. What is not told
// of as dropped is then lost, at once.
//
// The question is how many of the seqs up to the batch's last are neither in its lines nor among the drops
// that the publisher has told of since.
func judge(p progress, b record.Batch, linesAfter func(seq uint64) int) verdict {
	if b.Last < p.last || b.Last == p.last && (!b.End || p.ended) {
		return verdict{action: duplicate, next: p}
	}
	overlaps := b.First <= p.last
	fresh := uint64(b.Count)
	if overlaps {
		fresh = uint64(linesAfter(p.last))
	}
	missing := b.Last - p.last - fresh
	told := b.Dropped
	if p.rebuilt {
		missing += p.dropped
	} else {
		if b.Dropped < p.dropped {
			return verdict{action: reject, next: p, err: errBackward}
		}
		told -= p.dropped
		// Between the lines of one batch only drops can be missing.
		switch holes := b.Last - b.First + 1 - fresh; {
		case overlaps && told < missing:
			return verdict{action: reject, next: p, err: errHole}
		case !overlaps && told < holes:
			return verdict{action: reject, next: p, err: errBackward}
		}
	}
	if b.First > p.last+1 && b.Oldest != 0 && b.Oldest < b.First {
		// The publisher holds something older than what it sent, and seqs before the batch are missing. That
		// they may all be drops is not enough to go on: they are counted, not named, and one of them
		// may be a record written long ago. The batch that begins with the publisher's oldest record settles it.
		return verdict{action: want, next: p}
	}

	next := progress{last: b.Last, dropped: b.Dropped, lost: p.lost, excess: p.excess, ended: b.End}
	v := verdict{action: write, after: p.last}
	if told >= missing {
		next.excess += told - missing
	} else {
		next.lost += missing - told
		if !overlaps {
			v.lost = min(missing-told, b.First-1-p.last) // the rest is a rebuilt run's past, told when it happened
		}
	}
	v.next = next
	return v
}
