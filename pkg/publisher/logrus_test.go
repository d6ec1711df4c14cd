package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/pkg/record"
)

func newLogrus() (*logrus.Logger, *bytes.Buffer) {
	var out bytes.Buffer
	l := logrus.New()
	l.Out = &out
	return l, &out
}

func TestLogrusLevels(t *testing.T) {
	p, c := newCapture(t, Config{})
	l, out := newLogrus()
	l.SetLevel(logrus.TraceLevel)
	l.ExitFunc = func(int) {}
	fatal := l.Fatal // which comes back
	p.InstallLogrus(l)
	l.Trace("m")
	l.Debug("m")
	l.Info("m")
	l.Print("m")
	l.Warn("m")
	l.Error("m")
	fatal("m")
	func() {
		defer func() { _ = recover() }()
		l.Panic("m")
	}()
	var got []any
	for _, r := range c.records(t, p) {
		got = append(got, r["level"])
	}
	want := []any{"trace", "debug", "info", "info", "warn", "error", "fatal", "panic"}
	if !slices.Equal(got, want) {
		t.Errorf("levels %v, want %v", got, want)
	}
	if out.Len() > 0 {
		t.Errorf("the logger's own output is not silent: %q", out)
	}
}

type celsius float64

func (c celsius) String() string { return fmt.Sprintf("%.1f degrees", float64(c)) }

type point struct {
	X, Y int
	Tag  string `json:"tag,omitempty"`
}

type explosive struct{}

func (*explosive) MarshalJSON() ([]byte, error) { panic("boom") }

func TestLogrusFields(t *testing.T) {
	p, c := newCapture(t, Config{})
	l, _ := newLogrus()
	p.InstallLogrus(l)
	at := time.Date(2026, 11, 21, 10, 0, 0, 5, time.FixedZone("", 3600))
	l.WithFields(logrus.Fields{
		"s": "x\ny", "i": -7, "u": uint8(8), "f": 2.5, "b": true, "n": nil,
		"d": time.Second, "t": at, "p": point{1, 2, ""}, "m": map[string]int{"a": 1},
		"l": []string{"a"}, "c": celsius(21), "bytes": []byte("raw"), "cause": errors.New("inner"),
		"level": "mine", "seq": 9, "explosive": &explosive{}, "nil error": error(nil), "": "no name",
	}).WithError(fmt.Errorf("outer: %w", io.ErrUnexpectedEOF)).WithTime(at).Infof("%d rows", 120)
	r := c.one(t, p)
	has(t, r, map[string]any{
		"time": "2026-11-21T09:00:00.000000005Z", "level": "info", "msg": "120 rows", "logger": "",
		"s": "x\ny", "i": "-7", "u": "8", "f": "2.5", "b": true, "d": "1000000000",
		"t": "2026-11-21T10:00:00.000000005+01:00", "cause": "inner",
		"error": "outer: unexpected EOF", "fields.level": "mine", "fields.seq": "9", "": "no name",
		"app": "etl", "worker": "w1",
	})
	if m, ok := r["p"].(map[string]any); !ok || fmt.Sprintf("%v %v", m["X"], m["Y"]) != "1 2" {
		t.Errorf("a struct became %v", r["p"])
	}
	if v, ok := r["n"]; !ok || v != nil {
		t.Errorf("nil became %v", v)
	}
	if s := fmt.Sprint(r["explosive"]); !strings.Contains(s, "boom") {
		t.Errorf("a panicking MarshalJSON became %q", s)
	}
}

func TestLogrusFieldsAreInTheOrderOfTheirKeys(t *testing.T) {
	p, c := newCapture(t, Config{})
	l := p.Logger("x")
	for range 10 {
		l.WithFields(logrus.Fields{"d": 1, "a": 1, "c": 1, "b": 1, "e": 1}).Info("m")
	}
	p.Flush(context.Background())
	for _, line := range c.lines {
		if !bytes.Contains(line, []byte(`"a":1,"b":1,"c":1,"d":1,"e":1`)) {
			t.Fatalf("%s", line)
		}
	}
}

