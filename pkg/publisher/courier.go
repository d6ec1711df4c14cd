package publisher

import (
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/compress"
	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/record"
)

// A courier carries what a ring holds to the collector: the oldest batch, the same
// bytes again until they are acknowledged (I1, I2), and only then released (I3); in
// direct delivery, where it is worth it, the one behind it at the same time. It serves a living publisher and the drainer of a dead one alike, and both
// deliveries: they differ in who answers, and in what words (stored.go). One
// goroutine uses it; it is the only one that calls nc.Publish, which can block.
type courier struct {
	link    *link
	ring    *ring.Ring
	subject string
	stream  string        // that stores the batches; "" in direct delivery
	batch   int           // most bytes in a message, before it is compressed
	window  window        // how many of them now
	encode  bool          // compress batches
	timeout time.Duration // first wait for an answer; 0 is 1 s
	diag    *slog.Logger
	resent  *atomic.Uint64

	// rejected is told of records that were given up.
	rejected func(d drops)

	ahead   *parcel   // was sent before its turn; nil: nothing
	suspect uint64    // records up to this seq were rejected together: they go one by one
	cut     []byte    // a record that is longer than the broker takes
	blocks  [2][]byte // compressed batches: the one in turn, and the one ahead of its turn
	timer   *time.Timer
	silence notice
	refusal refusal
}

var (
	errAborted = errors.New("given up")
	errSmaller = errors.New("to be sent in smaller messages")
)

// patience is how often a batch must be rejected to be given up: a message that
// was damaged on its way will not be the next time.
const patience = 3

// A parcel is a batch as it goes out.
type parcel struct {
	batch record.Batch
	size  int // bytes of its lines
	msg   *nats.Msg
	began time.Time
	slot  int // of the courier's blocks
}

// pack makes a parcel of lines, which no other parcel that is under way has the slot of.
func (c *courier) pack(b record.Batch, lines []byte, slot int) *parcel {
	b.CRC = record.Checksum(lines)
	p := &parcel{batch: b, size: len(lines), began: time.Now(), slot: slot}
	payload := lines
	if c.encode {
		block, worth := compress.Encode(c.blocks[slot], lines)
		if c.blocks[slot] = block; worth {
			p.batch.Enc, payload = record.S2, block
		}
	}
	p.msg = &nats.Msg{Subject: c.subject, Reply: c.link.nextReply(), Header: c.headers(p.batch), Data: payload}
	return p
}

// send delivers the oldest batch and releases what was acknowledged. It reports
// false when there was none, and errAborted when stop was closed first.
func (c *courier) send(stop <-chan struct{}) (bool, error) {
	p, tries, sent := c.ahead, patience, 1
	c.ahead = nil
	if p == nil {
		if p, tries = c.oldest(); p == nil {
			return false, nil
		}
		sent = 0
	}
	a, err := c.deliver(p, sent, tries, stop)
	switch {
	case errors.Is(err, errSmaller):
		return true, nil // take a smaller batch
	case err != nil:
		return false, err
	case a.Kind == record.AckReject:
		c.ahead = nil
		c.giveUp(p.batch, a.Reason)
	default:
		c.acknowledged(p, a.Seq)
	}
	return true, nil
}

// oldest is the batch that is sent first, nil if the ring is empty, and how often it may be rejected.
func (c *courier) oldest() (p *parcel, tries int) {
	limit := c.link.limit(c.batch)
	payload, b, ok := c.ring.Next(min(limit, c.window.now), math.MaxInt)
	if !ok {
		return nil, 0
	}
	tries = patience
	if b.First <= c.suspect {
		payload, b, _ = c.ring.Next(limit, 1)
		tries = 1
	}
	if len(payload) > limit {
		// It stands in front of all others, so it goes out shortened, always in
		// the same way.
		c.cut = record.Truncate(c.cut[:0], payload, limit)
		payload = c.cut
	}
	return c.pack(b, payload, 0), tries
}

// sendAhead sends the batch behind p, so that it is there when the collector has written p: where a commit waits for
// the disk, it would wait for the next batch otherwise. Only whole batches, in direct delivery, and as long as
// acknowledgements are prompt: then nobody is short of anything.
//
// It is forgotten as soon as anything but an acknowledgement of p comes, and sent again in its turn: what is unacknowledged
// is sent again from its first record (I2), and the collector orders and counts by seq (I4).
func (c *courier) sendAhead(p *parcel) {
	if c.stream != "" || p.batch.End || p.batch.First <= c.suspect || !c.window.wide {
		return
	}
	payload, b, ok := c.ring.NextBehind(p.batch.Count, min(c.link.limit(c.batch), c.window.now), math.MaxInt)
	if !ok || b.First != p.batch.Last+1 || len(payload) < c.window.now/2 || len(payload) > c.window.now {
		return // too little; or behind drops, where the collector would refuse it (ADR 5)
	}
	if next := c.pack(b, payload, 1-p.slot); c.link.nc.PublishMsg(next.msg) == nil {
		c.ahead = next
	}
}

// acknowledged releases what the collector has, as far as it was sent.
func (c *courier) acknowledged(p *parcel, seq uint64) {
	last := p.batch.Last
	switch {
	case c.ahead == nil:
	case seq >= c.ahead.batch.First: // the answer to p was lost
		last, c.ahead = c.ahead.batch.Last, nil
	case seq < last:
		c.ahead = nil
	}
	c.ring.Release(min(seq, last))
	c.window.acked(p.size, time.Since(p.began))
}

// giveUp drops a record that was rejected, or makes a rejected batch go as it is, then record
// by record, so that it costs only those that are to blame.
func (c *courier) giveUp(b record.Batch, reason string) {
	c.diag.Error("the collector rejects a batch", "first", b.First, "last", b.Last, "count", b.Count, "reason", reason)
	if b.Enc != "" {
		// It may be the encoding that cannot be read there. Better no compression than records lost.
		c.diag.Warn("batches are not compressed any more: the next may go through as they are")
		c.encode = false
		return
	}
	if b.Count > 1 {
		c.suspect = b.Last
		return
	}
	level, _ := c.ring.Discard()
	d := drops{count: 1, first: b.First, last: b.Last}
	d.levels[level] = 1
	d.reasons[ring.Rejected] = 1
	c.rejected(d)
}

// end delivers the closing statement of the run.
func (c *courier) end(stop <-chan struct{}) error {
	b := c.ring.Seal()
	if b.Last == 0 {
		return nil // nobody has heard of this run
	}
	a, err := c.deliver(c.pack(b, nil, 0), 0, patience, stop)
	if err == nil && a.Kind == record.AckReject {
		c.diag.Error("the collector rejects the end of the run", "last", b.Last, "dropped", b.Dropped, "reason", a.Reason)
	}
	return err
}

// backoff doubles a pause, with jitter, so that many publishers do not act as one.
type backoff struct{ first, most, now time.Duration }

func (b *backoff) next() time.Duration {
	b.now = min(max(b.first, 2*b.now), b.most)
	return b.now + rand.N(b.now/2)
}

// notice keeps a message that could be repeated for ever to one in 30 seconds.
type notice struct{ last time.Time }

func (n *notice) due() bool {
	now := time.Now()
	if !n.last.IsZero() && now.Sub(n.last) < 30*time.Second {
		return false
	}
	n.last = now
	return true
}
