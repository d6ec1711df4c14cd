package publisher

import (
	"errors"
	"time"

	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/record"
)

// msgRecovered is the record that ends what the first "records dropped" began.
const msgRecovered = "buffer recovered"

const (
	// recoveredAt is how full the buffer may be, in percent, when an outage is over.
	recoveredAt = 50
	// tellEvery spaces the records that tell of drops while an outage goes on.
	tellEvery = time.Second
)

// tell says in the stream itself what was dropped, as soon as there is room, and
// that it is over. The sender calls it: after every acknowledgement, and when it
// is woken. Without an outage it costs one load.
func (o *overflow) tell() {
	if !o.outage.active.Load() {
		return
	}
	now := time.Now()
	o.mu.Lock()
	dropped, recovered := o.tellLocked(now)
	took := now.Sub(o.outage.began)
	o.mu.Unlock()
	if recovered {
		o.diag.Info("buffer recovered", "dropped", dropped, "duration", took)
	}
}

func (o *overflow) tellLocked(now time.Time) (dropped uint64, recovered bool) {
	over := o.ring.Fill() <= recoveredAt
	if o.untold.count > 0 && (over || now.Sub(o.toldAt) >= tellEvery) {
		line := record.GetLine()
		defer line.Free()
		o.untold.start(line, now)
		if _, err := o.ring.AppendTold(line.Finish(ownRecord), o.untold.count, o.untold.last); err != nil {
			return 0, false // no room yet
		}
		o.untold, o.toldAt = drops{}, now
	}
	if !over || o.untold.count > 0 {
		return 0, false
	}
	dropped = o.outage.dropped
	if dropped > 0 {
		line := record.GetLine()
		defer line.Free()
		line.Start(now, record.Info, record.OwnLogger, msgRecovered)
		line.Uint("dropped", dropped)
		line.Duration("duration", now.Sub(o.outage.began))
		if _, err := o.ring.Append(line.Finish(ownRecord), 100); errors.Is(err, ring.ErrFull) {
			return 0, false
		}
	}
	o.outage.dropped = 0
	o.outage.active.Store(false)
	o.shedding.Store(!o.block)
	return dropped, true
}

// ownRecord is the length that a record of the publisher's own may have.
const ownRecord = 4 << 10

// start begins the record that tells of d.
func (d *drops) start(line *record.Line, now time.Time) {
	line.Start(now, record.Warn, record.OwnLogger, record.MsgDropped)
	line.Uint("count", d.count)
	line.Uint("first", d.first)
	line.Uint("last", d.last)
	line.OpenGroup("levels")
	for level, n := range d.levels {
		if n > 0 {
			name := record.Level(level).String()
			if level == 0 {
				name = "unknown"
			}
			line.Uint(name, n)
		}
	}
	line.CloseGroup()
	line.OpenGroup("reasons")
	for reason, n := range d.reasons {
		if n > 0 {
			line.Uint(ring.Reason(reason).String(), n)
		}
	}
	line.CloseGroup()
}
