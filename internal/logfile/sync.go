package logfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// syncer forces written bytes to the disk, in a goroutine of its own, so that
// the writer never waits for an fsync.
//
// With FSYNC by interval it works beside the writer: the commits are
// acknowledged already. With FSYNC always (of the store or of any file) commits
// pass through it in order: files, fsync, checkpoint, fsync, done. While one
// group is being forced the writer writes the next, and all that wait share the
// next pair of fsyncs.
//
// An error ends it (I7): everything behind it fails, until the writer has called
// Resume.
type syncer struct {
	store *Store
	// inline: no goroutines; the writer does the work at fixed points. For
	// tests that count I/O calls.
	inline bool
	queue  chan *pending
	wake   chan struct{}
	stop   chan struct{}
	ended  chan struct{}

	// piped: commits pass through the queue. Written by the writer while no
	// commit is under way.
	piped bool

	mu       sync.Mutex
	dirty    map[*handle]uint64 // writes that wait for a sync
	busy     bool               // a sync is under way
	paused   bool               // no sync by interval begins
	deadline time.Time          // of the next sync; zero: nothing waits
	appended point              // the last checkpoint in the journal
	synced   point              // up to here checkpoints, and what they state, are on the disk
	journal  [2]*handle         // the journal's files, held
	lazy     bool               // a policy other than never has been seen
	waiting  []job              // housekeeping that waits for a sync
	failed   error
	rewrite  bool // the failure may have lost journal entries
}

// point is a checkpoint by its number, and the position in the stream that it
// states.
type point struct {
	number uint64
	source Source
}

// pending is a commit on its way to the disk, or a request to the syncer.
type pending struct {
	checkpoint *checkpoint
	sync       bool // FSYNC always
	done       func(error)
	err        error         // the commit has failed already; only tell so, in order
	reached    chan struct{} // no commit: closed when everything before is done
	flush      bool          // sync what is dirty, now
}

// inFlight bounds the commits that wait for the disk.
const inFlight = 64

func newSyncer(s *Store, inline bool) *syncer {
	y := &syncer{
		store:  s,
		inline: inline,
		queue:  make(chan *pending, inFlight),
		wake:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		ended:  make(chan struct{}),
		dirty:  map[*handle]uint64{},
		lazy:   s.opts.FSync.mode != modeNever,
		synced: point{s.journal.floor, s.journal.durable.source},
	}
	if inline {
		close(y.ended)
	} else {
		go y.run()
	}
	return y
}

// pipeline makes commits pass through the syncer from now on.
func (y *syncer) pipeline() { y.piped = true }

func (y *syncer) run() {
	defer close(y.ended)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	for {
		select {
		case p := <-y.queue:
			y.process(y.gather(p))
		case <-y.wake:
			if d, ok := y.due(); ok {
				timer.Reset(d)
			}
		case <-timer.C:
			if d, ok := y.due(); ok && d > 0 {
				timer.Reset(d)
			} else if ok {
				_ = y.background() // the writer will find its error
			}
		case <-y.stop:
			return
		}
	}
}

// gather takes what waits behind p, without waiting for more.
func (y *syncer) gather(p *pending) []*pending {
	group := []*pending{p}
	for len(group) < inFlight {
		select {
		case p := <-y.queue:
			group = append(group, p)
		default:
			return group
		}
	}
	return group
}

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

// submit sends a commit on its way.
func (y *syncer) submit(p *pending) {
	if y.inline {
		y.process([]*pending{p})
		return
	}
	y.queue <- p
}

// barrier returns when everything submitted before is done. With flush, what is
// dirty is on the disk then, unless error says otherwise.
func (y *syncer) barrier(flush bool) error {
	if y.piped || flush {
		p := &pending{reached: make(chan struct{}), flush: flush}
		y.submit(p)
		<-p.reached
	}
	return y.error()
}

func (y *syncer) flush() error { return y.barrier(true) }

func (y *syncer) error() error {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.failed
}

// pause waits until nothing is under way, and keeps syncs by interval from
// beginning until goOn. What the writer asks for is still done.
func (y *syncer) pause() {
	y.mu.Lock()
	y.paused = true
	y.mu.Unlock()
	p := &pending{reached: make(chan struct{})}
	y.submit(p)
	<-p.reached
}

func (y *syncer) goOn() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.paused = false
	y.kickLocked()
}

// kickLocked has the goroutine look at the deadline.
func (y *syncer) kickLocked() {
	select {
	case y.wake <- struct{}{}:
	default:
	}
}

// process brings a group of commits to the disk and tells their callers, in
// order.
func (y *syncer) process(group []*pending) {
	err := y.error()
	sync := slices.ContainsFunc(group, func(p *pending) bool { return p.sync })
	var forced forced
	if err == nil && sync {
		forced, err = y.force()
	}
	if err == nil {
		err = y.record(group, sync)
	}
	y.release(forced.jobs, err)
	if err == nil && slices.ContainsFunc(group, func(p *pending) bool { return p.flush }) {
		err = y.background()
	}
	for _, p := range group {
		switch {
		case p.reached != nil:
			close(p.reached)
		case p.err != nil:
			p.done(p.err)
		case err != nil:
			p.done(fmt.Errorf("%w: %w", ErrRolledBack, err))
		default:
			y.store.committed()
			p.done(nil)
		}
	}
}

// record writes one checkpoint for the whole group. With sync, the files have
// been forced to the disk, and the checkpoint is.
func (y *syncer) record(group []*pending, sync bool) error {
	var c *checkpoint
	for _, p := range group {
		switch {
		case p.checkpoint == nil:
		case c == nil:
			c = p.checkpoint
		default:
			c.add(p.checkpoint)
		}
	}
	if c == nil {
		return nil
	}
	settled := y.settled()
	if sync {
		settled = selfSettled // what is dirty by now belongs to later commits
	}
	if err := y.store.append(c, settled, sync); err != nil {
		y.fail(err, false)
		return err
	}
	return nil
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

// fail stops everything until Resume. With rewrite, entries of the journal that
// were acknowledged may not be on the disk.
func (y *syncer) fail(err error, rewrite bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.failed == nil {
		y.failed = err
	}
	y.rewrite = y.rewrite || rewrite
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

// recorded notes the last checkpoint in the journal, and the journal's files.
func (y *syncer) recorded(j *journal) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.appended = point{j.number, j.state.source}
	if j.floor == j.number {
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

// reset forgets a failure, and what is dirty: the caller deals with both. It
// reports whether there was one, and whether entries of the journal may not get
// to the disk.
func (y *syncer) reset() (failed, lostEntries bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	failed, lostEntries = y.failed != nil, y.rewrite
	for h := range y.dirty {
		h.release()
	}
	clear(y.dirty)
	y.deadline = time.Time{}
	y.failed = nil
	y.rewrite = false
	return failed, lostEntries
}

// idle reports whether no file waits for a sync.
func (y *syncer) idle() bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return len(y.dirty) == 0 && !y.busy
}

// close ends the goroutine; what is queued has been done.
func (y *syncer) close() {
	if !y.inline {
		_ = y.barrier(false)
		close(y.stop)
		<-y.ended
	}
	y.reset()
	for i, h := range y.journal {
		if h != nil {
			h.release()
			y.journal[i] = nil
		}
	}
}
