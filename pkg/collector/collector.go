package collector

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/record"
)

// A Collector runs from Start to Close. Its methods may be called by any goroutine.
type Collector struct {
	writer  *writer
	nc      *nats.Conn // to be closed by Close; nil when it is the caller's
	names   []string   // of the handlers
	started time.Time
	abort   context.CancelFunc

	delivery string

	closing sync.Once
	closed  chan struct{} // closed when Close is over
	err     error         // what it returned
}

// Start validates the configuration, all problems at once; takes the lock on the log directory and
// recovers what a crash left (I6); connects and subscribes. When it returns without an error the collector
// is ready: everything published from then on is taken. It waits for a broker that is not there yet until
// ctx ends; after Start, ctx has no meaning any more.
//
// Problems with settings are a problem.List (see internal/problem); a log directory that another
// collector uses is a logfile.LockedError. After an error nothing is left running and no lock held.
func Start(ctx context.Context, cfg Config) (_ *Collector, err error) {
	p, err := cfg.plan()
	if err != nil {
		return nil, err
	}
	w, recovery, err := newWriter(p)
	if err != nil {
		return nil, err
	}
	reserveHeap()
	c := &Collector{writer: w, names: p.names(), delivery: p.Delivery, started: time.Now(), closed: make(chan struct{})}
	w.abort, c.abort = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			_ = c.release(ctx)
		}
	}()
	nc := p.Conn
	if nc == nil {
		p.NATS.Detour = natsconn.NewDetour(p.Prefix + ".")
		if nc, err = natsconn.Connect(p.NATS, natsconn.LogHooks(w.log.log)); err != nil {
			return nil, err
		}
		c.nc = nc
	}
	if w.source, err = w.newSource(p, nc); err != nil {
		return nil, err
	}
	if err := w.source.start(ctx, w.queue, w.store.Source()); err != nil {
		return nil, err
	}
	w.notes.say(record.Info, "logbraid collector started", func(l *record.Line) {
		l.Str("version", p.Version)
		l.Str("delivery", p.Delivery)
		l.Any("handlers", c.names)
		l.Str("directory", p.dir)
		l.Str("fsync", p.policy.String())
		l.Int("runs", int64(len(w.table.runs)-1)) // all but the collector's own
		l.Float("recovery_seconds", recovery.Took.Seconds())
	})
	go w.run()
	return c, nil
}

// Stats returns the numbers as of the last commit. It does not wait for the writer.
func (c *Collector) Stats() Stats {
	w := c.writer
	s := Stats{
		Started: c.started, Run: w.self.id.Run, Connected: w.source.connected(),
		Handlers: make([]HandlerStats, len(c.names)),
	}
	for i, name := range c.names {
		s.Handlers[i].Name = name
	}
	w.table.stats(&s)
	for i, sink := range w.router.sinks {
		sink.stats(&s.Handlers[i])
	}
	w.flight.stats(&s)
	w.queue.stats(&s)
	s.Delivery = c.delivery
	w.source.stats(&s)
	return s
}

// newSource chooses the source by the delivery.
func (w *writer) newSource(p *plan, nc *nats.Conn) (source, error) {
	if p.Delivery == DeliveryDirect {
		return &direct{nc: nc, prefix: p.Prefix, detour: p.NATS.Detour}, nil
	}
	return newStream(p, nc, w)
}

// CatchUp returns when everything that the stream held when it was called is committed. In direct delivery
// that is at once: what is not committed, its publisher holds.
func (c *Collector) CatchUp(ctx context.Context) error {
	if s, ok := c.writer.source.(*stream); ok {
		return s.catchUp(ctx)
	}
	return nil
}

// Synced is when the last message of the stream was stored, by the broker's clock, that no power cut takes from the log any more; with
// FSYNC=never, that the log holds. What is in a file whose own policy is never, is not waited for. It is the zero time when there is no
// such message, and in direct delivery. Any goroutine may call it.
func (c *Collector) Synced() time.Time {
	if s, ok := c.writer.source.(*stream); ok {
		return s.heldUntil()
	}
	return time.Time{}
}

// Rotate rotates every file that is not empty.
func (c *Collector) Rotate(ctx context.Context) error {
	return c.request(ctx, (*logfile.Store).Rotate)
}

// Reopen looks at every file's path, as after a rotation by another program, and opens anew what was
// renamed or removed. That happens within a second by itself, too.
func (c *Collector) Reopen(ctx context.Context) error {
	return c.request(ctx, (*logfile.Store).Reopen)
}

// request has the writer do something between two groups.
func (c *Collector) request(ctx context.Context, do func(*logfile.Store) error) error {
	select {
	case <-c.closed:
		return ErrClosed // though the writer may be on its way still, where Close had no time left
	default:
	}
	r := request{do: do, done: make(chan error, 1)}
	select {
	case c.writer.requests <- r:
	case <-c.writer.ended:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close takes what has arrived, commits and acknowledges it (what a stream still holds waits there for the next
// start; see CatchUp), lets the handlers finish, and gives up the
// lock. When ctx ends before that, the error is an [UnwrittenError]. A second call waits for the first and
// returns the same.
func (c *Collector) Close(ctx context.Context) error {
	c.closing.Do(func() {
		defer close(c.closed)
		c.err = c.close(ctx)
	})
	<-c.closed
	return c.err
}

func (c *Collector) close(ctx context.Context) error {
	w := c.writer
	err := w.source.stop(ctx)
	close(w.stopping)
	select {
	case <-w.ended:
		return errors.Join(err, w.source.flush(ctx), c.release(ctx))
	case <-ctx.Done():
	}
	unwritten := &UnwrittenError{Cause: ctx.Err()}
	if _, stalled := w.flight.stall(); stalled != nil {
		unwritten.Cause = stalled
	}
	c.abort()
	select {
	case <-w.ended:
		err := c.release(ctx)
		// Now nothing is on its way any more, be it from the queue to a group or from a group to the disk.
		unwritten.Messages, unwritten.Foreign = w.unwritten()
		return errors.Join(unwritten, err)
	case <-time.After(abortWait):
	}
	unwritten.Messages, unwritten.Foreign = w.unwritten()
	// A writer that hangs in the kernel keeps the files, and with them the lock, until it comes back: nobody
	// else may write while it still might.
	go func() {
		<-w.ended
		_ = c.release(ctx)
	}()
	return unwritten
}

// abortWait is how long Close waits for a writer that was told to end at once.
const abortWait = 100 * time.Millisecond

// release lets go of everything once the writer has ended.
func (c *Collector) release(ctx context.Context) error {
	c.abort()
	if c.nc != nil {
		c.nc.Close()
	}
	return errors.Join(c.writer.router.close(ctx), c.writer.store.Close())
}
