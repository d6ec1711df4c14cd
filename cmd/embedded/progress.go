package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progressEvery is how often the line is drawn.
const progressEvery = 250 * time.Millisecond

// tally is what the progress line shows at one moment.
type tally struct {
	written, dropped, lost uint64
	workers                []namedCount
}

type namedCount struct {
	name string
	n    uint64
}

// progress keeps one line at the bottom of a terminal. Everything else that is
// written to the terminal goes through its Write, which takes the line away
// first and puts it back after; so no log line is ever mixed into it. Without a
// terminal there is no progress at all, only the text that passes through.
type progress struct {
	out   io.Writer
	width func() int // columns; nil: not a terminal

	mu    sync.Mutex
	line  string // as drawn; empty: nothing is
	began time.Time
	last  time.Time
	seen  uint64
}

// Write passes text on, above the progress line.
func (p *progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.line == "" {
		return p.out.Write(text)
	}
	// One write: a terminal that is slow shows no half-drawn state.
	b := make([]byte, 0, len(text)+len(p.line)+8)
	b = append(b, "\r\x1b[K"...)
	b = append(b, text...)
	if n := len(text); n > 0 && text[n-1] != '\n' {
		b = append(b, '\n')
	}
	b = append(b, p.line...)
	if _, err := p.out.Write(b); err != nil {
		return 0, err
	}
	return len(text), nil
}

// Fd lets others see whether there is a terminal behind it, for colour.
func (p *progress) Fd() uintptr {
	if f, ok := p.out.(interface{ Fd() uintptr }); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}

// run draws until stop is closed, then takes the line away.
func (p *progress) run(stop <-chan struct{}, sample func() tally) {
	if p.width == nil {
		<-stop
		return
	}
	p.began = time.Now()
	p.last = p.began
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			p.draw("")
			return
		case now := <-tick.C:
			p.draw(p.text(now, sample()))
		}
	}
}

func (p *progress) text(now time.Time, t tally) string {
	rate := 0.0
	if dt := now.Sub(p.last).Seconds(); dt > 0 && t.written >= p.seen {
		rate = float64(t.written-p.seen) / dt
	}
	p.last, p.seen = now, t.written
	var b strings.Builder
	fmt.Fprintf(&b, "%5.1fs  %s records  %s/s ", now.Sub(p.began).Seconds(), count(t.written), count(uint64(rate)))
	for _, w := range t.workers {
		fmt.Fprintf(&b, "  %s %s", w.name, count(w.n))
	}
	fmt.Fprintf(&b, "  dropped %s  lost %s", count(t.dropped), count(t.lost))
	return b.String()
}

func (p *progress) draw(line string) {
	// A line that wraps could not be taken away again.
	if w := p.width(); w > 1 && len(line) > w-1 {
		line = line[:w-1]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if line == p.line {
		return
	}
	p.line = line
	_, _ = io.WriteString(p.out, "\r\x1b[K"+line) // a terminal that is gone is no reason to stop
}
