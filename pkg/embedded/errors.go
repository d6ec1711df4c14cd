package embedded

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// ErrClosed comes from every call after Close.
var ErrClosed = errors.New("the master is closed")

// ErrRunning comes from Start when another master or a collector has the
// directory. The error is a *RunningError.
var ErrRunning = errors.New("the log directory is in use")

// RunningError says who has the directory.
type RunningError struct {
	Dir     string
	PID     int       // 0 when it has not said
	Since   time.Time // zero when not known
	Command string    // its command line; "" when not known

	cause error
}

func (e *RunningError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "start master: the log directory %s is in use by ", e.Dir)
	switch e.PID {
	case 0:
		b.WriteString("another process")
	case os.Getpid():
		fmt.Fprintf(&b, "another master in this process (%d)", e.PID)
	default:
		fmt.Fprintf(&b, "process %d", e.PID)
		if e.Command != "" {
			fmt.Fprintf(&b, " (%s)", e.Command)
		}
	}
	if !e.Since.IsZero() {
		fmt.Fprintf(&b, ", since %s", e.Since.Local().Format(time.RFC3339))
	}
	return b.String()
}

// Is makes errors.Is(err, ErrRunning) true.
func (e *RunningError) Is(target error) bool { return target == ErrRunning }

// Unwrap gives the lock's own error.
func (e *RunningError) Unwrap() error { return e.cause }

// UndeliveredError comes from Close when records stayed behind. They are in the
// workers' buffers still: the next master on the directory delivers them.
type UndeliveredError struct {
	Records uint64            // in all
	Workers map[string]uint64 // by worker
	cause   error
}

func (e *UndeliveredError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "close master: %d records are not delivered", e.Records)
	if e.Records == 1 {
		b.Reset()
		b.WriteString("close master: 1 record is not delivered")
	}
	b.WriteString(" and stay in the buffers (")
	names := make([]string, 0, len(e.Workers))
	for name, n := range e.Workers {
		names = append(names, fmt.Sprintf("%s: %d", name, n))
	}
	slices.Sort(names)
	const shown = 8
	if more := len(names) - shown; more > 0 {
		names = append(names[:shown], fmt.Sprintf("and %d more workers", more))
	}
	b.WriteString(strings.Join(names, ", ") + ")")
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	return b.String()
}

// Unwrap gives the error of the context that ended the wait.
func (e *UndeliveredError) Unwrap() error { return e.cause }
