package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

func TestSlogtest(t *testing.T) {
	var p *Publisher
	var c *capture
	began := time.Now()
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		p, c = newCapture(t, Config{})
		return p.SlogHandler(nil)
	}, func(t *testing.T) map[string]any {
		r := c.one(t, p)
		if strings.HasSuffix(t.Name(), "/zero-time") {
			// Every record of ours has a time: a zero one is ignored by taking that of the call.
			at, err := time.Parse(time.RFC3339Nano, r["time"].(string))
			if err != nil || at.Before(began.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
				t.Errorf("a record without a time got %v (%v)", at, err)
			}
			delete(r, "time")
		}
		return r
	})
}

func TestSlogLevels(t *testing.T) {
	for level, want := range map[slog.Level]record.Level{
		-8: record.Trace, -5: record.Trace, -4: record.Debug, -1: record.Debug, 0: record.Info, 2: record.Info,
		4: record.Warn, 7: record.Warn, 8: record.Error, 11: record.Error, 12: record.Fatal, 100: record.Fatal,
	} {
		if got := fromSlog(level); got != want {
			t.Errorf("slog level %d becomes %v, want %v", level, got, want)
		}
	}
	p, c := newCapture(t, Config{Levels: "info,etl=debug"})
	l := slog.New(p.SlogHandler(nil))
	l.Debug("not let through")
	l.With("logger", "etl.load").Debug("a")
	slog.New(p.SlogHandler(&SlogOptions{Level: slog.LevelDebug})).Debug("not let through: the root is set to info")
	l.Info("b", "logger", "quiet")
	p.SetLevel("quiet", record.Error)
	l.Info("not let through", "logger", "quiet.one")
	got := c.records(t, p)
	if len(got) != 2 {
		t.Fatalf("records: %v", got)
	}
	has(t, got[0], map[string]any{"logger": "etl.load", "msg": "a", "level": "debug"})
	has(t, got[1], map[string]any{"logger": "quiet", "msg": "b"})

	var v slog.LevelVar
	p, c = newCapture(t, Config{})
	l = slog.New(p.SlogHandler(&SlogOptions{Level: &v}))
	l.Debug("not let through")
	v.Set(slog.LevelDebug)
	l.Debug("a")
	has(t, c.one(t, p), map[string]any{"msg": "a"})
}

type secret string

func (secret) LogValue() slog.Value { return slog.StringValue("***") }

type nested struct{ depth int }

func (n nested) LogValue() slog.Value {
	if n.depth == 0 {
		return slog.GroupValue(slog.Int("bottom", 1), slog.Any("s", secret("x")))
	}
	return slog.AnyValue(nested{n.depth - 1})
}

type panicky struct{}

func (panicky) LogValue() slog.Value { panic("boom") }

func TestSlogValues(t *testing.T) {
	p, c := newCapture(t, Config{})
	l := slog.New(p.SlogHandler(&SlogOptions{Logger: "etl"}))
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	l.Info("m", "s", "x", "i", -1, "u", uint64(1<<63), "f", 0.5, "b", true, "d", time.Millisecond, "t", at,
		"nil", nil, "secret", secret("x"), "nested", nested{3}, "panicky", panicky{}, "any", []int{1, 2},
		"error", errors.New("bad"), "level", "mine", slog.Group("g", "a", 1, slog.Group("", "inlined", true)), slog.String("!BADKEY", "dangling"))
	r := c.one(t, p)
	has(t, r, map[string]any{
		"logger": "etl", "s": "x", "i": "-1", "u": "9223372036854775808", "f": "0.5", "b": true, "d": "1000000",
		"t": "2026-11-21T10:00:00Z", "secret": "***", "error": "bad", "fields.level": "mine", "!BADKEY": "dangling",
	})
	if got := fmt.Sprint(r["nested"]); got != "map[bottom:1 s:***]" {
		t.Errorf("a nested LogValuer became %s", got)
	}
	if got := fmt.Sprint(r["g"]); got != "map[a:1 inlined:true]" {
		t.Errorf("a group became %s", got)
	}
	if got := fmt.Sprint(r["panicky"]); !strings.Contains(got, "LogValue panicked") {
		t.Errorf("a panicking LogValue became %s", got)
	}
}

func TestSlogGroupsAndAttrs(t *testing.T) {
	p, c := newCapture(t, Config{})
	base := slog.New(p.SlogHandler(nil)).With("a", 1)
	left := base.WithGroup("g").With("b", 2, "logger", "stays a field")
	right := base.WithGroup("h")
	left.Info("m", "c", 3, "logger", "stays as well")
	right.Info("m", "c", 4)
	right.Info("m")
	base.Info("m", "a", 5)
	got := c.records(t, p)
	if s := fmt.Sprint(got[0]["g"]); s != "map[b:2 c:3 logger:stays a field logger#2:stays as well]" {
		t.Errorf("g is %s", s)
	}
	has(t, got[0], map[string]any{"a": "1", "logger": "", "h": nil})
	if s := fmt.Sprint(got[1]["h"]); s != "map[c:4]" {
		t.Errorf("h is %s", s)
	}
	has(t, got[2], map[string]any{"a": "1", "h": nil, "g": nil})
	has(t, got[3], map[string]any{"a": "1", "a#2": "5"})
}

