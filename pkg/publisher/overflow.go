package publisher

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/record"
)

// overflow puts records into the buffer, and decides what becomes of one for
// which there is no room: it waits, or it is dropped, counted and told.
//
// An outage begins when the buffer is full. In mode block, calls then wait until
// BlockTimeout has passed without a single record being acknowledged; from then
// on nobody waits any more, and each level has its share of the buffer, as in
// mode shed from the beginning. The outage is over when half of the buffer is free.
type overflow struct {
	ring    *ring.Ring
	block   bool
	timeout time.Duration
	rest    time.Duration
	diag    *slog.Logger
	closing <-chan struct{}

	// shedding: each level has its share. In mode shed always.
	shedding atomic.Bool

	gate    chan struct{} // holds one: the call that waits in front; the others stand behind, in order
	waiting atomic.Int32  // what the one in front does: nobodyWaits, resting or rested
	room    chan struct{} // the sender gave back room
	since   atomic.Int64  // when the wait without progress began, Unix nanoseconds; 0: there was progress

	// Drops have their seq given and are noted under mu, so that what is told is exact.
	mu     sync.Mutex
	untold drops
	outage outage
	toldAt time.Time
}

// A call that waits rests until half of the buffer is free, or for a moment: a program that goes on for each message that is
// acknowledged, a few milliseconds long, and waits again, spends a good part of its time on going to sleep and waking up. Go's
// monitor thread alone wakes fifty times whenever a process that was idle has something to do.
const (
	roomy   = 50 // percent in use
	maxRest = 50 * time.Millisecond
)

// States of overflow.waiting.
const (
	nobodyWaits = iota
	resting     // goes on when much is free
	rested      // goes on when anything is free
)

// drops are records that were dropped, with the range of their seqs.
type drops struct {
	count, first, last uint64
	levels             [record.Panic + 1]uint64
	reasons            [ring.Unknown + 1]uint64
}

func (d *drops) add(o drops) {
	if o.count == 0 {
		return
	}
	if d.count == 0 || o.first < d.first {
		d.first = o.first
	}
	d.last = max(d.last, o.last)
	d.count += o.count
	for i, n := range o.levels {
		d.levels[i] += n
	}
	for i, n := range o.reasons {
		d.reasons[i] += n
	}
}

// outage is what will be told when it is over. active is also read without mu.
type outage struct {
	active  atomic.Bool
	began   time.Time
	dropped uint64
}

func newOverflow(r *ring.Ring, cfg Config, closing <-chan struct{}) *overflow {
	o := &overflow{
		ring:    r,
		block:   cfg.Overflow == Block,
		timeout: cfg.BlockTimeout,
		diag:    cfg.Diagnostics,
		closing: closing,
		gate:    make(chan struct{}, 1),
		room:    make(chan struct{}, 1),
		rest:    min(maxRest, cfg.BlockTimeout/4),
	}
	o.shedding.Store(!o.block)
	return o
}

// share is how many percent of the buffer may be in use after a record of this
// level was taken, while shedding.
func share(level record.Level) int {
	switch {
	case level <= record.Debug:
		return 70
	case level == record.Info:
		return 90
	}
	return 100
}

// put takes the record or drops it. An error means that the run is over, and
// the record was neither.
func (o *overflow) put(level record.Level, body []byte) error {
	limit := 100
	if o.shedding.Load() {
		limit = share(level)
	}
	_, err := o.ring.Append(body, limit)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ring.ErrFull):
		if o.block && !o.shedding.Load() {
			return o.wait(level, body)
		}
		return o.drop(level, ring.Full)
	case errors.Is(err, ring.ErrTooLong):
		return o.drop(level, ring.TooLong)
	}
	return err
}