func TestLogrusErrorKeyOfTheProgram(t *testing.T) {
	was := logrus.ErrorKey
	logrus.ErrorKey = "err"
	defer func() { logrus.ErrorKey = was }()
	p, c := newCapture(t, Config{})
	p.Logger("").WithError(io.EOF).Error("m")
	has(t, c.one(t, p), map[string]any{"error": "EOF", "err": nil})
}

func TestLogrusCaller(t *testing.T) {
	p, c := newCapture(t, Config{})
	l, _ := newLogrus()
	p.InstallLogrus(l)
	l.Info("m")
	has(t, c.one(t, p), map[string]any{"caller": nil})
	l.SetReportCaller(true)
	l.WithField("k", 1).Info("m")
	if s, _ := c.one(t, p)["caller"].(string); !strings.HasPrefix(s, "publisher/logrus_test.go:") {
		t.Errorf("caller is %q", s)
	}
}

func TestInstallLogrusTwice(t *testing.T) {
	p, c := newCapture(t, Config{})
	l, _ := newLogrus()
	p.InstallLogrus(l)
	p.InstallLogrus(l)
	p.InstallLogrus(l, WithLevel(logrus.DebugLevel))
	l.Debug("once")
	has(t, c.one(t, p), map[string]any{"msg": "once"})

	byHand, _ := newLogrus()
	byHand.AddHook(p.LogrusHook())
	p.InstallLogrus(byHand)
	byHand.Info("once")
	has(t, c.one(t, p), map[string]any{"msg": "once"})

	p.InstallLogrus(l, ReplaceHooks())
	l.Info("once")
	has(t, c.one(t, p), map[string]any{"msg": "once"})
}

func TestLogrusDerivedLoggers(t *testing.T) {
	p, c := newCapture(t, Config{})
	l, _ := newLogrus()
	p.InstallLogrus(l)
	derived := &logrus.Logger{Out: l.Out, Hooks: l.Hooks, Formatter: l.Formatter, Level: logrus.InfoLevel}
	derived.WithField("k", "v").WithField("logger", "a.b").Info("m")
	has(t, c.one(t, p), map[string]any{"k": "v", "logger": "a.b", "fields.logger": nil})
	l.WithField("logger", 7).Info("m")
	has(t, c.one(t, p), map[string]any{"logger": "", "fields.logger": "7"})
}

// A countingFormatter formats, and counts.
type countingFormatter struct {
	logrus.TextFormatter
	n int
}

func (f *countingFormatter) Format(e *logrus.Entry) ([]byte, error) {
	f.n++
	return f.TextFormatter.Format(e)
}

func TestLogrusOutput(t *testing.T) {
	p, c := newCapture(t, Config{})
	l, out := newLogrus()
	f := &countingFormatter{}
	l.SetFormatter(f)
	p.InstallLogrus(l, KeepOutput())
	l.Info("kept")
	if !strings.Contains(out.String(), "kept") || f.n != 1 {
		t.Errorf("KeepOutput: output %q, formatted %d times", out, f.n)
	}
	p.InstallLogrus(l)
	out.Reset()
	l.Info("silent")
	if out.Len() > 0 || f.n != 1 {
		t.Errorf("output %q, formatted %d times", out, f.n)
	}
	if got := c.records(t, p); len(got) != 2 {
		t.Errorf("records: %v", got)
	}
}

// An otherHook does what somebody's hook may do.
type otherHook struct {
	fire func(*logrus.Entry) error
	n    int
}

func (h *otherHook) Levels() []logrus.Level { return logrus.AllLevels[:5] }

func (h *otherHook) Fire(e *logrus.Entry) error {
	h.n++
	if h.fire == nil {
		return nil
	}
	return h.fire(e)
}

func TestLogrusHooksOfOthers(t *testing.T) {
	p, c := newCapture(t, Config{})
	l, out := newLogrus()
	var text string
	adds := &otherHook{fire: func(e *logrus.Entry) error {
		e.Data["host"] = "h1"
		var err error
		text, err = e.String() // as logrus's syslog hook does
		return err
	}}
	after := &otherHook{}
	l.AddHook(adds)
	p.InstallLogrus(l)
	l.AddHook(after)
	l.Info("m")
	has(t, c.one(t, p), map[string]any{"host": "h1"})
	if adds.n != 1 || after.n != 1 {
		t.Errorf("the hooks of others were called %d and %d times", adds.n, after.n)
	}
	if !strings.Contains(text, "msg=m") || out.Len() > 0 {
		t.Errorf("a hook gets %q as the entry's text, and the output %q", text, out)
	}
	l.Trace("not enabled")
	l.SetLevel(logrus.TraceLevel)
	l.Debug("not a level of theirs")
	has(t, c.one(t, p), map[string]any{"msg": "not a level of theirs"})

	p.InstallLogrus(l, ReplaceHooks())
	l.Info("m")
	c.one(t, p)
	if adds.n != 1 || after.n != 1 {
		t.Error("ReplaceHooks left a hook")
	}
}

func TestLogrusHookThatFailsLosesNoRecord(t *testing.T) {
	p, c := newCapture(t, Config{})
	l, _ := newLogrus()
	first := &otherHook{fire: func(*logrus.Entry) error { return errors.New("server is away") }}
	second, third := &otherHook{}, &otherHook{}
	l.AddHook(first)
	l.AddHook(second)
	p.InstallLogrus(l)
	l.AddHook(third)
	l.Info("m")
	has(t, c.one(t, p), map[string]any{"msg": "m"})
	if first.n != 1 || second.n != 0 || third.n != 0 {
		t.Errorf("a failing hook ends the hooks after it, as logrus does: called %d, %d, %d times", first.n, second.n, third.n)
	}
}

func TestLogrusHookNeverFails(t *testing.T) {
	p, _ := newCapture(t, Config{})
	p.Close(context.Background())
	e := logrus.NewEntry(logrus.New())
	e.Level, e.Message = logrus.FatalLevel, "after Close"
	for _, h := range hooksWith(nil, &logrusHook{pub: p})[logrus.FatalLevel] {
		if err := h.Fire(e); err != nil {
			t.Error(err)
		}
	}
}

func TestLogrusFatalAndPanicAreDeliveredFirst(t *testing.T) {
	for name, log := range map[string]func(l *logrus.Entry){
		"Fatal": func(l *logrus.Entry) { l.Fatal("last words") },
		"Panic": func(l *logrus.Entry) { l.Panic("last words") },
	} {
		t.Run(name, func(t *testing.T) {
			p, c := newCapture(t, Config{})
			l := p.Logger("x")
			there := -1
			l.Logger.ExitFunc = func(int) { there = len(c.arrived(t)) }
			c.hold(50 * time.Millisecond)
			func() {
				defer func() {
					if recover() != nil {
						there = len(c.arrived(t))
					}
				}()
				log(l)
			}()
			if there != 1 {
				t.Errorf("%d records were there when the process would end", there)
			}
		})
	}
}

