package ring

import "github.com/logbraid/logbraid/pkg/record"

// Drop uses up a seq for a record that is not taken, and counts it.
func (r *Ring) Drop(level record.Level, reason Reason) (seq uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sealed {
		return 0, ErrSealed
	}
	r.countLocked(level, reason, 1)
	r.dropped++
	return r.tailCell.load() + r.dropped, nil
}

func (r *Ring) countLocked(level record.Level, reason Reason, n uint64) {
	if level < 0 || int(level) >= levels {
		level = 0
	}
	c := r.dropCells[level][reason]
	c.store(c.load() + n)
}

// AppendTold is Append for a record that tells of drops: count of them, none
// later than the seq through. The ring remembers, so that whoever finds it after
// its owner's death knows which drops nobody has told.
func (r *Ring) AppendTold(body []byte, count, through uint64) (seq uint64, err error) {
	sum := r.digest(body)
	r.mu.Lock()
	defer r.mu.Unlock()
	seq, err = r.appendLocked(body, sum, 100)
	if err == nil {
		r.told.store(r.told.load() + count)
		r.through.store(max(r.through.load(), through))
	}
	return seq, err
}

// Untold is how many records were dropped and not told, and the range of seqs in
// which they lie.
func (r *Ring) Untold() (count, first, last uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.final != nil {
		return 0, 0, 0
	}
	end := r.endLocked()
	told, first := r.told.load(), r.through.load()+1
	if told >= end.Dropped || first > end.Last {
		return 0, 0, 0
	}
	return end.Dropped - told, first, end.Last
}