func TestSlogWithAttrsKeepsNothingOfTheCaller(t *testing.T) {
	p, c := newCapture(t, Config{})
	attrs := []slog.Attr{slog.String("logger", "x"), slog.Int("a", 1)}
	h := p.SlogHandler(nil).WithAttrs(attrs).WithGroup("g")
	attrs[0], attrs[1] = slog.String("logger", "y"), slog.Int("changed", 2)
	slog.New(h).Info("m", "b", 1)
	has(t, c.one(t, p), map[string]any{"logger": "x", "a": "1", "changed": nil})
}

// What is encoded once must stay what it was: a valuer of WithAttrs is asked when it is given.
func TestSlogWithAttrsIsEncodedOnce(t *testing.T) {
	p, c := newCapture(t, Config{})
	asked := 0
	l := slog.New(p.SlogHandler(nil)).With("v", valuer(func() slog.Value { asked++; return slog.IntValue(asked) }))
	for range 3 {
		l.Info("m", "k", 1)
	}
	for _, r := range c.records(t, p) {
		has(t, r, map[string]any{"v": "1", "k": "1"})
	}
	if asked != 1 {
		t.Errorf("the value was asked for %d times", asked)
	}
}

type valuer func() slog.Value

func (v valuer) LogValue() slog.Value { return v() }

func TestSlogSourceAndContext(t *testing.T) {
	type key struct{}
	p, c := newCapture(t, Config{})
	l := slog.New(p.SlogHandler(&SlogOptions{AddSource: true, Context: func(ctx context.Context) []Field {
		id, _ := ctx.Value(key{}).(string)
		return []Field{String("trace_id", id)}
	}}))
	l.InfoContext(context.WithValue(context.Background(), key{}, "4bf9"), "m")
	r := c.one(t, p)
	has(t, r, map[string]any{"trace_id": "4bf9"})
	if s, _ := r["caller"].(string); !strings.HasPrefix(s, "publisher/slog_test.go:") {
		t.Errorf("caller is %q", s)
	}
}

func TestSlogFatalIsDeliveredFirst(t *testing.T) {
	p, c := newCapture(t, Config{})
	c.hold(50 * time.Millisecond)
	slog.New(p.SlogHandler(nil)).Log(context.Background(), slog.LevelError+4, "last words")
	if n := len(c.arrived(t)); n != 1 {
		t.Errorf("%d records were there when the call returned", n)
	}
}

func TestSlogConcurrent(t *testing.T) {
	const goroutines, each = 8, 300
	p, c := newCapture(t, Config{})
	base := slog.New(p.SlogHandler(nil)).With("shared", strings.Repeat("x", 100)).WithGroup("g")
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			l := base.With("goroutine", g)
			for i := range each {
				l.Info("m", "i", i)
			}
		})
	}
	wg.Wait()
	next := make([]int, goroutines)
	for _, r := range c.records(t, p) {
		in := r["g"].(map[string]any)
		var g, i int
		fmt.Sscan(fmt.Sprintf("%v %v", in["goroutine"], in["i"]), &g, &i)
		if i != next[g] {
			t.Fatalf("goroutine %d: record %d, want %d", g, i, next[g])
		}
		next[g]++
	}
	if slices.ContainsFunc(next, func(n int) bool { return n != each }) {
		t.Errorf("records per goroutine: %v", next)
	}
}

func TestSlogDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools allocate")
	}
	p, err := New(Config{Console: discardConsole{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	l := slog.New(p.SlogHandler(nil)).With("logger", "etl.load", "job", 7)
	at := time.Now()
	if n := testing.AllocsPerRun(1000, func() {
		l.LogAttrs(ctx, slog.LevelInfo, "row loaded", slog.String("file", "a.csv"), slog.Int("rows", 120),
			slog.Duration("took", time.Millisecond), slog.Bool("ok", true), slog.Time("at", at))
		l.LogAttrs(ctx, slog.LevelDebug, "not let through", slog.Int("rows", 120))
	}); n > 0 {
		t.Errorf("a call allocates %v times", n)
	}
}

// A discardConsole is not io.Discard, so that the record is rendered.
type discardConsole struct{}

func (discardConsole) Write(p []byte) (int, error) { return len(p), nil }

func TestSlogIsTheDefaultLoggersHandler(t *testing.T) {
	was := slog.Default()
	defer slog.SetDefault(was)
	p, c := newCapture(t, Config{})
	slog.SetDefault(slog.New(p.SlogHandler(nil)))
	slog.Info("m", "k", bytes.NewBufferString("v"))
	has(t, c.one(t, p), map[string]any{"msg": "m"})
}
