package logfile

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// syncer forces written bytes to the disk, in a goroutine of its own, so that
// no commit of the writer's waits for an fsync.
//
// With FSYNC by interval it works beside the writer: the commits are
// acknowledged already. With FSYNC always (of the store or of any file) commits
// pass through it in order: checkpoint, fsync of files and journal at once, done.
// The checkpoint may get to the disk without what it states, and is not taken for
// one then; see recovery.choose. While one group is being forced the writer writes
// the next, and all that wait share the next fsyncs.
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
	if err == nil {
		err = y.record(group)
	}
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

// record writes one checkpoint for the whole group. Where one of it asks for that,
// the checkpoint and what it states are on the disk when it returns.
func (y *syncer) record(group []*pending) error {
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
	var err error
	if slices.ContainsFunc(group, func(p *pending) bool { return p.sync }) {
		err = y.recordForced(c)
	} else {
		err = y.store.append(c, false)
	}
	if err != nil {
		y.fail(err, false)
	}
	return err
}

// recordForced writes a checkpoint and forces it to the disk, and at the same time
// the files.
func (y *syncer) recordForced(c *checkpoint) error {
	j := y.store.journal
	c.awaited = true
	if err := j.write(c, y.settled()); err != nil {
		return err
	}
	forced, err := y.forceBoth(j)
	if err != nil {
		j.withdraw(err)
	} else {
		j.accept(c)
		y.store.appended(true)
	}
	y.release(forced.jobs, err)
	return err
}

// forceBoth forces the files and the journal to the disk.
func (y *syncer) forceBoth(j *journal) (f forced, err error) {
	if y.inline { // one after the other: now the one first, now the other
		if j.next%2 == 0 {
			if err := j.sync(); err != nil {
				return f, err
			}
			return y.force()
		}
		if f, err = y.force(); err == nil {
			err = j.sync()
		}
		return f, err
	}
	done := make(chan error, 1)
	go func() { done <- j.sync() }()
	f, err = y.force()
	return f, errors.Join(err, <-done)
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
