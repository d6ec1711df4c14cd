// Package status carries a running collector's numbers to who asks for them: as
// JSON and as a table, over a Unix socket in the log directory (so that nothing
// needs to be configured to ask a collector on the same machine) and over HTTP.
package status

import (
	"cmp"
	"slices"
	"time"

	"github.com/logbraid/logbraid/pkg/collector"
)

// Report is what GET /stats answers. Its JSON form only ever gains fields.
type Report struct {
	PID       int       `json:"pid"`
	Version   string    `json:"version"`
	Dir       string    `json:"dir"` // absolute
	Started   time.Time `json:"started"`
	Connected bool      `json:"connected"`
	Stalled   string    `json:"stalled,omitempty"` // why nothing can be committed; empty: all is well

	Delivery string  `json:"delivery"`
	Stream   *Stream `json:"stream,omitempty"` // in stream delivery

	Totals      Totals `json:"totals"`
	Duplicates  uint64 `json:"duplicates"`
	Batches     uint64 `json:"batches"`
	Bytes       uint64 `json:"bytes"`
	Commits     uint64 `json:"commits"`
	Failures    uint64 `json:"failures"`
	Wanted      uint64 `json:"wanted"`
	Foreign     uint64 `json:"foreign"`
	ForeignLost uint64 `json:"foreign_lost"`
	Rejected    uint64 `json:"rejected"`
	Discarded   uint64 `json:"discarded"`
	Own         uint64 `json:"own"`
	Queued      int    `json:"queued"`
	QueuedBytes int    `json:"queued_bytes"`

	Runs     []Run     `json:"runs"` // by app, worker, run
	Handlers []Handler `json:"handlers"`
}

// Stream is how the stream fares; what the broker knows of it is about a second old.
type Stream struct {
	Name         string    `json:"name"`
	Created      time.Time `json:"created"`
	Committed    uint64    `json:"committed"` // seq up to which the log holds everything
	Last         uint64    `json:"last"`
	Pending      uint64    `json:"pending"`       // messages that the log does not hold yet
	PendingBytes uint64    `json:"pending_bytes"` // about
	Messages     uint64    `json:"messages"`
	Bytes        uint64    `json:"bytes"`
	MaxBytes     uint64    `json:"max_bytes"`         // 0: no bound
	Room         uint64    `json:"room"`              // bytes left; 0 with no bound
	Trouble      string    `json:"trouble,omitempty"` // why nothing can be read; empty: all is well
}

// Totals are I9's numbers in records: Logged + Excess = Written + Dropped + Lost.
type Totals struct {
	Logged  uint64 `json:"logged"`
	Written uint64 `json:"written"`
	Dropped uint64 `json:"dropped"`
	Lost    uint64 `json:"lost"`
	Excess  uint64 `json:"excess"`
}

// Run is one run of a publisher.
type Run struct {
	App    string `json:"app"`
	Worker string `json:"worker"`
	Run    string `json:"run,omitempty"`
	Totals
	Ended bool `json:"ended"`
}

// Handler is one destination.
type Handler struct {
	Name    string `json:"name"`
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
	Skipped uint64 `json:"skipped"`
	Errors  uint64 `json:"errors"`
	Files   int    `json:"files"`
}

// NewReport makes a report of a collector's numbers. The fields that say who is
// reporting (PID, Version, Dir) are left to the caller.
func NewReport(s collector.Stats) Report {
	r := Report{
		Started: s.Started, Connected: s.Connected, Totals: Totals(s.Totals),
		Duplicates: s.Duplicates, Batches: s.Batches, Bytes: s.Bytes, Commits: s.Commits, Failures: s.Failures,
		Wanted: s.Wanted, Foreign: s.Foreign, ForeignLost: s.ForeignLost, Rejected: s.Rejected, Discarded: s.Discarded,
		Own: s.Own, Queued: s.Queued, QueuedBytes: s.QueuedBytes,
		Runs: make([]Run, len(s.Runs)), Handlers: make([]Handler, len(s.Handlers)),
	}
	if s.Stalled != nil {
		r.Stalled = s.Stalled.Error()
	}
	r.Delivery = s.Delivery
	if t := s.Stream; t != nil {
		r.Stream = &Stream{
			Name: t.Name, Created: t.Created, Committed: t.Committed, Last: t.Last, Pending: t.Pending, PendingBytes: t.PendingBytes,
			Messages: t.Messages, Bytes: t.Bytes, MaxBytes: t.MaxBytes, Room: t.MaxBytes - min(t.MaxBytes, t.Bytes),
		}
		if t.Trouble != nil {
			r.Stream.Trouble = t.Trouble.Error()
		}
	}
	for i, run := range s.Runs {
		r.Runs[i] = Run{App: run.App, Worker: run.Worker, Run: run.Run, Totals: Totals(run.Totals), Ended: run.Ended}
	}
	slices.SortFunc(r.Runs, func(a, b Run) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Worker, b.Worker), cmp.Compare(a.Run, b.Run))
	})
	for i, h := range s.Handlers {
		r.Handlers[i] = Handler(h)
	}
	return r
}

// Health is nil when the collector can do its work.
func (r Report) Health() error {
	switch {
	case r.Stalled != "":
		return unhealthy("cannot commit: " + r.Stalled)
	case !r.Connected:
		return unhealthy("not connected to NATS")
	case r.Stream != nil && r.Stream.Trouble != "":
		return unhealthy("cannot read the stream: " + r.Stream.Trouble)
	}
	return nil
}

type unhealthy string

func (u unhealthy) Error() string { return string(u) }

// Workers sums the runs of each worker, in the order of Runs.
func (r Report) Workers() []Run {
	var workers []Run
	for _, run := range r.Runs {
		n := len(workers) - 1
		if n < 0 || workers[n].App != run.App || workers[n].Worker != run.Worker {
			workers = append(workers, Run{App: run.App, Worker: run.Worker, Ended: true})
			n++
		}
		w := &workers[n]
		w.Logged += run.Logged
		w.Written += run.Written
		w.Dropped += run.Dropped
		w.Lost += run.Lost
		w.Excess += run.Excess
		w.Ended = w.Ended && run.Ended
	}
	return workers
}
