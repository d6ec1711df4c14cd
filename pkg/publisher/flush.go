package publisher

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// flushes are the calls that wait for acknowledgements. Positions count records
// as the ring admits them.
type flushes struct {
	n    atomic.Int64 // spares the sender the lock while nobody waits
	mu   sync.Mutex
	list []flushWait
}

type flushWait struct {
	until uint64
	done  chan struct{}
}

func (f *flushes) add(until uint64) chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := flushWait{until: until, done: make(chan struct{})}
	f.list = append(f.list, w)
	f.n.Store(int64(len(f.list)))
	return w.done
}

func (f *flushes) remove(done chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = slices.DeleteFunc(f.list, func(w flushWait) bool { return w.done == done })
	f.n.Store(int64(len(f.list)))
}

// reached ends the waits up to a position.
func (f *flushes) reached(released uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = slices.DeleteFunc(f.list, func(w flushWait) bool {
		if w.until > released {
			return false
		}
		close(w.done)
		return true
	})
	f.n.Store(int64(len(f.list)))
}

// Flush waits until everything that was accepted before the call is
// acknowledged, and returns nil only then. Otherwise it returns an
// [*UnackedError]. In single-process mode there is nothing to wait for.
func (p *Publisher) Flush(ctx context.Context) error {
	if p.closed.Load() {
		return ErrClosed
	}
	if p.console != nil {
		return nil
	}
	until, released := p.ring.Progress()
	if released >= until {
		return nil
	}
	done := p.flushes.add(until)
	defer p.flushes.remove(done)
	// The acknowledgement may have come before the wait was known to the sender.
	if _, released = p.ring.Progress(); released >= until {
		return nil
	}
	var cause error
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		cause = context.Cause(ctx)
	case <-p.done: // closed meanwhile
		cause = ErrClosed
	}
	if _, released = p.ring.Progress(); released >= until {
		return nil
	}
	return &UnackedError{Records: until - released, Kept: p.ring.Path(), cause: cause}
}
