package publisher

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

func TestNativeLevelsAndFields(t *testing.T) {
	p, c := newCapture(t, Config{Levels: "trace"})
	l := p.Named("etl").Named("load")
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	l.Trace("m", String("s", "x"), Int("i", -1), Int64("i64", 1<<40), Uint64("u", 1<<63), Float64("f", 0.5))
	l.Debug("m", Bool("b", true), Time("t", at), Duration("d", time.Second), Any("any", []int{1}), Err(io.EOF))
	l.Info("m", Group("g", Int("a", 1)), Err(nil), Attr(slog.String("slog", "too")))
	l.Warn("m")
	l.Error("m")
	l.Critical("m")
	l.Log(record.Info, "m")
	got := c.records(t, p)
	for i, level := range []string{"trace", "debug", "info", "warn", "error", "fatal", "info"} {
		has(t, got[i], map[string]any{"level": level, "logger": "etl.load", "msg": "m"})
	}
	has(t, got[0], map[string]any{"s": "x", "i": "-1", "i64": "1099511627776", "u": "9223372036854775808", "f": "0.5"})
	has(t, got[1], map[string]any{"b": true, "t": "2026-11-21T10:00:00Z", "d": "1000000000", "error": "EOF"})
	has(t, got[2], map[string]any{"slog": "too", "error": nil, "": nil})
	if s := fmt.Sprint(got[2]["g"]); s != "map[a:1]" {
		t.Errorf("a group became %s", s)
	}
}

func TestNativeWith(t *testing.T) {
	p, c := newCapture(t, Config{})
	fields := []Field{Int("a", 1)}
	l := p.Named("etl").With(fields...)
	fields[0] = Int("changed", 1)
	l.With(String("b", "2")).Named("load").Info("m", Int("c", 3), Int("a", 4))
	l.Info("m")
	got := c.records(t, p)
	has(t, got[0], map[string]any{"logger": "etl.load", "a": "1", "b": "2", "c": "3", "a#2": "4", "changed": nil})
	has(t, got[1], map[string]any{"logger": "etl", "a": "1", "b": nil})
}

func TestNativeCaller(t *testing.T) {
	p, c := newCapture(t, Config{})
	l := p.Named("").WithCaller(0)
	l.Info("m")
	l.Log(record.Info, "m")
	wrapped := l.WithCaller(1)
	wrapper := func() { wrapped.Info("m") }
	wrapper()
	p.Named("").Info("m")
	got := c.records(t, p)
	for i, r := range got[:3] {
		if s, _ := r["caller"].(string); !strings.HasPrefix(s, "publisher/native_test.go:") {
			t.Errorf("call %d: caller is %q", i, s)
		}
	}
	if got[0]["caller"] == got[2]["caller"] || got[2]["caller"] == nil {
		t.Errorf("callers: %v and %v", got[0]["caller"], got[2]["caller"])
	}
	has(t, got[3], map[string]any{"caller": nil})
}

// A stackedError formats itself as those of github.com/pkg/errors do.
type stackedError struct{}

func (stackedError) Error() string { return "inner" }

func (e stackedError) Format(s fmt.State, verb rune) {
	io.WriteString(s, e.Error())
	if verb == 'v' && s.Flag('+') {
		io.WriteString(s, "\nmain.where\n\t/src/main.go:1")
	}
}

func TestExceptionHasAStack(t *testing.T) {
	p, c := newCapture(t, Config{})
	useDefault(t, p)
	for name, call := range map[string]func(err error){
		"Logger":  func(err error) { p.Named("").Exception(err, "failed", Int("k", 1)) },
		"package": func(err error) { Exception(err, "failed", Int("k", 1)) },
	} {
		call(io.EOF)
		r := c.one(t, p)
		has(t, r, map[string]any{"level": "error", "error": "EOF", "msg": "failed", "k": "1"})
		first, _, _ := strings.Cut(fmt.Sprint(r["stack"]), "\n")
		if !strings.Contains(first, "TestExceptionHasAStack.func") {
			t.Errorf("%s: the stack begins with %s", name, first)
		}
		call(fmt.Errorf("outer: %w", stackedError{}))
		has(t, c.one(t, p), map[string]any{"error": "outer: inner", "stack": "inner\nmain.where\n\t/src/main.go:1"})
	}
}

