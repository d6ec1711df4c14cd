// Package publisher is the worker's side of logbraid: it takes log records from
// logrus, slog, any io.Writer or its own calls, keeps them in a bounded buffer,
// and publishes them until they are acknowledged.
package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/record"
)

// A Publisher is one run: a new one at every start of a process. All methods
// are for concurrent use.
type Publisher struct {
	cfg     Config
	id      record.Identity
	maxLine int // of a record, for Line.Finish

	// Front ends.
	clock  clock
	levels levelSet
	logrus logrusState
	root   *Logger

	console *console // single-process mode; the rest is then nil

	ring    *ring.Ring
	over    *overflow
	flushes flushes
	nc      *nats.Conn
	crash   *crashOutput

	closed  atomic.Bool
	refused atomic.Uint64
	resent  atomic.Uint64
	up      atomic.Bool

	idle  atomic.Bool // the sender sleeps
	wake  chan struct{}
	ended bool // the sender's, until done: the collector knows the end of the run

	closing   chan struct{} // Close was called
	abort     chan struct{} // its time is over
	done      chan struct{} // the sender has ended
	finished  chan struct{} // everything has
	closeOnce sync.Once
	abortOnce sync.Once

	stopDrain context.CancelFunc
	drained   chan struct{} // the drainer of orphans has ended

	drainProgress atomic.Uint64 // goes up with each acknowledgement that the drainer gets
}

// New starts a publisher. The connection is made in the background: a broker
// that is away is no error, a configuration that cannot work is, with everything
// that is wrong with it.
func New(cfg Config) (*Publisher, error) {
	cfg = cfg.withDefaults()
	if err := cfg.problems().Err(); err != nil {
		return nil, err
	}
	levels, err := parseLevels(cfg.Levels)
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		cfg:      cfg,
		id:       record.Identity{App: cfg.App, Worker: cfg.Worker, Run: record.NewRun()},
		maxLine:  cfg.MaxRecord,
		wake:     make(chan struct{}, 1),
		closing:  make(chan struct{}),
		abort:    make(chan struct{}),
		done:     make(chan struct{}),
		finished: make(chan struct{}),
		drained:  make(chan struct{}),
	}
	p.levels.replace(levels)
	p.root = p.Named("")
	if tail := len(record.AppendTail(nil, p.id)) + record.EndLen; tail > record.TailRoom {
		p.maxLine -= tail - record.TailRoom
	}
	if !cfg.Conn.Configured() {
		p.console = newConsole(cfg.Console, p.id)
		p.console.announce()
		return p, nil
	}
	if err := p.start(); err != nil {
		return nil, fmt.Errorf("start publisher: %w", err)
	}
	return p, nil
}

// start makes the buffer and the connection, and sets the goroutines going.
func (p *Publisher) start() (err error) {
	if p.ring, err = p.buffer(); err != nil {
		return err
	}
	p.over = newOverflow(p.ring, p.cfg, p.closing)
	var l *link
	conn := p.cfg.Conn
	conn.Ping, conn.Quiet = idlePing, true
	if p.nc, err = natsconn.Connect(conn, p.hooks()); err == nil {
		if l, err = newLink(p.nc); err != nil {
			p.nc.Close()
		}
	}
	if err != nil {
		return errors.Join(err, p.ring.Remove())
	}
	l.probe.patience = p.cfg.probe
	w := newWindow(p.cfg.Batch)
	w.prompt = cmp.Or(p.cfg.promptAck, w.prompt)
	p.crash = p.watchCrash()
	go p.sender(&courier{
		link:     l,
		ring:     p.ring,
		subject:  record.Subject(p.cfg.Prefix, p.id.App, p.id.Worker),
		stream:   streamOf(p.cfg.Delivery, p.cfg.Stream),
		batch:    p.cfg.Batch,
		window:   w,
		encode:   p.cfg.BatchCompression == record.S2,
		timeout:  p.cfg.ackTimeout,
		diag:     p.cfg.Diagnostics,
		resent:   &p.resent,
		rejected: p.over.rejected,
	})
	ctx, cancel := context.WithCancel(context.Background())
	p.stopDrain = cancel
	go p.drainOwn(ctx)
	go p.finish()
	return nil
}

