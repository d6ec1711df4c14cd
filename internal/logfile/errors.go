package logfile

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrLocked comes from Open and File when another process, or another
	// Store of this process, holds the directory. The error is a *LockedError.
	ErrLocked = errors.New("log directory is locked")
	// ErrRolledBack comes to commits made after a failed one, until Resume.
	ErrRolledBack = errors.New("commit made after a failed one")
	// ErrDirectoryLost comes while a log directory is gone, or something else is
	// in its place.
	ErrDirectoryLost = errors.New("log directory lost")
	// ErrVersion comes from Open when the journal is of a later version of the
	// format than this program knows.
	ErrVersion = errors.New("journal is of a later version of its format")
	// ErrClosed comes after Close.
	ErrClosed = errors.New("log store is closed")
	// ErrReservedName comes from File for names that rotation gives out, such
	// as app.log.000001 or app.log.000001.gz.
	ErrReservedName = errors.New("name is reserved for rotated files")
)

// LockedError says who holds the lock on a directory.
type LockedError struct {
	Dir     string
	PID     int       // 0 when the holder has not said
	Since   time.Time // when the holder took the lock; zero when not known
	Command string    // the holder's command line; empty when not known
}

func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("log directory %s is locked by another process", e.Dir)
	}
	return fmt.Sprintf("log directory %s is locked by process %d (%s) since %s",
		e.Dir, e.PID, e.Command, e.Since.Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }
