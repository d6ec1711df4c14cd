package collector

import (
	"math/rand/v2"
	"sync"
	"time"
)

// flight is the groups whose commits are under way, and how commits fare. The writer shares it with the
// goroutine that completes them. There are several only with FSYNC=always, where the writer fills the
// next group while the last is forced to the disk.
type flight struct {
	changed chan struct{} // holds a token after a change

	mu     sync.Mutex
	groups []*group // the oldest first; after a failure, those that do not count
	spare  []*group

	failure  error     // the first since the last recall; nothing more can land before the next
	stalled  error     // as failure, but until a commit stands
	since    time.Time // when it was set
	attempts int       // to go on since then
	failed   uint64    // commits
}

const (
	maxFlight  = 8
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// group returns an empty group.
func (f *flight) group(routes int) *group {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := &group{}
	if last := len(f.spare) - 1; last >= 0 {
		g = f.spare[last]
		f.spare = f.spare[:last]
	}
	g.reset(routes)
	return g
}

// back takes a group back that was not used.
func (f *flight) back(g *group) {
	f.mu.Lock()
	f.spare = append(f.spare, g)
	f.mu.Unlock()
}

// begin notes that the group's commit is about to begin.
func (f *flight) begin(g *group) {
	f.mu.Lock()
	f.groups = append(f.groups, g)
	f.mu.Unlock()
}

// land notes that the oldest group's commit stands. If it is the first after a stall, that is over, and it returns how long
// it lasted.
func (f *flight) land() (stall time.Duration, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.groups[0]
	f.groups = append(f.groups[:0], f.groups[1:]...)
	g.release()
	f.spare = append(f.spare, g)
	if f.failure == nil && f.stalled != nil {
		stall, over = time.Since(f.since), true
		f.stalled, f.attempts = nil, 0
	}
	f.kickLocked()
	return stall, over
}

// fail notes that a commit does not stand, or that none would.
func (f *flight) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed++
	if f.failure == nil {
		f.failure = err
	}
	if f.stalled == nil {
		f.stalled, f.since = err, time.Now()
	}
	f.kickLocked()
}

// attempt returns how long to wait before the next attempt to go on, and whether it is the first.
func (f *flight) attempt() (delay time.Duration, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delay = min(lastRetry, firstRetry<<min(f.attempts, 10))
	f.attempts++
	return delay/2 + rand.N(delay/2), f.attempts == 1
}

// recall returns the groups that do not count, and forgets them. All commits have been completed.
func (f *flight) recall() []*group {
	f.mu.Lock()
	defer f.mu.Unlock()
	groups := f.groups
	f.groups, f.failure = nil, nil
	return groups
}

// broken returns the failure that stands in the way of further commits.
func (f *flight) broken() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failure
}

func (f *flight) full() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.groups) >= maxFlight
}

func (f *flight) empty() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.groups) == 0 && f.failure == nil
}

// only reports whether no other group's commit is under way.
func (f *flight) only(g *group) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.groups) == 1 && f.groups[0] == g
}

// stall returns since when and why nothing can be committed; nil when all is well.
func (f *flight) stall() (since time.Time, cause error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.since, f.stalled
}

// unwritten returns how many messages wait for commits under way, and how many of them nobody sends again.
func (f *flight) unwritten() (messages, foreign int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, g := range f.groups {
		n, m := count(g.messages)
		messages += n
		foreign += m
	}
	return messages, foreign
}

// stats fills in how commits fare.
func (f *flight) stats(s *Stats) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Stalled, s.Failures = f.stalled, f.failed
}

func (f *flight) kickLocked() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}
