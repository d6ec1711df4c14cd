package collector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/internal/natsconn"
)

// direct is delivery without a store: one subscription of one connection, because core NATS keeps the
// order of a publisher's messages within one subscription only.
type direct struct {
	nc     *nats.Conn
	prefix string
	detour *natsconn.Detour // of nc; nil when that is the caller's
	queue  *queue
	sub    *nats.Subscription
}

// replyTo is where the answer to m goes. The publisher chooses it, and we may publish where it may not: an
// answer under our own subjects would come back as a record of somebody who never said it, and one under $ would
// be a request to the server.
func (d *direct) replyTo(m *nats.Msg) string {
	if strings.HasPrefix(m.Reply, d.prefix+".") || strings.HasPrefix(m.Reply, "$") {
		return ""
	}
	return m.Reply
}

func (d *direct) start(ctx context.Context, q *queue, _ logfile.Source) error {
	d.queue = q
	subject := d.prefix + ".>"
	sub, err := d.nc.Subscribe(subject, func(m *nats.Msg) {
		data, pooled, ok := d.detour.Payload(m.Data)
		if !ok {
			return // as if it had not arrived
		}
		next := newMessage(m.Subject, m.Header, data)
		next.pooled = pooled
		next.reply = d.replyTo(m)
		q.push(next)
	})
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	d.sub = sub
	// The queue has a limit of its own, which knows what may be left out.
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	if err := d.subscribed(ctx); err != nil {
		_ = sub.Unsubscribe()
		return fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	return nil
}

// subscribed waits until the server has the subscription; for the server itself first, if need be.
func (d *direct) subscribed(ctx context.Context) error {
	changed := d.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer d.nc.RemoveStatusListener(changed)
	for {
		if d.nc.IsConnected() {
			err := d.roundTrip(ctx)
			// A refused subscription is an error that comes by itself, before the round trip ends.
			last := d.nc.LastError()
			switch {
			case err == nil && errors.Is(last, nats.ErrPermissionViolation) && strings.Contains(last.Error(), d.prefix+".>"):
				return last
			case err == nil || ctx.Err() != nil:
				return err
			}
		}
		if d.nc.IsClosed() {
			return errors.Join(nats.ErrConnectionClosed, d.nc.LastError())
		}
		select {
		case <-changed:
		case <-time.After(time.Second): // a round trip can fail without a change of status
		case <-ctx.Done():
			return errors.Join(ctx.Err(), d.nc.LastError())
		}
	}
}

// roundTrip returns when the server has handled everything sent before, and everything it sent before has
// arrived.
func (d *direct) roundTrip(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		// nats.go insists on a deadline.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Hour)
		defer cancel()
	}
	return d.nc.FlushWithContext(ctx)
}

// committed sends the answers. One that gets lost is no harm: the publisher sends its batch again, and
// I4 answers again.
func (d *direct) committed(g *group) {
	for _, a := range g.answers {
		_ = d.nc.Publish(a.to, a.text)
	}
	g.recycle(d.detour)
}

// rewind leaves to the publishers what they send again by themselves; the rest is kept.
func (d *direct) rewind(messages []message, _ logfile.Source) {
	var kept []message
	for _, m := range messages {
		if !m.resent() {
			kept = append(kept, m)
		}
	}
	d.queue.unshift(kept)
}

func (d *direct) stop(ctx context.Context) error {
	if d.nc.IsClosed() {
		return nil // nothing arrives any more
	}
	// Drain tells the server to send no more; after the round trip nothing is on its way; and behind the
	// barrier the callback has seen all that came. Drain alone would prove nothing.
	_ = d.sub.Drain()
	// Without a server nothing is on its way, and if it goes now, publishers send again.
	if err := d.whileConnected(ctx, d.roundTrip); err != nil {
		return fmt.Errorf("unsubscribe: %w", err)
	}
	delivered := make(chan struct{})
	if err := d.nc.Barrier(func() { close(delivered) }); err != nil {
		return nil // closed meanwhile
	}
	select {
	case <-delivered:
		_ = d.sub.Unsubscribe() // Drain would take its time
		return nil
	case <-ctx.Done():
		return fmt.Errorf("unsubscribe: %w", ctx.Err())
	}
}

// flush is in vain without a server, and harmless: answers that get lost are given again.
func (d *direct) flush(ctx context.Context) error {
	if err := d.whileConnected(ctx, d.roundTrip); err != nil {
		return fmt.Errorf("send answers: %w", err)
	}
	return nil
}

// whileConnected gives up a round trip when the connection is lost: nats.go has it wait for the next connection where the loss comes
// between the question whether there is one and the round trip's own ping. The only error is that ctx has ended.
func (d *direct) whileConnected(ctx context.Context, trip func(context.Context) error) error {
	lost := d.nc.StatusChanged(nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	defer d.nc.RemoveStatusListener(lost)
	if !d.nc.IsConnected() {
		return nil
	}
	under, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-lost:
			cancel()
		case <-under.Done():
		}
	}()
	if err := trip(under); err != nil && ctx.Err() != nil {
		return err
	}
	return nil
}

func (d *direct) connected() bool { return d.nc.IsConnected() }

func (d *direct) stats(*Stats) {}
