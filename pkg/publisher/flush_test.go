package publisher

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// turns is a ring and its sender for a Flush: one record is admitted, and at the
// n-th look at the progress, 1 being the first, it is acknowledged behind the look
// (after) or before it.
type turns struct {
	flushes  flushes
	released uint64
	looks    int
	at       int
	after    bool
}

func (s *turns) progress() (admitted, released uint64) {
	s.looks++
	if s.looks == s.at && !s.after {
		s.acknowledge()
	}
	released = s.released
	if s.looks == s.at && s.after {
		s.acknowledge()
	}
	return 1, released
}

// acknowledge is what the sender does, in its order: see Publisher.progressed.
func (s *turns) acknowledge() {
	s.released = 1
	if s.flushes.n.Load() > 0 {
		s.flushes.reached(s.released)
	}
}

// An acknowledgement that no other follows ends a Flush, whenever it comes. One
// that were missed would leave the call waiting for ever: synctest ends such a test.
func TestFlushMissesNoAcknowledgement(t *testing.T) {
	for _, c := range []struct {
		name  string
		at    int
		after bool
	}{
		{"before the first look", 1, false},
		{"between the look and the registration", 1, true},
		{"between the registration and the second look", 2, false},
		{"behind the second look", 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &turns{at: c.at, after: c.after}
				left, err := s.flushes.wait(t.Context(), make(chan struct{}), s.progress)
				if left != 0 || err != nil {
					t.Errorf("left %d, %v", left, err)
				}
				if n := s.flushes.n.Load(); n != 0 || len(s.flushes.list) != 0 {
					t.Errorf("%d calls are still registered", n)
				}
			})
		})
	}
}

// The end of the wait and the acknowledgement come together: then it counts.
func TestFlushEnds(t *testing.T) {
	cause := errors.New("the test's")
	canceled, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	closed := make(chan struct{})
	close(closed)
	for _, c := range []struct {
		name  string
		ctx   context.Context
		ended chan struct{}
		at    int
		left  uint64
		cause error
	}{
		{"canceled", canceled, nil, 0, 1, cause},
		{"closed", context.Background(), closed, 0, 1, ErrClosed},
		{"canceled, acknowledged", canceled, nil, 3, 0, nil},
		{"closed, acknowledged", context.Background(), closed, 3, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &turns{at: c.at}
			left, err := s.flushes.wait(c.ctx, c.ended, s.progress)
			if left != c.left || !errors.Is(err, c.cause) || c.cause == nil && err != nil {
				t.Errorf("left %d, %v; want %d, %v", left, err, c.left, c.cause)
			}
			if len(s.flushes.list) != 0 {
				t.Error("still registered")
			}
		})
	}
}
