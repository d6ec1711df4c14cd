package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/term"

	"github.com/logbraid/logbraid/pkg/record"
)

// consoleLimit is enough for the largest group, so that a console that keeps up never loses a line.
const consoleLimit = 2 * maxGroup

// console shows records on standard output or error. It can be slow, or blocked for ever (a terminal stopped
// with Ctrl-S, a pipe that nobody reads), and never holds up the files.
type console struct {
	index  int // of the route, in group.chunks
	out    io.Writer
	render renderer
	json   bool
	lines  *outlet
	errors atomic.Uint64

	// Owned by the outlet's goroutine.
	torn bool // the last write failed, perhaps in the middle of a line
}

func newConsole(index int, h HandlerSpec, out io.Writer, noColor bool, formats map[string]logrus.Formatter) *console {
	c := &console{index: index, out: out, json: h.Format == "json"}
	switch h.Format {
	case "json":
		c.render = func(dst, line []byte) []byte { return append(append(dst, line...), '\n') }
	case "text":
		o := record.TextOptions{Color: colored(h.Color, out, noColor), Stack: true}
		c.render = func(dst, line []byte) []byte { return record.AppendText(dst, line, o) }
	default:
		c.render = newRenderer(h.Format, formats, &c.errors)
	}
	c.lines = newOutlet(consoleLimit, c.deliver)
	return c
}

// colored decides as every well-behaved program does: colour for people at a terminal, unless they said no.
func colored(mode string, out io.Writer, noColor bool) bool {
	switch mode {
	case "always":
		return true
	case "never":
		return false
	}
	// Not only an *os.File: a program may put something of its own before the terminal.
	f, ok := out.(interface{ Fd() uintptr })
	return ok && !noColor && term.IsTerminal(int(f.Fd()))
}

func (c *console) take(g *group, p piece, _ int, _ *run) error {
	k := &g.chunks[c.index]
	c.lines.begin(k)
	for line := range Lines(p.lines).All() {
		if k.room <= 0 || k.skipped > 0 {
			k.skipped++
			continue
		}
		before := len(k.data)
		if k.data = c.render(k.data, line); len(k.data)-before > k.room {
			k.data = k.data[:before]
			k.skipped++
			continue
		}
		k.room -= len(k.data) - before
		k.records++
	}
	return nil
}

func (c *console) filled(*group) {}

func (c *console) committed(g *group) { c.lines.offer(g.chunks[c.index]) }

func (c *console) deliver(data []byte, _, skipped int) {
	if skipped > 0 {
		const why = "left out here: the console was too slow, the files have them"
		if c.json {
			data = fmt.Appendf(data, `{"level":"warn","logger":"logbraid","msg":"lines %s","count":%d}`+"\n", why, skipped)
		} else {
			data = fmt.Appendf(data, "-- %d lines %s --\n", skipped, why)
		}
	}
	if c.torn {
		data = append([]byte{'\n'}, data...) // so that what comes is not taken for the rest of the torn line
	}
	err := writeAll(c.out, data)
	if c.torn = err != nil; c.torn {
		c.errors.Add(1)
	}
}

// writeAll writes the whole of p whatever pieces the writer takes at a time. A pipe whose other end made it
// non-blocking answers EAGAIN when it is full.
func writeAll(w io.Writer, p []byte) error {
	for len(p) > 0 {
		n, err := w.Write(p)
		p = p[min(max(n, 0), len(p)):]
		switch {
		case errors.Is(err, syscall.EAGAIN):
			<-time.After(5 * time.Millisecond)
		case err != nil && !errors.Is(err, syscall.EINTR) && !errors.Is(err, io.ErrShortWrite):
			return err
		case n <= 0 && !errors.Is(err, syscall.EINTR):
			return io.ErrShortWrite
		}
	}
	return nil
}

func (c *console) stats(s *HandlerStats) {
	c.lines.stats(s)
	s.Errors = c.errors.Load()
}

func (c *console) close(ctx context.Context) error { return c.lines.close(ctx) }
