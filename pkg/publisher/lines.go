package publisher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

// LinesOptions says what [Publisher.Lines] makes of lines that do not say it themselves. The zero
// value works.
type LinesOptions struct {
	// Logger names the records of lines that name none.
	Logger string
	// Level is that of lines that tell none. Zero: info.
	Level record.Level
	// Fields are added to each record.
	Fields []Field
	// TraceWait is how long an unfinished stack trace waits for its next line. Zero: 300 ms.
	TraceWait time.Duration
}

const defaultTraceWait = 300 * time.Millisecond

// Lines reads what another program prints, such as a child's standard error, and makes a record of
// each line, until r ends. What is not a line for a reader is not one for the log:
//
//   - A line that is a JSON object keeps its fields, see [record.Adopt].
//   - A Python traceback with its whole chain, a Go panic, fatal error or data race, and a Java
//     stack trace become one record each: the text in stack, the line that says what happened in
//     msg and error. Level error, or fatal where the runtime ends its process.
//   - The last line counts without a newline too. Empty lines do not count.
//   - Of a line that overwrites itself by carriage returns, a progress bar, the last state counts.
//   - A line longer than a record may be becomes several, with the field part = 1, 2, 3...
//
// Lines waits for room in the publisher's buffer as a log call does. It returns nil at the end of
// r, ctx's cause when ctx ends first, or r's error; what was read by then has become records. When
// ctx ends, one Read may still be waiting in r, and what it gets is lost: close r.
func (p *Publisher) Lines(ctx context.Context, r io.Reader, o LinesOptions) error {
	sink := &lineSink{p: p, o: o}
	joiner := joiner{max: p.cfg.MaxRecord / 2, out: sink}
	splitter := lineSplitter{max: p.cfg.MaxRecord, terminal: true}
	defer func() {
		splitter.rest(sink.take(&joiner))
		joiner.close()
	}()

	wait := o.TraceWait
	if wait <= 0 {
		wait = defaultTraceWait
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()

	chunks := readChunks(ctx, r)
	feed := func(c chunk) {
		sink.now = p.clock.now()
		splitter.feed(c.bytes, sink.take(&joiner))
	}
	for {
		timer.Stop()
		if joiner.open() {
			timer.Reset(wait)
		}
		select {
		case c := <-chunks.full:
			feed(c)
			if c.err != nil {
				return readError(c.err)
			}
			chunks.empty <- c.bytes[:0]
		case <-timer.C:
			joiner.close()
		case <-ctx.Done():
			for len(chunks.full) > 0 {
				feed(<-chunks.full)
			}
			return context.Cause(ctx)
		}
	}
}

// readError returns nil for the ways in which a pipe ends.
func readError(err error) error {
	if err == io.EOF || errors.Is(err, os.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return fmt.Errorf("read lines: %w", err)
}

// A chunk is what one Read gave.
type chunk struct {
	bytes []byte
	err   error
}

// A chunkPipe has room for both buffers in either direction, so that neither end waits to give.
type chunkPipe struct {
	full  chan chunk
	empty chan []byte
}

// readChunks reads r in a goroutine of its own, because a Read cannot wait for a timer as well. Two
// buffers go back and forth. The goroutine ends with r, or once ctx has ended and its Read returns.
func readChunks(ctx context.Context, r io.Reader) chunkPipe {
	pipe := chunkPipe{full: make(chan chunk, 2), empty: make(chan []byte, 2)}
	pipe.empty <- make([]byte, 0, 64<<10)
	pipe.empty <- make([]byte, 0, 64<<10)
	go func() {
		for {
			var buf []byte
			select {
			case buf = <-pipe.empty:
			case <-ctx.Done():
				return
			}
			n, err := r.Read(buf[:cap(buf)])
			pipe.full <- chunk{buf[:n], err}
			if err != nil {
				return
			}
		}
	}()
	return pipe
}

// A lineSink makes records of what a joiner gives out.
type lineSink struct {
	p   *Publisher
	o   LinesOptions
	now time.Time // when the bytes at hand came
}

// take returns what the splitter feeds: the joiner, with the time that the lines came.
func (s *lineSink) take(j *joiner) func(line []byte, part int) {
	return func(line []byte, part int) { j.add(line, part, s.now) }
}

func (s *lineSink) plain(line []byte, part int, at time.Time) {
	l := record.GetLine()
	if part > 0 {
		l.Start(at, s.o.Level, s.o.Logger, string(line))
		l.Int("part", int64(part))
	} else {
		record.Adopt(l, line, record.Defaults{Time: at, Level: s.o.Level, Logger: s.o.Logger})
	}
	s.send(l)
}

func (s *lineSink) trace(t trace) {
	l := record.GetLine()
	l.Start(t.at, t.level, s.o.Logger, t.head)
	l.Str("error", t.head)
	l.Stack(string(t.text))
	if t.part > 0 {
		l.Int("part", int64(t.part))
	}
	s.send(l)
}

func (s *lineSink) send(l *record.Line) {
	for _, f := range s.o.Fields {
		appendField(l, &f)
	}
	if !s.p.levels.admitsLine(l) {
		l.Free()
		return
	}
	s.p.emit(l)
}
