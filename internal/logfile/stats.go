package logfile

import (
	"sync/atomic"
	"time"
)

// Stats are counters since Open, and a few gauges.
type Stats struct {
	Commits     uint64        // commits whose done got nil
	Failures    uint64        // failed commits, rotations and checks
	Bytes       uint64        // written to log files, committed or not
	Rotations   uint64        //
	Syncs       uint64        // groups of fsyncs
	SyncTime    time.Duration // spent in them
	Compactions uint64        // of the journal
	Journal     int64         // bytes of the journal
	Runs        int           // in the table
	Open        int           // descriptors of log files
}

type counters struct {
	commits, failures, bytes, rotations, syncs, compactions atomic.Uint64
	syncTime, journal, runs, open                           atomic.Int64
}

// Stats may be called from any goroutine.
func (s *Store) Stats() Stats {
	c := &s.stats
	return Stats{
		Commits:     c.commits.Load(),
		Failures:    c.failures.Load(),
		Bytes:       c.bytes.Load(),
		Rotations:   c.rotations.Load(),
		Syncs:       c.syncs.Load(),
		SyncTime:    time.Duration(c.syncTime.Load()),
		Compactions: c.compactions.Load(),
		Journal:     c.journal.Load(),
		Runs:        int(c.runs.Load()),
		Open:        int(c.open.Load()),
	}
}