func TestRecover(t *testing.T) {
	p, c := newCapture(t, Config{})
	useDefault(t, p)
	for _, tt := range []struct {
		name  string
		run   func()
		error string
		where string
	}{
		{"a value", func() { defer p.Named("x").Recover("failed", Int("k", 1)); panicsHere("boom") }, "boom", "panicsHere"},
		{"an error", func() { defer p.Named("x").Recover("failed", Int("k", 1)); panicsHere(io.EOF) }, "EOF", "panicsHere"},
		{"the runtime's", func() { defer p.Named("x").Recover("failed", Int("k", 1)); indexes(nil, 3) },
			"runtime error: index out of range [3] with length 0", "indexes"},
		{"a nil pointer", func() { defer p.Named("x").Recover("failed", Int("k", 1)); dereferences(nil) },
			"runtime error: invalid memory address or nil pointer dereference", "dereferences"},
		{"again", func() {
			defer p.Named("x").Recover("failed", Int("k", 1))
			defer func() { panicsHere(recover()) }()
			panic("first")
		}, "first", "panicsHere"},
		{"the default's", func() { defer Recover("failed", Int("k", 1)); panicsHere("boom") }, "boom", "panicsHere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.run()
			r := c.one(t, p)
			has(t, r, map[string]any{"level": "error", "msg": "failed", "error": tt.error, "k": "1"})
			first, _, _ := strings.Cut(fmt.Sprint(r["stack"]), "\n")
			if !strings.HasSuffix(first, "publisher."+tt.where) {
				t.Errorf("the stack begins with %s, want %s:\n%s", first, tt.where, r["stack"])
			}
		})
	}
	func() { defer p.Named("x").Recover("nothing to tell") }()
	if got := c.records(t, p); len(got) > 0 {
		t.Errorf("without a panic: %v", got)
	}
}

//go:noinline
func panicsHere(v any) { panic(v) }

//go:noinline
func indexes(a []int, i int) int { return a[i] }

//go:noinline
func dereferences(a *int) int { return *a }

func TestRepanicIsDeliveredFirst(t *testing.T) {
	p, c := newCapture(t, Config{})
	c.hold(50 * time.Millisecond)
	var got any
	func() {
		defer func() { got = recover() }()
		defer p.Named("x").Repanic("failed")
		panic("boom")
	}()
	all := c.arrived(t)
	if got != "boom" || len(all) != 1 {
		t.Fatalf("panic %v, records %v", got, all)
	}
	has(t, all[0], map[string]any{"level": "panic", "error": "boom"})
}

func TestNativePanic(t *testing.T) {
	p, c := newCapture(t, Config{})
	c.hold(50 * time.Millisecond)
	var got any
	func() {
		defer func() { got = recover() }()
		p.Named("x").Panic("last words", Int("k", 1))
	}()
	if got != "last words" || len(c.arrived(t)) != 1 {
		t.Errorf("panic %v, records %v", got, c.arrived(t))
	}
}

func TestDefaultPublisher(t *testing.T) {
	p, c := newCapture(t, Config{Levels: "trace"})
	useDefault(t, p)
	Trace("m", Int("k", 1))
	Debug("m", Int("k", 1))
	Info("m", Int("k", 1))
	Warn("m", Int("k", 1))
	Error("m", Int("k", 1))
	Critical("m", Int("k", 1))
	Exception(errors.New("bad"), "m", Int("k", 1))
	got := c.records(t, p)
	for i, level := range []string{"trace", "debug", "info", "warn", "error", "fatal", "error"} {
		has(t, got[i], map[string]any{"level": level, "logger": "", "msg": "m", "k": "1"})
	}
}

func TestNativeDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools allocate")
	}
	p, err := New(Config{Console: discardConsole{}})
	if err != nil {
		t.Fatal(err)
	}
	l := p.Named("etl.load").With(Int("job", 7))
	file, at := strings.Clone("a.csv"), time.Now()
	if n := testing.AllocsPerRun(1000, func() {
		l.Info("row loaded", String("file", file), Int("rows", 120), Duration("took", time.Millisecond))
		l.Error("not loaded", String("file", file), Err(io.EOF), Time("at", at))
		l.Debug("not let through", String("file", file), Int("rows", 120), Err(io.EOF))
	}); n > 0 {
		t.Errorf("a call allocates %v times", n)
	}
}

func TestFieldsOfEachKind(t *testing.T) {
	p, c := newCapture(t, Config{})
	l := p.Named("")
	var none *time.Time
	l.Info("m", Field{}, String("empty", ""), String("", ""), Int("min", math.MinInt), Int("max", math.MaxInt),
		Uint64("umax", math.MaxUint64), Float64("negative", -0.5), Float64("nan", math.NaN()), Bool("no", false),
		Duration("back", -time.Second), Any("nil", nil), Any("pointer", none), Any("secret", secret("x")), Any("text", "x"),
		Attr(slog.Group("attrs", "a", 1)), Group("", Int("inlined", 1)), Group("nothing"),
		Group("deep", Group("er", Any("list", []int{1})), Attr(slog.Any("secret", secret("x")))))
	r := c.one(t, p)
	has(t, r, map[string]any{"empty": "", "": nil, "min": "-9223372036854775808", "max": "9223372036854775807",
		"umax": "18446744073709551615", "negative": "-0.5", "nan": "NaN", "no": false, "back": "-1000000000",
		"secret": "***", "text": "x", "inlined": "1", "nothing": nil})
	for key, want := range map[string]string{"nil": "<nil>", "pointer": "<nil>", "attrs": "map[a:1]", "deep": "map[er:map[list:[1]] secret:***]"} {
		if got, ok := r[key]; !ok || fmt.Sprint(got) != want {
			t.Errorf("%s is %v, want %s", key, got, want)
		}
	}
}

// A field may point to the stack of the call that made it: what With keeps must not.
func TestFieldsOutliveTheCallThatMadeThem(t *testing.T) {
	p, c := newCapture(t, Config{})
	make := func(i int) *Logger {
		return p.Named("").With(Any("any", []int{i}), Time("time of day", time.Unix(int64(i), 0).UTC()), Group("g", Int("i", i)), Attr(slog.Int("attr", i)), Err(fmt.Errorf("error %d", i)))
	}
	loggers := []*Logger{make(1), make(2)}
	fields := func(i int) []Field { return []Field{Any("late", []int{i}), Err(fmt.Errorf("late %d", i))} }
	late := [][]Field{fields(1), fields(2)}
	runtime.GC()
	for i, l := range loggers {
		l.Info("m")
		p.Named("").Info("m", late[i]...)
	}
	for i, r := range c.records(t, p) {
		n := i/2 + 1
		if i%2 == 0 {
			has(t, r, map[string]any{"attr": fmt.Sprint(n), "error": fmt.Sprintf("error %d", n), "time of day": fmt.Sprintf("1970-01-01T00:00:0%dZ", n)})
			if got := fmt.Sprint(r["any"], r["g"]); got != fmt.Sprintf("[%d] map[i:%d]", n, n) {
				t.Errorf("logger %d: %s", n, got)
			}
			continue
		}
		has(t, r, map[string]any{"error": fmt.Sprintf("late %d", n)})
	}
}

// useDefault makes p the default publisher for one test.
func useDefault(t *testing.T, p *Publisher) {
	was := defaultPublisher.Swap(p)
	t.Cleanup(func() { defaultPublisher.Store(was) })
}