func TestLogrusNamedLoggers(t *testing.T) {
	p, c := newCapture(t, Config{Levels: "info,etl.load=debug"})
	p.Logger("etl.load").Debug("a")
	p.Logger("etl.store").Debug("not let through")
	p.Logger("etl.store").WithField("k", 1).Info("b")
	p.Logger("etl.load").WithField("logger", "other").Debug("not let through: other is at info")
	got := c.records(t, p)
	if len(got) != 2 {
		t.Fatalf("records: %v", got)
	}
	has(t, got[0], map[string]any{"logger": "etl.load", "msg": "a", "fields.logger": nil})
	has(t, got[1], map[string]any{"logger": "etl.store", "msg": "b", "k": "1"})

	l := p.Logger("etl.store")
	if l.Logger != p.Logger("etl.store").Logger {
		t.Error("a name has two loggers")
	}
	p.SetLevel("etl", record.Trace)
	if !l.Logger.IsLevelEnabled(logrus.TraceLevel) {
		t.Error("a logger that exists does not follow its parent's level")
	}
	l.Trace("c")
	p.SetLevel("etl.store", record.Error)
	l.Warn("not let through")
	has(t, c.one(t, p), map[string]any{"msg": "c", "level": "trace"})
	if err := p.SetLevels("warn"); err != nil {
		t.Fatal(err)
	}
	l.Info("not let through")
	l.Warn("d")
	has(t, c.one(t, p), map[string]any{"msg": "d"})
	if err := p.SetLevels("loud"); err == nil || p.Level("x") != record.Warn {
		t.Error("a mistake in SetLevels was taken, or changed something")
	}
}

func TestLogrusLevelAndPublisherLevel(t *testing.T) {
	t.Run("not set: the logger's own counts", func(t *testing.T) {
		p, c := newCapture(t, Config{})
		l, _ := newLogrus()
		l.SetLevel(logrus.DebugLevel)
		p.InstallLogrus(l)
		l.Debug("a")
		c.one(t, p)
		p.InstallLogrus(l, WithLevel(logrus.WarnLevel))
		l.Info("b")
		if got := c.records(t, p); len(got) > 0 {
			t.Errorf("WithLevel has no effect: %v", got)
		}
	})
	t.Run("set: it counts", func(t *testing.T) {
		p, c := newCapture(t, Config{Levels: "debug,noisy=error"})
		l, _ := newLogrus()
		p.InstallLogrus(l, WithLevel(logrus.WarnLevel))
		l.Debug("a")
		l.WithField("logger", "noisy.one").Warn("not let through")
		has(t, c.one(t, p), map[string]any{"msg": "a"})
		p.SetLevel("", record.Error)
		l.Warn("not let through")
		l.Error("b")
		has(t, c.one(t, p), map[string]any{"msg": "b"})
	})
}

func TestLogrusContext(t *testing.T) {
	type key struct{}
	p, c := newCapture(t, Config{})
	l, _ := newLogrus()
	p.InstallLogrus(l, WithContext(func(ctx context.Context) []Field {
		return []Field{String("trace_id", ctx.Value(key{}).(string))}
	}))
	l.WithContext(context.WithValue(context.Background(), key{}, "4bf9")).Info("m")
	has(t, c.one(t, p), map[string]any{"trace_id": "4bf9"})
	l.Info("no context")
	has(t, c.one(t, p), map[string]any{"trace_id": nil})
}

func TestLogrusConcurrent(t *testing.T) {
	const goroutines, each = 8, 200
	p, c := newCapture(t, Config{})
	l, _ := newLogrus()
	var wg sync.WaitGroup
	start := make(chan struct{})
	for g := range goroutines {
		wg.Go(func() {
			<-start
			e := l.WithField("g", g)
			for i := range each {
				e.WithField("i", i).Info("m")
				if i%50 == 0 {
					p.InstallLogrus(l)
				}
			}
		})
	}
	p.InstallLogrus(l)
	close(start)
	wg.Wait()
	next := make(map[string]int)
	for _, r := range c.records(t, p) {
		g := fmt.Sprint(r["g"])
		if fmt.Sprint(r["i"]) != fmt.Sprint(next[g]) {
			t.Fatalf("goroutine %s: record %v, want %d", g, r["i"], next[g])
		}
		next[g]++
	}
	for g, n := range next {
		if n != each {
			t.Errorf("goroutine %s: %d records, want %d", g, n, each)
		}
	}
	if len(next) != goroutines {
		t.Errorf("records of %d goroutines", len(next))
	}
}