// buffer makes the ring, in a file if there is a directory for it.
func (p *Publisher) buffer() (*ring.Ring, error) {
	r, err := p.newRing()
	if errors.Is(err, ring.ErrNoMemory) {
		err = fmt.Errorf("%w; LOGBRAID_BUFFER=%d asks for it", err, p.cfg.Buffer)
	}
	return r, err
}

func (p *Publisher) newRing() (*ring.Ring, error) {
	if p.cfg.BufferDir != "" {
		if err := os.MkdirAll(p.cfg.BufferDir, 0o700); err != nil {
			return nil, fmt.Errorf("create buffer directory: %w", err)
		}
		r, err := ring.Create(filepath.Join(p.cfg.BufferDir, ring.FileName(p.id)), p.cfg.Buffer, p.id, p.cfg.Prefix)
		if !errors.Is(err, ring.ErrUnsupported) {
			return r, err
		}
		p.cfg.Diagnostics.Warn("the buffer is in memory and does not survive the process", "error", err)
	}
	return ring.New(p.cfg.Buffer, p.id)
}

// hooks tell the connection's life to the diagnostics, and whether it is there.
func (p *Publisher) hooks() natsconn.Hooks {
	h := natsconn.LogHooks(p.cfg.Diagnostics)
	connected, reconnected, disconnected := h.Connected, h.Reconnected, h.Disconnected
	h.Connected = func(nc *nats.Conn) { p.up.Store(true); connected(nc) }
	h.Reconnected = func(nc *nats.Conn) { p.up.Store(true); reconnected(nc) }
	h.Disconnected = func(nc *nats.Conn, err error) { p.up.Store(false); disconnected(nc, err) }
	return h
}

// Identity returns who the records say they are from.
func (p *Publisher) Identity() record.Identity { return p.id }

// emit takes a record: the one way in, for all front ends. It frees line. It
// never waits for the network; in a full buffer it waits as Overflow says, and among
// goroutines that do nothing but log for its turn, a millisecond or two (ADR 15).
func (p *Publisher) emit(line *record.Line) {
	switch {
	case p.closed.Load():
		p.refused.Add(1)
	case p.console != nil:
		p.console.write(line.Finish(p.maxLine))
	default:
		body := line.Finish(p.maxLine)
		if err := p.over.put(line.Level(), body); err != nil {
			p.refused.Add(1)
		}
		p.rouse()
	}
	line.Free()
}

// flushNow is Flush with the time that a dying process has: CloseTimeout.
func (p *Publisher) flushNow() {
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.CloseTimeout)
	defer cancel()
	if err := p.Flush(ctx); err != nil {
		p.cfg.Diagnostics.Error("flush before the process ends", "error", err)
	}
}

// Close delivers what is in the buffer, tells the collector that the run is over,
// and ends the publisher. What earlier runs of the worker have left in BufferDir is
// delivered, too, as long as that gets on. From its beginning on, records are refused and counted,
// and Flush returns ErrClosed.
//
// If ctx ends before everything is acknowledged, Close returns an [*UnackedError].
// A buffer file then stays where it is, for [Drain], and its records are not
// lost; a buffer in memory is. A ctx without a deadline ends after CloseTimeout:
// a worker must not outlive its work because nobody listens any more. A second
// call waits for the first and returns the same.
func (p *Publisher) Close(ctx context.Context) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.cfg.CloseTimeout)
		defer cancel()
	}
	p.closeOnce.Do(func() {
		p.closed.Store(true)
		close(p.closing)
	})
	if p.console != nil {
		return nil
	}
	select {
	case <-p.finished:
	case <-ctx.Done():
		p.abortOnce.Do(func() { close(p.abort) })
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-p.finished:
		case <-timer.C:
		}
	}
	admitted, released := p.ring.Progress()
	if admitted == released {
		return nil
	}
	return &UnackedError{Records: admitted - released, Kept: p.ring.Path(), cause: context.Cause(ctx)}
}
