package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/publisher"
)

// lookEvery is how often Close looks whether the workers' buffers are empty.
// They are other processes: there is nothing to be woken by.
const lookEvery = 10 * time.Millisecond

// Close ends the master in an order in which nothing is cut off:
//
//  1. Whatever was in a worker's buffer when Close was called is waited for, and
//     so are the buffers of workers that died. Workers may live on: what they log
//     from here on stays in their buffers, for the next master on the directory.
//  2. The publishers of this process are closed, with everything they hold.
//  3. The collector writes what has arrived, in stream delivery everything that
//     the stream holds by then, commits, acknowledges, and gives up the lock.
//  4. The broker stops.
//
// ctx ends the waiting, not the order; one without a deadline ends after
// Config.CloseTimeout. What could not be delivered by then is told by an
// *[UndeliveredError]; what is in the stream by then waits there for the next
// master, which is an error as well. Only buffers in files can be looked into; what a worker
// keeps in memory it reports itself, by the error of its own Close. Every call
// after the first returns the same.
func (m *Master) Close(ctx context.Context) error {
	m.closeOnce.Do(func() { m.closeErr = m.close(ctx) })
	return m.closeErr
}

func (m *Master) close(ctx context.Context) error {
	if _, bounded := ctx.Deadline(); !bounded && m.cfg.CloseTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.cfg.CloseTimeout)
		defer cancel()
	}
	m.mu.Lock()
	m.closing = true
	m.mu.Unlock()
	buffers := m.buffers()

	var errs []error
	// The orphans' goroutine may have to tell a death through one of our
	// publishers, so it ends before they do.
	m.settle(ctx, buffers)
	m.orphans.finish(ctx)
	errs = append(errs, m.closePublishers(ctx))
	if err := m.collector.CatchUp(ctx); err != nil {
		errs = append(errs, fmt.Errorf("close master: %w", err))
	}
	m.watch.finish()
	if err := m.collector.Close(ctx); err != nil {
		errs = append(errs, fmt.Errorf("close master: %w", err))
	}
	if err := m.undelivered(context.Cause(ctx)); err != nil {
		errs = append(errs, err)
	}
	m.conn.Close()
	m.broker.stop()
	m.forcer.finish()
	return errors.Join(errs...)
}

// closePublishers closes those of this process, all at once.
func (m *Master) closePublishers(ctx context.Context) error {
	m.mu.Lock()
	open := maps.Clone(m.publishers)
	m.mu.Unlock()
	errs := make(chan error, len(open))
	for name, p := range open {
		go func() {
			err := p.Close(ctx)
			// Kept in a file, it is among what undelivered finds.
			var unacked *publisher.UnackedError
			if errors.As(err, &unacked) && unacked.Kept != "" || errors.Is(err, publisher.ErrClosed) {
				err = nil
			}
			if err != nil {
				err = fmt.Errorf("close publisher %q: %w", name, err)
			}
			errs <- err
		}()
	}
	var all []error
	for range open {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// buffer is a ring file of a worker, alive or dead.
type buffer struct {
	path  string
	info  ring.Info
	stats ring.Stats
}

func (m *Master) buffers() []buffer {
	var all []buffer
	for _, path := range rings(m.state.buffer()) {
		// One that is damaged is for the drainer to judge; one that is gone is empty.
		if info, stats, err := ring.Glance(path); err == nil {
			all = append(all, buffer{path, info, stats})
		}
	}
	return all
}

// settle waits until what the buffers held is acknowledged, or ctx ends.
func (m *Master) settle(ctx context.Context, buffers []buffer) {
	m.orphans.kick()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for _, b := range buffers {
		for {
			_, now, err := ring.Glance(b.path)
			if err != nil || now.Admitted-now.Held >= b.stats.Admitted {
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

// undelivered counts what is in the buffers and not in the log. A record that was
// committed, but whose worker has not heard so yet, is delivered.
func (m *Master) undelivered(cause error) error {
	committed := map[string]uint64{} // records of a run that need not be sent again
	for _, run := range m.collector.Stats().Runs {
		committed[run.Run] = run.Written + run.Lost
	}
	e := &UndeliveredError{Workers: map[string]uint64{}, cause: cause}
	for _, b := range m.buffers() {
		var rejected uint64
		for _, reasons := range b.stats.Dropped {
			rejected += reasons[ring.Rejected]
		}
		n := b.stats.Admitted - min(b.stats.Admitted, rejected)
		n = min(n-min(n, committed[b.info.Identity.Run]), b.stats.Held)
		if n > 0 {
			e.Records += n
			e.Workers[b.info.Identity.Worker] += n
		}
	}
	if e.Records == 0 {
		return nil
	}
	return e
}
