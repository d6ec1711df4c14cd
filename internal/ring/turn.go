package ring

import (
	"sync/atomic"
	"time"
)

// turns keep goroutines that append all the time from taking turns at every record: what they change goes from one processor to
// the other each time, which may take longer than the append itself (BenchmarkHandOver). Whoever finds the lock taken, again, and
// the ring busy, stays away once, for as long as turn, while the others go on undisturbed.
type turns struct {
	front chan struct{} // holds one: who waits in front; the others stand behind, in order
	last  uint64        // the tail when somebody last waited there; guarded by front
	timer *time.Timer   // made with the ring, so that it goes by the ring's clock, in a synctest bubble too; guarded by front
	over  atomic.Uint64 // how often somebody has stayed away
	look  func()        // takes about a microsecond
}

const (
	again = 64                    // records: a lock that is taken no oftener is nothing to stay away for
	busy  = 3                     // records appended during a look
	turn  = 20 * time.Microsecond // at least; where a processor has nothing else to do, Go on Linux makes a millisecond of it
)

func newTurns() turns {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return turns{front: make(chan struct{}, 1), timer: t, look: func() {
		for range 2000 {
		}
	}}
}

// lockToAppend is mu.Lock, with turns. Whoever already waits when another comes back does not stay away as well, so a wait is no
// longer than a turn and the rest of one, however many wait.
func (r *Ring) lockToAppend() {
	if r.mu.TryLock() {
		return
	}
	t := &r.turns
	over := t.over.Load()
	t.front <- struct{}{}
	if r.final == nil && t.over.Load() == over && r.crowded() {
		t.timer.Reset(turn)
		<-t.timer.C
		t.over.Add(1)
		t.last = r.tailCell.load()
	}
	r.mu.Lock()
	<-t.front
}

// crowded reports whether somebody waited only a few records ago, and others append all the time. front is held, so the memory
// stays (Close).
func (r *Ring) crowded() bool {
	before := r.tailCell.load()
	lately := before-r.turns.last < again
	r.turns.last = before
	if !lately {
		return false
	}
	r.turns.look()
	return r.tailCell.load()-before >= busy
}
