package consumer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/record"
)

// direct reads what is published now.
//
//	connection ──> callback: check, what is new ──> queue ──> reader
//	hooks ─────────── interruptions ──────────────────┘
type direct struct {
	cfg   Config
	nc    *nats.Conn
	sub   *nats.Subscription
	queue *queue

	mu      sync.Mutex
	tracker *tracker
	since   time.Time   // when the connection was lost
	dropped int         // messages that nats.go had no room for, as far as told
	holding *time.Timer // runs while the tracker holds something
}

// holdFor is how long a batch that overtook another waits for it.
const holdFor = 5 * time.Second

func newDirect(ctx context.Context, cfg Config) (*direct, error) {
	d := &direct{cfg: cfg, queue: newQueue(cfg.Buffer)}
	d.tracker = newTracker(cfg.Prefix, cfg.Filter, cfg.Group != "", d.queue.push)
	d.holding = time.AfterFunc(time.Hour, d.release)
	d.holding.Stop()
	subject := cfg.subject()
	failed := func(err error) error { return fmt.Errorf("subscribe to %s: %w", subject, err) }

	refused := make(chan error, 1)
	var err error
	if d.nc, err = natsconn.Connect(cfg.NATS, d.hooks(refused)); err != nil {
		return nil, err
	}
	if cfg.Group != "" {
		d.sub, err = d.nc.QueueSubscribe(subject, cfg.Group, d.receive)
	} else {
		d.sub, err = d.nc.Subscribe(subject, d.receive)
	}
	if err == nil {
		// The queue has a limit of its own, which knows what is left out. This one is for a process that
		// does not get to run at all.
		err = d.sub.SetPendingLimits(-1, max(cfg.Buffer, defaultBuffer))
	}
	if err == nil {
		err = subscribed(ctx, d.nc, refused)
	}
	if err != nil {
		d.nc.Close()
		return nil, failed(err)
	}
	return d, nil
}

// subscribed waits until the server has the subscription; for the server itself first, if need be.
func subscribed(ctx context.Context, nc *nats.Conn, refused <-chan error) error {
	changed := nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer nc.RemoveStatusListener(changed)
	for {
		if nc.IsConnected() {
			wait, cancel := context.WithTimeout(ctx, time.Minute) // nats.go insists on a deadline
			err := nc.FlushWithContext(wait)
			cancel()
			if err == nil {
				// A refusal was sent before the answer to the flush, but its hook is called by another goroutine.
				if last := nc.LastError(); errors.Is(last, nats.ErrPermissionViolation) {
					return <-refused
				}
				return nil
			}
			if ctx.Err() != nil {
				return errors.Join(ctx.Err(), nc.LastError())
			}
		}
		if nc.IsClosed() {
			return errors.Join(nats.ErrConnectionClosed, nc.LastError())
		}
		select {
		case <-changed:
		case <-time.After(time.Second): // a round trip can fail without a change of status
		case <-ctx.Done():
			return errors.Join(ctx.Err(), nc.LastError())
		}
	}
}

func (d *direct) hooks(refused chan<- error) natsconn.Hooks {
	hooks := natsconn.LogHooks(d.cfg.Diagnostics)
	lost, back, fail, closed := hooks.Disconnected, hooks.Reconnected, hooks.Error, hooks.Closed
	hooks.Disconnected = func(nc *nats.Conn, err error) {
		d.mu.Lock()
		if d.since.IsZero() {
			d.since = time.Now()
		}
		d.mu.Unlock()
		lost(nc, err)
	}
	hooks.Reconnected = func(nc *nats.Conn) {
		d.mu.Lock()
		if !d.since.IsZero() {
			d.queue.push(part{news: &Interruption{From: d.since, To: time.Now()}})
		}
		d.since = time.Time{}
		d.mu.Unlock()
		back(nc)
	}
	hooks.Error = func(nc *nats.Conn, err error) {
		fail(nc, err)
		var pe *natsconn.PermissionError
		if errors.As(err, &pe) {
			select {
			case refused <- err:
			default:
			}
			d.queue.end(err)
		}
	}
	hooks.Closed = func(nc *nats.Conn) {
		closed(nc)
		d.queue.end(errors.Join(nats.ErrConnectionClosed, nc.LastError()))
	}
	return hooks
}

// receive takes a message from the connection. It never waits for the reader.
func (d *direct) receive(m *nats.Msg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n, err := m.Sub.Dropped(); err == nil && n > d.dropped {
		d.queue.push(part{news: &Interruption{Messages: n - d.dropped}})
		d.dropped = n
	}
	d.tracker.take(messageOf(m.Subject, m.Header, m.Data, time.Now()))
	if d.tracker.held > 0 {
		d.holding.Reset(holdFor)
	}
}

// release gives up waiting for what was overtaken.
func (d *direct) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tracker.releaseAll()
}

func messageOf(subject string, header nats.Header, data []byte, at time.Time) message {
	values := header[record.HeaderName]
	return message{
		subject: subject,
		header:  strings.Join(values, "\n"), // two headers read like none that is valid
		batch:   len(values) > 0,
		data:    data,
		at:      at,
	}
}

func (d *direct) next(ctx context.Context) (part, error) { return d.queue.next(ctx) }

func (d *direct) close() {
	d.holding.Stop()
	d.queue.end(ErrClosed)
	d.nc.Close()
}
