package logfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// This file is the syncer's work itself: what waits for a sync, when it is due, and
// the sync.

// due is how long until the next sync by interval; false if nothing waits.
func (y *syncer) due() (time.Duration, bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.deadline.IsZero() || y.failed != nil || y.paused {
		return 0, false
	}
	return max(0, time.Until(y.deadline)), true
}

// mark notes that the writer wrote to h.
func (y *syncer) mark(h *handle, p Policy) {
	if p.mode == modeNever {
		h.synced.Store(h.written)
		return
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if _, ok := y.dirty[h]; !ok {
		h.hold()
	}
	y.dirty[h] = h.written
	y.lazy = true
	if p.mode == modeEvery {
		y.within(p.interval())
	}
}

// within has the next sync happen in d or earlier. y.mu is held.
func (y *syncer) within(d time.Duration) {
	at := time.Now().Add(d)
	if !y.deadline.IsZero() && !at.Before(y.deadline) {
		return
	}
	y.deadline = at
	y.kickLocked()
}

// hasten has what waits for a sync by interval synced now.
func (y *syncer) hasten() {
	y.mu.Lock()
	defer y.mu.Unlock()
	if !y.deadline.IsZero() {
		y.within(0)
	}
}

// background is the sync by interval: files, then journal.
func (y *syncer) background() error {
	forced, err := y.force()
	if err != nil {
		return err
	}
	y.mu.Lock()
	if !y.lazy {
		y.mu.Unlock()
		return nil
	}
	journal := y.journal
	for _, h := range journal {
		if h != nil {
			h.hold()
		}
	}
	y.mu.Unlock()
	for _, h := range journal {
		if h == nil {
			continue
		}
		if err == nil {
			err = h.Sync()
		}
		h.release()
	}
	if err != nil {
		err = fmt.Errorf("sync journal: %w", err)
		y.fail(err, true)
	} else {
		y.mu.Lock()
		y.reachedLocked(forced.upTo)
		y.mu.Unlock()
	}
	y.release(forced.jobs, err)
	return err
}

// forced is what a sync of the files covers, once the journal is synced too.
type forced struct {
	upTo point // checkpoints up to here
	jobs []job
}

// force syncs the files that are dirty.
func (y *syncer) force() (forced, error) {
	y.mu.Lock()
	if y.failed != nil {
		defer y.mu.Unlock()
		return forced{}, y.failed
	}
	taken := y.dirty
	f := forced{upTo: y.appended, jobs: y.waiting}
	y.dirty = map[*handle]uint64{}
	y.waiting = nil
	y.deadline = time.Time{}
	y.busy = true
	y.mu.Unlock()

	begin := time.Now()
	var err error
	for _, h := range slices.SortedFunc(maps.Keys(taken), func(a, b *handle) int { return cmp.Compare(a.path, b.path) }) {
		if err == nil {
			if err = h.Sync(); err != nil {
				err = fmt.Errorf("sync %s: %w", h.path, err)
			} else {
				h.synced.Store(taken[h])
			}
		}
		h.release()
	}
	y.store.stats.syncs.Add(1)
	y.store.stats.syncTime.Add(int64(time.Since(begin)))

	if err != nil {
		y.fail(err, false)
	}
	y.mu.Lock()
	y.busy = false
	if err != nil {
		y.waiting = append(f.jobs, y.waiting...)
		f.jobs = nil
	}
	y.mu.Unlock()
	return f, err
}

// release hands jobs to the keeper; after an error they wait for the next sync.
func (y *syncer) release(jobs []job, err error) {
	if err != nil {
		y.mu.Lock()
		defer y.mu.Unlock()
		y.waiting = append(jobs, y.waiting...)
		return
	}
	for _, j := range jobs {
		y.store.keeper.post(j)
	}
}

// after posts a job to the keeper once what is dirty now is on the disk.
func (y *syncer) after(j job) {
	y.mu.Lock()
	if len(y.dirty) > 0 || y.busy {
		y.waiting = append(y.waiting, j)
		y.mu.Unlock()
		return
	}
	y.mu.Unlock()
	y.store.keeper.post(j)
}

// idle reports whether no file waits for a sync.
func (y *syncer) idle() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return len(y.dirty) == 0 && !y.busy
}
