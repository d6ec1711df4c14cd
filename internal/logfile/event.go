package logfile

import (
	"fmt"
	"strings"
	"time"
)

// Event is one thing that a person should know. Which fields are set depends on
// the kind.
type Event struct {
	Kind     EventKind
	Path     string // the file or directory
	Kept     string // where the damaged or renamed original is now
	Expected int64  // bytes: what the checkpoint says
	Found    int64  // bytes: what is there
	Detail   string // what else is known, as a sentence
	Err      error
}

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	// Damaged: a log file is shorter than committed, or has other content.
	Damaged EventKind = iota + 1
	// JournalDamaged: entries of the journal could not be read.
	JournalDamaged
	// Rebuilt: the run table was rebuilt from the log files.
	Rebuilt
	// Truncated: bytes that were never committed were cut off at start.
	Truncated
	// PowerCut: the store went back to an older checkpoint, because committed
	// bytes had not reached the disk.
	PowerCut
	// PassedOver: likewise, but what it went back behind was to be acknowledged only
	// once it was on the disk.
	PassedOver
	// Renamed: someone else renamed the file; a new one was begun.
	Renamed
	// Deleted: someone else deleted the file; a new one was begun.
	Deleted
	// Emptied: someone else made the file shorter (copytruncate).
	Emptied
	// Appended: someone else wrote into the file.
	Appended
	// DirectoryLost: the directory is gone, or something else is in its place.
	DirectoryLost
	// DirectoryBack: a lost directory was taken up again or made anew.
	DirectoryBack
	// Full: the disk is full; nothing is committed until there is room.
	Full
	// Failed: a write or fsync failed; nothing is committed until it works.
	Failed
	// Resumed: commits work again.
	Resumed
	// HousekeepingFailed: a rotated file could not be compressed or removed.
	HousekeepingFailed
)

var eventNames = [...]string{
	Damaged: "log file damaged", JournalDamaged: "journal damaged", Rebuilt: "run table rebuilt",
	Truncated: "uncommitted bytes cut off", PowerCut: "went back to an older checkpoint",
	PassedOver: "checkpoint passed over",
	Renamed:    "log file renamed by someone else", Deleted: "log file deleted by someone else",
	Emptied: "log file shortened by someone else", Appended: "log file written by someone else",
	DirectoryLost: "log directory lost", DirectoryBack: "log directory is back",
	Full: "disk full", Failed: "write failed", Resumed: "writing again",
	HousekeepingFailed: "housekeeping failed",
}

func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return fmt.Sprintf("event %d", k)
}

// String is the event as one sentence.
func (e Event) String() string {
	var b strings.Builder
	b.WriteString(e.Kind.String())
	if e.Path != "" {
		fmt.Fprintf(&b, ": %s", e.Path)
	}
	if e.Expected != e.Found {
		fmt.Fprintf(&b, ": committed %d bytes, found %d", e.Expected, e.Found)
	}
	if e.Kept != "" {
		fmt.Fprintf(&b, ", kept as %s", e.Kept)
	}
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %s", e.Detail)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Recovery says what Open found.
type Recovery struct {
	// Fresh: there was no journal and nothing to rebuild one from.
	Fresh bool
	// Took is how long it took.
	Took time.Duration
	// Cut is how many uncommitted bytes were cut off log files.
	Cut int64
	// Events are all findings; each was given to Options.Report as well.
	Events []Event
}
