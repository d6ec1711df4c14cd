package collector

import "time"

// Stats is a consistent picture of the collector as of its last commit.
type Stats struct {
	Started   time.Time
	Run       string // the run of the collector's own records
	Connected bool
	Stalled   error // why nothing can be committed at present; nil: all is well

	Delivery string       // "direct" or "stream"
	Stream   *StreamStats // nil in direct delivery

	Totals            // over Runs and the runs that were forgotten since the start
	Runs   []RunStats // of publishers; in no order

	Batches    uint64 // batches committed
	Bytes      uint64 // bytes of their records
	Commits    uint64
	Failures   uint64 // commits that failed and were taken back, and looks at the files that found them out of reach
	Duplicates uint64 // records that came again: acknowledged, not written
	Wanted     uint64 // batches refused because older records must come first
	Foreign    uint64 // records of messages without the header
	Rejected   uint64 // messages that did not hold together; they are in rejected.jsonl
	Own        uint64 // records of the collector's own

	Queued      int    // messages that wait for their commit
	QueuedBytes int    // that they take in memory
	Discarded   uint64 // batches not taken because too much was waiting; they are sent again
	ForeignLost uint64 // foreign messages not taken for that reason; they are not

	Handlers []HandlerStats // as in Config: Handlers, then Extra
}

// Totals are the numbers of I9, in records, for one run or several:
//
//	Logged + Excess = Written + Dropped + Lost
//
// What a publisher has given seqs to beyond Logged is in flight.
type Totals struct {
	Logged  uint64 // seqs that the publisher gave, up to the last one committed
	Written uint64 // are in the log
	Dropped uint64 // the publisher says that it dropped them
	Lost    uint64 // nobody can send them any more
	Excess  uint64 // are in the log, although the publisher says that it dropped them; see progress in order.go
}

func (t *Totals) add(p progress) {
	t.Logged += p.last
	t.Written += p.written()
	t.Dropped += p.dropped
	t.Lost += p.lost
	t.Excess += p.excess
}

// RunStats are the numbers of one run.
type RunStats struct {
	App, Worker, Run string
	Totals
	Ended bool // its publisher, or whoever drained its buffer, said that nothing follows
}

// StreamStats are the numbers of the stream. What the broker knows is about a second old.
type StreamStats struct {
	Name      string
	Created   time.Time
	Committed uint64 // seq up to which the log holds everything
	Last      uint64 // seq of the stream's last message

	Pending      uint64 // messages that the log does not hold yet; with others' subjects in the stream, at most
	PendingBytes uint64 // about
	Messages     uint64 // in the stream, with what is kept for analysts
	Bytes        uint64
	MaxBytes     uint64 // room for them; 0: no bound of the stream's own

	Trouble error // why nothing can be read at present; nil: all is well
}

// HandlerStats are the numbers of one handler since the start.
type HandlerStats struct {
	Name    string // its URL, or the name of a user handler
	Records uint64 // written or handled
	Bytes   uint64
	Skipped uint64 // console and user handlers: records left out because too many were waiting
	Errors  uint64 // failed writes to a console, failed calls of a user handler, records that a file's format failed for
	Files   int    // files that it has written to
}

// stats fills in what the table knows.
func (t *table) stats(s *Stats) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Totals = t.forgotten
	s.Runs = make([]RunStats, 0, len(t.runs))
	for _, r := range t.runs {
		if r.local() || r.done == (progress{}) {
			continue
		}
		s.Totals.add(r.done)
		one := RunStats{App: r.id.App, Worker: r.id.Worker, Run: r.id.Run, Ended: r.done.ended}
		one.add(r.done)
		s.Runs = append(s.Runs, one)
	}
	c := &t.counts
	s.Batches, s.Bytes, s.Commits = c.batches, c.bytes, c.commits
	s.Duplicates, s.Wanted, s.Rejected = c.duplicates, c.wanted, c.rejected
	s.Foreign, s.Own = c.foreign, c.own
	for i, r := range c.routes {
		s.Handlers[i].Records, s.Handlers[i].Bytes = r.records, r.bytes
	}
}
