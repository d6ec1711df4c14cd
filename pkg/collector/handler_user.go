package collector

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
)

// A Handler is a destination of the caller's own: a database, a test, an alarm.
//
// Handle gets the records of one or more commits that passed the filter, in the order in which they were
// committed (so in order per run), each once per run of the collector. It is called by one goroutine,
// never again before it has returned, and never with a record that was not committed to the files first.
// The records are only valid during the call: what is kept must be copied.
//
// A handler can never hold up or hurt the files. It has a queue of its own; while that is full, records are
// skipped and counted ([HandlerStats].Skipped). An error, or a panic, is counted and reported to
// Config.Diagnostics; those records are not offered again, and the next call comes as if nothing had happened.
// Records that were committed but not yet handled when the process is killed are not offered again either:
// who needs every record reads the files.
//
// Close of the collector waits, as long as its context allows, until Handle has seen everything that is
// queued. If a Handler is also an io.Closer, its Close is called after that.
type Handler interface {
	Handle(records Lines) error
}

// A UserHandler is a [Handler] and what it wants.
type UserHandler struct {
	Name    string // in Stats and diagnostics; must be unique
	Filter  string // as in a handler URL: "level=warn&logger=trades.*"; "": everything
	Queue   int    // bytes of records that may wait; 0: 32 MiB
	Handler Handler
}

// Lines are records, each a JSON line that ends in a newline.
type Lines []byte

// All yields each record without its newline. record.Parse makes a typed record of it.
func (l Lines) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := []byte(l); len(rest) > 0; {
			line, after, _ := bytes.Cut(rest, newline)
			if !yield(line) {
				return
			}
			rest = after
		}
	}
}

var newline = []byte{'\n'}

// userQueue is enough for several of the largest groups.
const userQueue = 4 * maxGroup

// userHandler calls a handler of the caller's own.
type userHandler struct {
	index   int // of the route
	name    string
	handler Handler
	lines   *outlet
	errors  atomic.Uint64
	log     *diagnostics
}

func newUserHandler(index int, u UserHandler, log *diagnostics) *userHandler {
	h := &userHandler{index: index, name: u.Name, handler: u.Handler, log: log}
	limit := u.Queue
	if limit <= 0 {
		limit = userQueue
	}
	h.lines = newOutlet(limit, h.deliver)
	return h
}

func (h *userHandler) take(g *group, p piece, _ int, _ *run) error {
	k := &g.chunks[h.index]
	h.lines.begin(k)
	for line := range Lines(p.lines).All() {
		size := len(line) + 1
		if k.skipped > 0 || k.room < size {
			k.skipped++
			continue
		}
		k.data = append(append(k.data, line...), '\n')
		k.room -= size
		k.records++
	}
	return nil
}

func (h *userHandler) filled(*group) {}

func (h *userHandler) committed(g *group) { h.lines.offer(g.chunks[h.index]) }

func (h *userHandler) deliver(data []byte, records, _ int) {
	if records == 0 {
		return
	}
	if err := guard(func() error { return h.handler.Handle(data) }); err != nil {
		h.errors.Add(1)
		h.log.often(slog.LevelError, "log handler failed", h.name, "records", records, "error", err)
	}
}

func (h *userHandler) stats(s *HandlerStats) {
	h.lines.stats(s)
	s.Errors = h.errors.Load()
}

func (h *userHandler) close(ctx context.Context) error {
	if err := h.lines.close(ctx); err != nil {
		return fmt.Errorf("close handler %s: %w", h.name, err)
	}
	c, ok := h.handler.(io.Closer)
	if !ok {
		return nil
	}
	if err := guard(c.Close); err != nil {
		return fmt.Errorf("close handler %s: %w", h.name, err)
	}
	return nil
}

// guard turns a panic of the caller's code into an error.
func guard(call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return call()
}
