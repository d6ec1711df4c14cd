package publisher

import (
	"errors"
	"fmt"
)

// ErrClosed comes from every call after Close.
var ErrClosed = errors.New("publisher is closed")

// UnackedError comes from Flush and Close when their time was over before every
// record was acknowledged. It wraps the context's error.
type UnackedError struct {
	// Records is how many of those that the call was to deliver nobody has
	// acknowledged. They may have arrived all the same.
	Records uint64
	// Kept is the buffer file that still holds them, from which [Drain] delivers
	// them. Empty: they are in memory, and after Close they are gone.
	Kept string

	cause error
}

func (e *UnackedError) Error() string {
	s := fmt.Sprintf("deliver records: %d are not acknowledged", e.Records)
	if e.Records == 1 {
		s = "deliver records: 1 is not acknowledged"
	}
	if e.Kept != "" {
		s += " (kept in " + e.Kept + ")"
	}
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap gives the error of the context that ended the wait.
func (e *UnackedError) Unwrap() error { return e.cause }