// wait stands at the gate until there is room or the time is spent. Whoever
// finds it spent opens the gate for all: from then on they shed. A call's own
// wait counts from its beginning, also while others are served before it.
func (o *overflow) wait(level record.Level, body []byte) error {
	end := time.Now().Add(o.timeout)
	timer := time.NewTimer(o.timeout)
	defer timer.Stop()
	select {
	case o.gate <- struct{}{}:
		defer func() { <-o.gate }()
	case <-timer.C:
		o.giveUp()
		return o.last(level, body)
	case <-o.closing:
		return o.last(level, body)
	}
	o.waiting.Store(resting)
	defer o.waiting.Store(nobodyWaits)
	now := time.Now()
	restUntil := now.Add(o.rest)
	for ; !o.shedding.Load(); now = time.Now() {
		rests := now.Before(restUntil)
		if !rests {
			o.waiting.Store(rested) // before it looks for room: what is freed behind that wakes it up
		}
		if _, err := o.ring.Append(body, 100); !errors.Is(err, ring.ErrFull) {
			return err
		}
		// The sender may clear since at any time: then the wait begins anew.
		o.since.CompareAndSwap(0, now.UnixNano())
		until := end
		if since := o.since.Load(); since != 0 {
			if t := time.Unix(0, since).Add(o.timeout); t.Before(end) {
				until = t
			}
		}
		if rests = rests && restUntil.Before(until); rests {
			until = restUntil
		}
		timer.Reset(until.Sub(now))
		select {
		case <-o.room:
		case <-timer.C:
			if rests {
				continue // there may be room that was not worth waking up for
			}
			// Unless there was progress and a time of its own is left.
			if o.since.Load() != 0 || !time.Now().Before(end) {
				o.giveUp()
			}
		case <-o.closing:
			return o.last(level, body)
		}
	}
	return o.last(level, body)
}

// last is the end of a wait: there is room now, or the record is dropped.
func (o *overflow) last(level record.Level, body []byte) error {
	limit := 100
	if o.shedding.Load() {
		limit = share(level)
	}
	if _, err := o.ring.Append(body, limit); !errors.Is(err, ring.ErrFull) {
		return err
	}
	return o.drop(level, ring.Timeout)
}

// giveUp opens the gate: the buffer has been full for as long as a call may wait.
func (o *overflow) giveUp() {
	o.mu.Lock()
	first := !o.shedding.Swap(true)
	o.beginLocked()
	o.mu.Unlock()
	if first {
		o.diag.Warn("the buffer is full and nothing is acknowledged: records are shed", "waited", o.timeout)
	}
}

// drop uses up the record's seq and notes what is to be told.
func (o *overflow) drop(level record.Level, reason ring.Reason) error {
	o.mu.Lock()
	seq, err := o.ring.Drop(level, reason)
	if err != nil {
		o.mu.Unlock()
		return err
	}
	d := drops{count: 1, first: seq, last: seq}
	d.levels[level] = 1
	d.reasons[reason] = 1
	first := o.noteLocked(d)
	o.mu.Unlock()
	o.report(first, d)
	return nil
}

// rejected notes records that were in the buffer and that the collector refuses.
func (o *overflow) rejected(d drops) {
	o.mu.Lock()
	first := o.noteLocked(d)
	o.mu.Unlock()
	o.report(first, d)
}

// noteLocked reports whether these are the first drops of an outage.
func (o *overflow) noteLocked(d drops) bool {
	o.beginLocked()
	o.untold.add(d)
	o.outage.dropped += d.count
	return o.outage.dropped == d.count
}

func (o *overflow) beginLocked() {
	if !o.outage.active.Load() {
		o.outage.began = time.Now()
		o.outage.active.Store(true)
	}
}

func (o *overflow) report(first bool, d drops) {
	if first {
		o.diag.Warn("records are dropped", "first", d.first, "fill", o.ring.Fill())
	}
}

// progressed is called by the sender when records were acknowledged.
func (o *overflow) progressed() {
	if o.since.Load() != 0 {
		o.since.Store(0)
	}
	if w := o.waiting.Load(); w == rested || w == resting && o.ring.Fill() <= roomy {
		natsconn.WakeMonitor()
		select {
		case o.room <- struct{}{}:
		default:
		}
	}
}

// seal ends the run when nothing is left to say: every record acknowledged or given
// up, every drop told, the outage's end as well. The three are looked at under mu
// and the ring's own lock at once, because a log call that began before Close may
// still be on its way. Its record may fit, or be dropped, or be sent and rejected;
// each of these takes seqs of a run that is not over.
func (o *overflow) seal() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.untold.count == 0 && o.outage.dropped == 0 && o.ring.SealEmpty()
}
