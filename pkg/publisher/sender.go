package publisher

import (
	"cmp"
	"time"

	"github.com/logbraid/logbraid/internal/natsconn"
)

// sender is the one goroutine that talks to the broker: it takes what the ring
// holds, has it delivered, tells of drops, and ends the run. While it awaits an
// acknowledgement the next batch grows by itself, so there is no timer for
// batches, and none at all while it is idle.
//
//	emit ── put ──> ring ──┐          ┌── publish ──> broker ──> collector
//	  └── wake (if idle) ──┴─ sender ─┤
//	                                  └── answer: release, tell, end flushes
func (p *Publisher) sender(c *courier) {
	defer func() {
		natsconn.WakeMonitor()
		close(p.done)
	}()
	defer c.link.close()
	for {
		p.over.tell()
		sent, err := c.send(p.abort)
		if err != nil {
			return
		}
		if sent {
			p.progressed()
			continue
		}
		if p.closed.Load() {
			if !p.over.seal() {
				continue // something came in between
			}
			p.ended = c.end(p.abort) == nil
			return
		}
		p.sleep()
	}
}

// progressed is what follows from an acknowledgement.
func (p *Publisher) progressed() {
	p.over.progressed()
	if p.flushes.n.Load() > 0 {
		_, released := p.ring.Progress()
		p.flushes.reached(released)
	}
}

// sleep ends when there is something to do.
func (p *Publisher) sleep() {
	p.idle.Store(true)
	// Whoever appended before the store saw a sender that is awake.
	if admitted, released := p.ring.Progress(); admitted != released || p.over.outage.active.Load() {
		p.idle.Store(false)
		return
	}
	select {
	case <-p.wake:
	case <-p.closing:
		p.idle.Store(false)
	}
}

// rouse wakes the sender, if it sleeps; otherwise it costs one load.
func (p *Publisher) rouse() {
	if p.idle.Load() && p.idle.CompareAndSwap(true, false) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// finish ends what New began, after the sender: the drainer, the connection, the
// crash output, the ring. A ring file stays unless the run was ended.
func (p *Publisher) finish() {
	defer close(p.finished)
	<-p.done
	p.awaitDrain()
	p.crash.close()
	if p.ended {
		p.complain("remove buffer", p.ring.Remove())
	} else {
		p.ring.Seal() // tells whoever drains the file that this was no sudden death
		p.complain("close buffer", p.ring.Close())
	}
	p.nc.Close()
}

// drainPatience is how long the drainer may go without an acknowledgement while Close waits for it: what the next answer takes
// when one was lost. A file that nobody takes any more must not hold up every end of every run.
const drainPatience = 2 * time.Second

// awaitDrain lets the drainer go on in Close's time: a worker that is shorter than the delivery of what its earlier
// runs have left would never come to the end of it, however often it is started.
func (p *Publisher) awaitDrain() {
	for before, waiting := p.drainProgress.Load(), true; waiting; {
		select {
		case <-p.drained:
			waiting = false
		case <-p.abort:
			waiting = false
		case <-time.After(cmp.Or(p.cfg.drain, drainPatience)):
			now := p.drainProgress.Load()
			waiting, before = now != before, now
		}
	}
	p.stopDrain()
	<-p.drained
}

func (p *Publisher) complain(what string, err error) {
	if err != nil {
		p.cfg.Diagnostics.Error(what, "error", err)
	}
}

// grace is how long Close waits beyond its deadline for the sender, which ends at
// once unless it stands in a write to a broker that does not read.
const grace = 100 * time.Millisecond
