package collector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/pkg/record"
)

// maxGroup bounds what one commit takes in, in bytes: enough to make a commit's cost disappear, little
// enough that nobody waits long behind it.
const maxGroup = 8 << 20

// A writer is the one goroutine that owns all files (I7). Everything it does comes in groups: take what
// waits, check, order, route, append, commit, and only when the commit stands, answer (I5).
type writer struct {
	// Set at the start.
	prefix string
	queue  *queue
	notes  *notes
	source source
	store  *logfile.Store
	router *router
	table  *table
	paths  *paths
	log    *diagnostics

	requests chan request
	stopping chan struct{}   // closed: write what is there, then end
	abort    context.Context // done: end although not all is written
	ended    chan struct{}   // closed when the goroutine has ended

	flight flight // shared with whoever completes a commit

	// Owned by the goroutine.
	self      *run             // of the collector's own records
	strangers map[string]*run  // of foreign messages, by subject
	rejected  *logfile.File    // nil until something is rejected
	line      []byte           // scratch
	decoded   []byte           // the lines of batches that are blocks, of the group that is being written
	retry     <-chan time.Time // not nil while stalled: when to try again
	noted     time.Time        // the beginning of the last stall that the log tells of
	told      discarded        // as far as the log tells
}

// newWriter opens the log directory and everything that is written to. What is missing is the source.
func newWriter(p *plan) (*writer, *logfile.Recovery, error) {
	w := &writer{
		prefix: p.Prefix,
		queue:  newQueue(p.Backlog), notes: newNotes(), table: newTable(), log: newDiagnostics(p.Diagnostics),
		requests: make(chan request), stopping: make(chan struct{}), ended: make(chan struct{}),
		abort:  context.Background(),
		flight: flight{changed: make(chan struct{}, 1)}, strangers: make(map[string]*run),
	}
	store, recovery, err := logfile.Open(p.dir, logfile.Options{
		FSync:   p.policy,
		FS:      p.fs,
		Clock:   p.Clock,
		Report:  func(e logfile.Event) { tell(w.notes, w.log, e) },
		Evicted: w.table.evicted,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open log directory: %w", err)
	}
	w.store = store
	w.paths = &paths{dir: p.dir, store: store, owner: map[string]int{rejectedName: reserved}}
	if w.router, err = p.openHandlers(w.paths, w.log); err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	w.table.recover(p.Prefix, len(w.router.sinks), store.Runs())
	w.self = w.newRun(ownApp, ownWorker)
	return w, recovery, nil
}

// A request is carried out by the writer because it concerns the files.
type request struct {
	do   func(*logfile.Store) error
	done chan error // has room for the answer
}

func (w *writer) run() {
	defer close(w.ended)
	check := time.NewTicker(time.Second)
	defer check.Stop()
	stopping := w.stopping
	for {
		ready, noted := w.queue.ready, w.notes.ready
		if w.retry != nil || w.flight.full() {
			ready, noted = nil, nil // what arrives waits
		}
		select {
		case <-ready:
			w.step()
		case <-noted:
			w.step()
		case <-w.flight.changed:
		case <-w.retry:
			w.resume()
		case r := <-w.requests:
			err := r.do(w.store)
			w.distrust(err)
			r.done <- err
		case <-check.C:
			w.look()
		case <-stopping:
			stopping = nil
		case <-w.abort.Done():
			return
		}
		if err := w.flight.broken(); err != nil && w.retry == nil {
			w.stall(err)
			// What the failed commit has left is cut off now, not only at the next attempt: until then, which may be
			// long on a full disk, whoever reads the files is to find whole lines. If it fails, that attempt does it.
			_, _ = w.store.Resume()
		}
		if stopping == nil && w.idle() {
			return
		}
	}
}

// step takes one group through the whole way.
func (w *writer) step() {
	g := w.flight.group(len(w.router.sinks))
	g.notes = w.notes.take(g.notes)
	g.messages = w.queue.take(g.messages, maxGroup)
	if len(g.notes)+len(g.messages) == 0 {
		w.flight.back(g)
		return
	}
	defer w.release()
	err := w.fill(g)
	for _, s := range w.router.sinks {
		s.filled(g)
	}
	if err != nil {
		w.store.Discard()
		w.flight.begin(g) // it never gets further, and is recalled with those whose commits failed
		w.flight.fail(err)
		return
	}
	g.close()
	w.flight.begin(g)
	if g.empty() && w.flight.only(g) {
		w.settle(g, nil) // nothing to commit, nothing under way that it depends on
		return
	}
	g.tally.commits = 1
	w.store.Commit(logfile.Commit{Runs: g.deltas, Source: g.source}, func(err error) { w.settle(g, err) })
}

// release gives up the room of the lines that a group was decoded to.
func (w *writer) release() {
	if w.decoded = w.decoded[:0]; cap(w.decoded) > 2*maxGroup {
		w.decoded = nil // something huge, once in a while: not kept for ever
	}
}

// fill appends what the group holds to the files' buffers.
func (w *writer) fill(g *group) error {
	for _, n := range g.notes {
		g.tally.own++
		if err := w.writeOwn(g, n, w.self); err != nil {
			return err
		}
	}
	for i := range g.messages {
		m := &g.messages[i]
		admit := w.admit
		if !m.batch {
			admit = w.adopt
		}
		if err := admit(g, m); err != nil {
			return err
		}
	}
	return nil
}

// settle is told how a commit went, in the order of the commits; with FSYNC=always by a goroutine of the
// store's. Numbers first, answers last: a publisher that has its answer finds itself in Stats.
func (w *writer) settle(g *group, err error) {
	if err != nil {
		w.flight.fail(err)
		return
	}
	for _, s := range w.router.sinks {
		s.committed(g)
	}
	w.table.committed(g)
	w.source.committed(g)
	if lasted, over := w.flight.land(); over {
		w.log.log.Info("writing the log again", "after", lasted)
	}
}

// stall stops taking from the queue, for longer after each failure. Publishers go on as their buffers allow;
// nothing is acknowledged, nothing is lost.
func (w *writer) stall(err error) {
	delay, first := w.flight.attempt()
	if first {
		w.log.log.Error("cannot write the log, trying again", "error", err)
	}
	w.retry = time.After(delay)
}

// resume goes back to the last checkpoint, files and table together (I6), and tries again.
func (w *writer) resume() {
	w.retry = nil
	committed, err := w.store.Resume()
	if err != nil {
		w.stall(err)
		return
	}
	since, cause := w.flight.stall()
	groups := w.flight.recall()
	w.table.restore(committed)
	var messages []message
	var notes []note
	for _, g := range groups {
		messages = append(messages, g.messages...)
		notes = append(notes, g.notes...)
	}
	w.source.rewind(messages, w.store.Source())
	if w.noted != since {
		w.noted = since
		w.notes.say(record.Error, "could not write the log", func(l *record.Line) {
			l.Time("since", since)
			l.Err(cause)
		})
	}
	w.notes.unshift(notes)
	w.step()
}

// distrust takes an error of the store that no commit has met for a commit that failed: the files are not what
// was written, so nothing may be written to them before they have been opened anew and cut to the checkpoint (I7).
// That is done now, and not when the next message comes, which on a quiet night may be hours.
func (w *writer) distrust(err error) {
	if err == nil || errors.Is(err, logfile.ErrClosed) || w.retry != nil {
		return // while stalled, the next attempt does it
	}
	w.flight.fail(err)
}

// look is done once a second.
func (w *writer) look() {
	if n := w.table.sweep(); n > 0 {
		w.notes.say(record.Warn, "runs forgotten that never ended: too many, and nothing came for weeks; what still comes of them is taken for new",
			func(l *record.Line) { l.Uint("count", n) })
	}
	if w.retry == nil {
		w.distrust(w.store.Check())
	}
	_, _, now := w.queue.size()
	if lost := now.foreign - w.told.foreign; lost > 0 {
		w.told = now
		w.notes.say(record.Error, "foreign messages lost: more arrived than could be written", func(l *record.Line) {
			l.Uint("count", lost)
		})
	}
}

// idle reports whether there is nothing left to do.
func (w *writer) idle() bool {
	messages, _, _ := w.queue.size()
	return messages == 0 && w.notes.empty() && w.retry == nil && w.flight.empty()
}

// unwritten returns how many messages have arrived and are not committed, and how many of them nobody sends
// again. It may be called by any goroutine.
func (w *writer) unwritten() (messages, foreign int) {
	waiting, f1 := w.queue.unwritten()
	flying, f2 := w.flight.unwritten()
	return waiting + flying, f1 + f2
}
