package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

// lines takes no pause of this process, or of a child's, for the end of a trace.
func lines(t *testing.T, p *Publisher, r io.Reader, o LinesOptions) {
	t.Helper()
	o.TraceWait = cmp.Or(o.TraceWait, 2*time.Minute)
	if err := p.Lines(context.Background(), r, o); err != nil {
		t.Fatal(err)
	}
}

func TestLines(t *testing.T) {
	p, c := newCapture(t, Config{})
	const text = "starting\n" +
		"\n" +
		`{"level":"warning","msg":"slow","took":1.5,"logger":"db"}` + "\n" +
		"\r 10%|#   |\r 50%|##  |\r100%|####|\r\n" +
		"Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\n    f()\nValueError: bad\n" +
		"bin\x00ary \xff\xfe\n" +
		"no newline"
	for name, r := range map[string]io.Reader{
		"whole":      strings.NewReader(text),
		"bytes":      iotest.OneByteReader(strings.NewReader(text)),
		"data+error": iotest.DataErrReader(strings.NewReader(text)),
	} {
		t.Run(name, func(t *testing.T) {
			lines(t, p, r, LinesOptions{Logger: "child", Level: record.Debug, Fields: []Field{String("stream", "stderr")}})
			got := c.records(t, p)
			if len(got) != 6 {
				t.Fatalf("records %v", got)
			}
			has(t, got[0], map[string]any{"msg": "starting", "level": "debug", "logger": "child", "stream": "stderr"})
			has(t, got[1], map[string]any{"msg": "slow", "level": "warn", "logger": "db", "took": "1.5", "stream": "stderr"})
			has(t, got[2], map[string]any{"msg": "100%|####|"})
			has(t, got[3], map[string]any{"msg": "ValueError: bad", "error": "ValueError: bad", "level": "error", "logger": "child", "stream": "stderr",
				"stack": "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\n    f()\nValueError: bad"})
			has(t, got[4], map[string]any{"msg": "bin\x00ary \ufffd\ufffd"})
			has(t, got[5], map[string]any{"msg": "no newline"})
		})
	}
}

func TestLinesObeyLevelsThatWereSet(t *testing.T) {
	p, c := newCapture(t, Config{Levels: "warn"})
	lines(t, p, strings.NewReader("chatter\n{\"level\":\"error\",\"msg\":\"bad\"}\npanic: x\n\ngoroutine 1 [running]:\nmain.main()\n"), LinesOptions{})
	got := c.records(t, p)
	if len(got) != 2 || got[0]["msg"] != "bad" || got[1]["level"] != "fatal" {
		t.Errorf("records %v", got)
	}
}

// A shared is a strings.Builder for several goroutines.
type shared struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *shared) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Reset()
}

// A trace that nothing follows is given out after a while; the end of one that was going on is not
// torn off by a pause shorter than that.
func TestLinesGivesOutAnUnfinishedTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out shared
		p, err := New(Config{Console: &out})
		if err != nil {
			t.Fatal(err)
		}
		out.Reset()
		r, w := io.Pipe()
		done := make(chan error)
		go func() { done <- p.Lines(context.Background(), r, LinesOptions{}) }()
		io.WriteString(w, "Traceback (most recent call last):\n  File \"x.py\", line 1, in f\n")
		time.Sleep(defaultTraceWait / 2)
		io.WriteString(w, "    f()\nValueError: bad\n")
		synctest.Wait()
		if got := out.String(); got != "" {
			t.Errorf("given out before its chain can have come: %q", got)
		}
		time.Sleep(defaultTraceWait + 1)
		synctest.Wait()
		if got := out.String(); !strings.Contains(got, "ValueError: bad") {
			t.Errorf("%v after its last line a trace is still held back", defaultTraceWait)
		}
		w.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestLinesEndsWithItsContext(t *testing.T) {
	p, c := newCapture(t, Config{})
	r, w := io.Pipe()
	defer r.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error)
	go func() { done <- p.Lines(ctx, r, LinesOptions{}) }()
	io.WriteString(w, "line\nunfinished")
	io.WriteString(w, "!") // once this is being read, the first is in
	why := errors.New("enough")
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Error(err)
	}
	got := c.records(t, p)
	if len(got) != 2 || !strings.HasPrefix(got[1]["msg"].(string), "unfinished") {
		t.Errorf("records %v", got)
	}
}

func TestLinesReportsAReadError(t *testing.T) {
	p, c := newCapture(t, Config{})
	bad := errors.New("bad disk")
	err := p.Lines(context.Background(), io.MultiReader(strings.NewReader("one\ntwo"), iotest.ErrReader(bad)), LinesOptions{})
	if !errors.Is(err, bad) {
		t.Error(err)
	}
	if got := c.records(t, p); len(got) != 2 {
		t.Errorf("records %v", got)
	}
}

func TestLinesCutsEndlessOnes(t *testing.T) {
	p, c := newCapture(t, Config{MaxRecord: 4 << 10, Buffer: 4 << 20})
	text := strings.Repeat("ä", 20_000)
	lines(t, p, strings.NewReader(text+"\n"), LinesOptions{})
	var all strings.Builder
	for i, r := range c.records(t, p) {
		has(t, r, map[string]any{"part": fmt.Sprint(i + 1), "truncated": nil})
		all.WriteString(r["msg"].(string))
	}
	if all.String() != text {
		t.Errorf("the parts make up %d bytes, want %d", all.Len(), len(text))
	}
}

func TestLinesTakesBinaryGarbage(t *testing.T) {
	p, c := newCapture(t, Config{MaxRecord: 4 << 10})
	garbage := make([]byte, 256<<10)
	src := rand.NewChaCha8([32]byte{1})
	src.Read(garbage)
	lines(t, p, strings.NewReader(string(garbage)+"\nthe end\n"), LinesOptions{})
	got := c.records(t, p) // which checks that each is valid
	if last := got[len(got)-1]; last["msg"] != "the end" {
		t.Errorf("the last record is %v", last)
	}
}

// The child is this test itself; see TestMain.
func TestLinesOfAChild(t *testing.T) {
	p, c := newCapture(t, Config{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childEnv+"=panic")
	child.Stdout, child.Stderr = w, w
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	lines(t, p, r, LinesOptions{Logger: "child"})
	if err := child.Wait(); err == nil {
		t.Error("the child did not panic")
	}
	got := c.records(t, p)
	if len(got) != 2 {
		t.Fatalf("records %v", got)
	}
	has(t, got[0], map[string]any{"msg": "about to panic", "level": "info"})
	has(t, got[1], map[string]any{"level": "fatal", "error": "panic: boom"})
	if s, _ := got[1]["stack"].(string); !strings.HasPrefix(s, "panic: boom\n\ngoroutine ") || !strings.Contains(s, "publisher.runChild") {
		t.Errorf("stack %q", s)
	}
}
