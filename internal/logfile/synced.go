package logfile

// This file is what the syncer knows of the disk: how far the journal is, and how
// far of that is there to stay.

// point is a checkpoint by its number, and the position in the stream that it
// states.
type point struct {
	number uint64
	source Source
}

// settled is the checkpoint up to which everything is on the disk; selfSettled
// when nothing is ever synced.
func (y *syncer) settled() uint64 {
	y.mu.Lock()
	defer y.mu.Unlock()
	if !y.lazy {
		return selfSettled
	}
	return y.synced.number
}

// wanted reports whether anything is ever to be synced.
func (y *syncer) wanted() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.lazy
}

// position is the place in the stream that the last sync reached.
func (y *syncer) position() Source {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.synced.source
}

// reachedLocked notes that everything up to p is on the disk.
func (y *syncer) reachedLocked(p point) {
	if p.number >= y.synced.number {
		y.synced = p
	}
}

// recorded notes the last checkpoint in the journal, and the journal's files. forced:
// everything is on the disk.
func (y *syncer) recorded(j *journal, forced bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.appended = point{j.number, j.state.source}
	if forced || j.floor == j.number {
		y.reachedLocked(y.appended)
	} else if j.floor < j.content && y.lazy && y.failed == nil {
		y.within(y.store.opts.FSync.interval())
	}
	for i := range j.sides {
		if y.journal[i] == j.sides[i].h {
			continue
		}
		if y.journal[i] != nil {
			y.journal[i].release()
		}
		y.journal[i] = nil
		if h := j.sides[i].h; h != nil {
			y.journal[i] = h.hold()
		}
	}
}
