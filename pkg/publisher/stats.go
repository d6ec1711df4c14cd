package publisher

import (
	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/record"
)

// Stats are a publisher's numbers, of one moment. I9 holds at any time:
//
//	Logged = Acked + Dropped + Buffered
type Stats struct {
	Logged   uint64 // records that got a seq, the publisher's own among them
	Acked    uint64 // of those, acknowledged
	Dropped  uint64 // dropped; Drops tells which and why
	Buffered uint64 // not acknowledged yet

	Drops   []Drop
	Refused uint64 // came after Close; they have no seq
	Resent  uint64 // messages that were sent again

	BufferUsed int // bytes
	BufferSize int // bytes
	Connected  bool
}

// A Drop counts the records of a level that were dropped for a reason. Level 0
// is one that could not be read.
type Drop struct {
	Level  record.Level
	Reason string // "buffer full", "timeout", "too long", "rejected", "unknown"
	Count  uint64
}

// Stats can be called at any time, also after Close.
func (p *Publisher) Stats() Stats {
	if p.console != nil {
		n := p.console.count()
		return Stats{Logged: n, Acked: n, Refused: p.refused.Load()}
	}
	r := p.ring.Stats()
	s := Stats{
		Logged:     r.Last,
		Dropped:    r.Drops(),
		Buffered:   r.Held,
		Refused:    p.refused.Load(),
		Resent:     p.resent.Load(),
		BufferUsed: r.Used,
		BufferSize: r.Capacity,
		Connected:  p.up.Load(),
	}
	s.Acked = s.Logged - s.Dropped - s.Buffered
	for level, reasons := range r.Dropped {
		for reason, n := range reasons {
			if n > 0 {
				s.Drops = append(s.Drops, Drop{record.Level(level), ring.Reason(reason).String(), n})
			}
		}
	}
	return s
}
