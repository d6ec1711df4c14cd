package publisher

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/logbraid/logbraid/internal/natsconn"
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
		natsconn.WakeMonitor()
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
	left, cause := p.flushes.wait(ctx, p.done, p.ring.Progress)
	if left == 0 {
		return nil
	}
	return &UnackedError{Records: left, Kept: p.ring.Path(), cause: cause}
}

// wait returns when everything that is admitted now was released, or how much was
// not, and why it waits no longer. progress tells what the ring has admitted and
// released; ended is closed when nobody releases any more.
func (f *flushes) wait(ctx context.Context, ended <-chan struct{}, progress func() (admitted, released uint64)) (left uint64, cause error) {
	until, released := progress()
	if released >= until {
		return 0, nil
	}
	done := f.add(until)
	defer f.remove(done)
	// The acknowledgement may have come between the look and the registration, when
	// the sender saw nobody to tell. It may have been the last for a long time. So
	// look once more: the sender releases first and then looks for who waits, so one
	// of the two sees the other.
	if _, released = progress(); released >= until {
		return 0, nil
	}
	select {
	case <-done:
		return 0, nil
	case <-ctx.Done():
		cause = context.Cause(ctx)
	case <-ended: // closed meanwhile
		cause = ErrClosed
	}
	if _, released = progress(); released >= until {
		return 0, nil
	}
	return until - released, cause
}
