package publisher

import (
	"bytes"
	"context"
	"sync"

	"github.com/logbraid/logbraid/pkg/record"
)

// WriterOptions says what a [Writer] makes of lines that do not say it themselves. The zero value
// works.
type WriterOptions struct {
	// Logger names the records of lines that name none.
	Logger string
	// Level is that of lines that tell none. Zero: info.
	Level record.Level
	// Plain takes every line as text, without a look for JSON.
	Plain bool
}

// A Writer makes a record of each line that is written to it. It is an io.Writer for log, zerolog
// and phuslu/log, and a zapcore.WriteSyncer. Lines of JSON keep their fields, see [record.Adopt].
//
// It is for concurrent use. A line may come in pieces; pieces from several goroutines at once are
// joined in the order in which they come.
type Writer struct {
	p     *Publisher
	o     WriterOptions
	mu    sync.Mutex
	split lineSplitter // guarded by mu
}

// Writer returns a writer whose lines become records.
func (p *Publisher) Writer(o WriterOptions) *Writer {
	return &Writer{p: p, o: o, split: lineSplitter{max: p.cfg.MaxRecord}}
}

// Write never fails, and takes all of b, until the publisher is closed; then it returns
// [ErrClosed]. It keeps nothing of b. What follows the last newline waits for the rest of its
// line, or for Sync. A line longer than a record may be becomes several, with the field
// part = 1, 2, 3...
func (w *Writer) Write(b []byte) (int, error) {
	if w.p.closed.Load() {
		return 0, ErrClosed
	}
	w.mu.Lock()
	if w.split.idle() && len(b) > 0 && b[len(b)-1] == '\n' {
		// Whole lines, as every logging library writes them: nothing to keep, so no lock.
		w.mu.Unlock()
		split := lineSplitter{max: w.p.cfg.MaxRecord}
		split.feed(b, w.line)
		return len(b), nil
	}
	var lines heldLines
	w.split.feed(b, lines.add)
	w.mu.Unlock()
	lines.give(w)
	return len(b), nil
}

// heldLines keeps copies of lines until the lock is gone: a record may have to wait for room.
type heldLines []heldLine

type heldLine struct {
	text []byte
	part int
}

func (h *heldLines) add(line []byte, part int) {
	*h = append(*h, heldLine{bytes.Clone(line), part})
}

func (h heldLines) give(w *Writer) {
	for _, l := range h {
		w.line(l.text, l.part)
	}
}

func (w *Writer) line(text []byte, part int) {
	if len(bytes.TrimSpace(text)) == 0 {
		return
	}
	l := record.GetLine()
	if part > 0 || w.o.Plain {
		l.Start(w.p.clock.now(), w.o.Level, w.o.Logger, string(text))
	} else {
		record.Adopt(l, text, record.Defaults{Time: w.p.clock.now(), Level: w.o.Level, Logger: w.o.Logger})
	}
	if part > 0 {
		l.Int("part", int64(part))
	}
	if !w.p.levels.admitsLine(l) {
		l.Free()
		return
	}
	w.p.submit(l)
}

// Sync makes a record of a line that has no newline yet, and returns nil once everything that was
// accepted is acknowledged. It waits up to CloseTimeout, then returns an [*UnackedError].
func (w *Writer) Sync() error {
	var lines heldLines
	w.mu.Lock()
	w.split.rest(lines.add)
	w.mu.Unlock()
	lines.give(w)
	ctx, cancel := context.WithTimeout(context.Background(), w.p.cfg.CloseTimeout)
	defer cancel()
	return w.p.Flush(ctx)
}

// Close is Sync: zerolog closes its writer before it exits on a fatal record. The publisher stays
// open, and so does the writer.
func (w *Writer) Close() error { return w.Sync() }
