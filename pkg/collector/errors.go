package collector

import (
	"errors"
	"fmt"
)

// ErrClosed comes from every call after Close.
var ErrClosed = errors.New("the collector is closed")

// An UnwrittenError comes from Close when its context ended before everything that had arrived was committed.
// Nothing that was acknowledged is among it: batches are sent again to the next collector, foreign messages
// are gone.
type UnwrittenError struct {
	Messages int   // that had arrived
	Foreign  int   // of these, those that nobody sends again
	Cause    error // why the last commit failed, or the context's error
}

func (e *UnwrittenError) Error() string {
	return fmt.Sprintf("close collector: %d messages not written, %d of them foreign: %v",
		e.Messages, e.Foreign, e.Cause)
}

func (e *UnwrittenError) Unwrap() error { return e.Cause }
