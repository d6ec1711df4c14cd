package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/pkg/record"
)

// stuck is a console that takes nothing until it is let go.
type stuck struct {
	lines
	free chan struct{}
	once sync.Once
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.free
	return s.lines.Write(p)
}

func (s *stuck) let() { s.once.Do(func() { close(s.free) }) }

// A console that nobody reads does not hold up the files, takes a bounded amount of memory, and says how many
// lines are missing where.
func TestStuckConsole(t *testing.T) {
	out := &stuck{free: make(chan struct{})}
	defer out.let()
	r := newRigWith(t, Config{
		Dir: t.TempDir(), Handlers: []string{"json://DIR/app.jsonl", "console://stdout"}, ConsoleOut: out,
	})
	p := newPublisher("etl", "w1")
	const batches, each = 40, 10
	p.log(batches*each, record.Info, "l", strings.Repeat("m", 64<<10))
	for i := range uint64(batches) {
		r.give(p, i*each+1, (i+1)*each)
		r.step()
	}
	if got := r.answers(); len(got) != batches || got[batches-1].Seq != batches*each {
		t.Fatalf("%d answers", len(got))
	}
	c := r.router.sinks[1].(*console)
	c.lines.mu.Lock()
	if c.lines.bytes > consoleLimit {
		t.Errorf("%d bytes wait", c.lines.bytes)
	}
	c.lines.mu.Unlock()
	skipped := r.stats().Handlers[1].Skipped
	if skipped == 0 || skipped == batches*each {
		t.Errorf("%d skipped", skipped)
	}
	// Nothing waits for ever for a console.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := r.router.close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v", err)
	}

	out.let()
	if err := r.router.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	shown, told := 0, 0
	for line := range strings.Lines(out.String()) {
		var n int
		if _, err := fmt.Sscanf(line, "-- %d lines left out", &n); err == nil {
			told += n
		} else if strings.Contains(line, "INFO  l[w1] m") && len(line) > 64<<10 {
			shown++
		} else {
			t.Fatalf("a torn line: %.100q", line)
		}
	}
	if uint64(told) != skipped || shown+told != batches*each {
		t.Errorf("%d shown, %d told as left out, %d counted", shown, told, skipped)
	}
	if s := r.stats().Handlers[1]; s.Records != uint64(shown) {
		t.Errorf("stats %+v", s)
	}
}

// slowly takes a few bytes at a time, and answers as a full non-blocking pipe does in between.
type slowly struct {
	lines
	calls int
}

func (s *slowly) Write(p []byte) (int, error) {
	s.calls++
	switch s.calls % 4 {
	case 0:
		return 0, syscall.EINTR
	case 1:
		n, _ := s.lines.Write(p[:min(7, len(p))])
		return n, io.ErrShortWrite
	case 2:
		n, _ := s.lines.Write(p[:min(100, len(p))])
		return n, nil
	}
	return 0, &os.PathError{Op: "write", Path: "|1", Err: syscall.EAGAIN}
}

func TestConsoleTakesPieces(t *testing.T) {
	out := &slowly{}
	text := strings.Repeat("a line of some length\n", 50)
	if err := writeAll(out, []byte(text)); err != nil || out.String() != text {
		t.Errorf("%v: %q", err, out.String())
	}
	if err := writeAll(idle{}, []byte("x")); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a writer that takes nothing: %v", err)
	}
}

type idle struct{}

func (idle) Write([]byte) (int, error) { return 0, nil }

// brittle fails in the middle of its second line.
type brittle struct {
	lines
	n int
}

func (b *brittle) Write(p []byte) (int, error) {
	if b.n++; b.n == 2 {
		n, _ := b.lines.Write(p[:len(p)/2])
		return n, syscall.EIO
	}
	return b.lines.Write(p)
}

func TestConsoleFails(t *testing.T) {
	out := &brittle{}
	r := newRigWith(t, Config{Dir: t.TempDir(), Handlers: []string{"json://DIR/app.jsonl", "console://stderr"}, ConsoleErr: out})
	p := newPublisher("etl", "w1")
	p.log(3, record.Info, "l", "m")
	c := r.router.sinks[1].(*console)
	for i := uint64(1); i <= 3; i++ {
		r.give(p, i, i)
		r.step()
		for delivered := false; !delivered; { // one write each
			runtime.Gosched()
			c.lines.mu.Lock()
			delivered = len(c.lines.waiting) == 0 && c.lines.bytes == 0
			c.lines.mu.Unlock()
		}
	}
	if err := r.router.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 4 || !strings.HasSuffix(lines[0], "m 1") || !strings.HasSuffix(lines[2], "m 3") {
		t.Errorf("%q", lines)
	}
	if s := r.stats(); s.Handlers[1].Errors != 1 || len(r.answers()) != 3 {
		t.Errorf("stats %+v", s)
	}
}

func TestConsoleForms(t *testing.T) {
	p := newPublisher("etl", "w1")
	p.log(1, record.Warn, "l", "m\x1b[2J")
	show := func(url string, cfg Config) string {
		out := &lines{}
		cfg.Dir, cfg.Handlers, cfg.ConsoleErr = t.TempDir(), []string{url}, out
		r := newRigWith(t, cfg)
		r.give(p, 1, 1)
		r.step()
		if err := r.router.close(t.Context()); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	plain := show("console://stderr", Config{})
	if !strings.Contains(plain, "WARN  l[w1] m") || strings.Contains(plain, "\x1b") {
		t.Errorf("not a terminal: %q", plain)
	}
	if got := show("console://stderr?color=never", Config{}); got != plain {
		t.Errorf("never: %q", got)
	}
	if got := show("console://stderr?color=always", Config{NoColor: true}); !strings.Contains(got, "\x1b[") || strings.Contains(got, "\x1b[2J") {
		t.Errorf("always: %q", got)
	}
	if got := show("console://stderr?format=json", Config{}); got != p.text(1) {
		t.Errorf("json: %q", got)
	}
	formats := map[string]logrus.Formatter{"lf": &logrus.TextFormatter{DisableColors: true}}
	if got := show("console://stderr?format=lf", Config{Formats: formats}); !strings.Contains(got, `level=warning msg="m\x1b[2J 1" app=etl`) {
		t.Errorf("a formatter: %q", got)
	}
	if got := show("console://stderr?level=error", Config{}); got != "" {
		t.Errorf("filtered: %q", got)
	}
}

func TestColored(t *testing.T) {
	notTerminal, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer notTerminal.Close()
	for _, c := range []struct {
		mode    string
		out     io.Writer
		noColor bool
		want    bool
	}{
		{"always", &bytes.Buffer{}, true, true}, {"never", os.Stderr, false, false},
		{"auto", &bytes.Buffer{}, false, false}, {"auto", notTerminal, false, false},
	} {
		if got := colored(c.mode, c.out, c.noColor); got != c.want {
			t.Errorf("%+v: %t", c, got)
		}
	}
}
