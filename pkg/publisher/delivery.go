package publisher

import (
	"cmp"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/pkg/record"
)

// A delivery is one message, published until an answer settles it.
type delivery struct {
	c     *courier
	p     *parcel
	sent  int // how often it was published
	tries int // with the next so many rejections it is given up

	lost    backoff // until it is published again, without an answer
	refused backoff // the same, when nobody is there or not this one is wanted
}

// deliver publishes one message until there is an answer that settles it: an
// acknowledgement of its first record at least, or as many rejections as tries. sent is
// how often it was published before.
func (c *courier) deliver(p *parcel, sent, tries int, stop <-chan struct{}) (record.Ack, error) {
	if c.timer == nil {
		c.timer = time.NewTimer(time.Hour)
	}
	defer c.timer.Stop()
	d := delivery{
		c: c, p: p, sent: sent, tries: tries,
		lost:    backoff{first: cmp.Or(c.timeout, time.Second), most: max(c.timeout, 5*time.Second)},
		refused: backoff{first: 10 * time.Millisecond, most: time.Second / 2},
	}
	for published := sent > 0; ; published = false {
		if !published {
			if err := d.publish(); err != nil {
				return record.Ack{}, err
			}
		}
		if d.sent == 1 && c.ahead == nil {
			c.sendAhead(p)
		}
		if a, settled, err := d.wait(stop); settled || err != nil {
			return a, err
		}
	}
}

// publish hands the message to the connection. An error means that smaller ones should go instead; that there is no
// connection is none.
func (d *delivery) publish() error {
	c, msg, b := d.c, d.p.msg, &d.p.batch
	if d.sent > 0 {
		c.ahead = nil
		if c.window.split(d.p.size, b.Count) {
			c.resent.Add(1)
			return errSmaller
		}
		if b.Oldest < b.First { // it was sent ahead of what is released now
			b.Oldest = b.First
			msg.Header = c.headers(*b)
		}
	}
	c.link.forgetUps()
	err := c.link.nc.PublishMsg(msg)
	switch {
	case err == nil:
		if d.sent++; d.sent > 1 {
			c.resent.Add(1)
		}
	case errors.Is(err, nats.ErrMaxPayload) && d.p.size > c.link.limit(c.batch):
		return errSmaller // the limit has changed
	case c.link.nc.Status() == nats.CONNECTED && c.silence.due(): // otherwise the link tells when it is
		c.diag.Warn("publish records", "error", err)
	}
	return nil
}

// wait is for an answer that settles it. Without one it ends when it is time to publish again.
func (d *delivery) wait(stop <-chan struct{}) (a record.Ack, settled bool, err error) {
	c := d.c
	c.timer.Reset(d.lost.next())
	heard := false // from the broker, since the message went out
	for {
		select {
		case m := <-c.link.answers:
			heard = true
			if a, settled := d.answered(m); settled {
				return a, true, nil
			}
		case <-c.timer.C:
			if !heard {
				c.link.probe.start(c.diag)
			}
			return record.Ack{}, false, nil
		case <-c.link.up:
			return record.Ack{}, false, nil
		case <-stop:
			return record.Ack{}, false, errAborted
		}
	}
}

// answered takes an answer, and reports whether it settles the delivery. An answer to an older message will do where it is an
// acknowledgement, which is cumulative.
func (d *delivery) answered(m *nats.Msg) (a record.Ack, settled bool) {
	c, b := d.c, d.p.batch
	a, ours := c.read(m, d.p.msg.Reply, b)
	switch {
	case a.Kind == record.AckCommitted && !b.End && a.Seq >= b.First:
		return a, true
	case !ours:
		if c.ahead != nil && m.Subject == c.ahead.msg.Reply {
			c.ahead = nil // refused, for a reason that its next answer tells
		}
		return a, false
	case a.Kind == record.AckCommitted:
		return a, b.End && a.Seq >= b.Last
	case a.Kind == record.AckReject:
		if d.tries--; d.tries <= 0 {
			return a, true
		}
	}
	// Not taken now, rejected and to be tried again, nobody there, or the collector wants what
	// comes before: it gets the oldest that we hold, which is this.
	c.timer.Reset(d.refused.next())
	if a.Kind == 0 && d.refused.now == d.refused.most && c.silence.due() {
		c.diag.Warn(c.absent(), "subject", c.subject)
	}
	return a, false
}

// read understands an answer. ours: it is one to the message in flight, b. The zero
// Ack stands for "no responders".
func (c *courier) read(m *nats.Msg, reply string, b record.Batch) (a record.Ack, ours bool) {
	ours = m.Subject == reply
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return record.Ack{}, ours
	}
	if c.stream != "" {
		// A PubAck names no batch, so one to an older message says nothing.
		if !ours {
			return record.Ack{}, false
		}
		return c.readStored(m.Data, b)
	}
	a, err := record.ParseAck(m.Data)
	if err != nil || a.Run != c.ring.Info().Identity.Run {
		if c.silence.due() {
			c.diag.Warn("answer is not for this run; a stream answers where LOGBRAID_DELIVERY should be stream", "error", err, "run", a.Run)
		}
		return record.Ack{}, false
	}
	return a, ours
}
