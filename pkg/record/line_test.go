package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

var (
	testID   = Identity{App: "etl", Worker: "w3", Run: "4fK9xQ2LmP"}
	testTail = AppendTail(nil, testID)
	testTime = time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC)
)

const testHead = `{"time":"2026-11-21T10:00:00.123456789Z","level":"info","logger":"etl.load","msg":"row loaded"`

// body returns the body of a record with what build adds to it, without the head, if it is testHead.
func body(t *testing.T, build func(l *Line)) string {
	t.Helper()
	l := GetLine()
	defer l.Free()
	l.Start(testTime, Info, "etl.load", "row loaded")
	build(l)
	b := l.Finish(256 << 10)
	if err := Valid(append(append([]byte(nil), b...), '}')); err != nil {
		t.Errorf("%v: %s", err, b)
	}
	return strings.TrimPrefix(string(b), testHead)
}

// line returns a whole line of testID.
func line(seq uint64, build func(l *Line)) []byte {
	l := GetLine()
	defer l.Free()
	l.Start(testTime, Info, "etl.load", "row loaded")
	if build != nil {
		build(l)
	}
	b := append([]byte(nil), l.Finish(256<<10)...)
	return AppendEnd(append(b, testTail...), seq)
}

func TestLineWhole(t *testing.T) {
	got := string(line(4211, func(l *Line) {
		l.Caller("/home/x/load/load.go", 88)
		l.Err(errors.New("boom"))
		l.Int("rows", 120)
		l.Stack("a\nb")
	}))
	want := testHead + `,"rows":120,"error":"boom","stack":"a\nb","caller":"load/load.go:88","app":"etl","worker":"w3","run":"4fK9xQ2LmP","seq":4211}` + "\n"
	if got != want {
		t.Errorf("\n got %s want %s", got, want)
	}
}

func TestLineFields(t *testing.T) {
	zone := time.FixedZone("", 3600)
	for _, c := range []struct {
		name  string
		build func(l *Line)
		want  string
	}{
		{"nothing", func(l *Line) {}, ``},
		{"types", func(l *Line) {
			l.Str("s", "a\tb")
			l.Int("i", math.MinInt64)
			l.Uint("u", math.MaxUint64)
			l.Float("f", 0.1)
			l.Bool("b", true)
			l.Time("t", time.Date(2026, 1, 2, 3, 4, 5, 6000, zone))
			l.Duration("d", time.Second)
			l.Any("a", []int{1})
			l.Raw("r", []byte(` {"x": [1, "\u0041\u202e`+"\u202e"+`"]} `))
		}, `,"s":"a\tb","i":-9223372036854775808,"u":18446744073709551615,"f":0.1,"b":true,"t":"2026-01-02T03:04:05.000006+01:00","d":1000000000,"a":[1],"r":{"x":[1,"\u0041\u202e\u202e"]}`},
		{"no numbers", func(l *Line) { l.Float("nan", math.NaN()); l.Float("inf", math.Inf(-1)) }, `,"nan":"NaN","inf":"-Inf"`},
		{"raw that is not JSON", func(l *Line) { l.Raw("r", []byte(`{"a":1}}`)); l.Raw("n", nil) }, `,"r":"{\"a\":1}}","n":""`},
		{"keys of ours", func(l *Line) {
			for _, k := range []string{"time", "level", "logger", "msg", "stack", "caller", "app", "worker", "run", "seq", "truncated", "original_length", "foreign"} {
				l.Int(k, 1)
			}
		}, `,"fields.time":1,"fields.level":1,"fields.logger":1,"fields.msg":1,"fields.stack":1,"fields.caller":1,"fields.app":1,"fields.worker":1,"fields.run":1,"fields.seq":1,"fields.truncated":1,"fields.original_length":1,"fields.foreign":1`},
		{"not ours", func(l *Line) { l.Int("trace_id", 1); l.Int("Time", 1); l.Int("fields.x", 1) }, `,"trace_id":1,"Time":1,"fields.x":1`},
		{"keys twice", func(l *Line) {
			l.Int("a", 1)
			l.Int("a", 2)
			l.Int("a#2", 3)
			l.Int("a", 4)
			l.Int("time", 5)
			l.Int("fields.time", 6)
			l.Int("\xff", 7)
			l.Int("\xfe", 8)
		}, `,"a":1,"a#2":2,"a#2#2":3,"a#3":4,"fields.time":5,"fields.time#2":6,"` + "\ufffd\":7,\"\ufffd#2" + `":8`},
		{"keys in need of escape", func(l *Line) { l.Int("a\"\n\u202e", 1); l.Int("", 2) }, `,"a\"\n\u202e":1,"":2`},
		{"error of every kind", func(l *Line) { l.Int("error", 5); l.Int("x", 1) }, `,"x":1,"error":5`},
		{"errors", func(l *Line) {
			l.Err(nil)
			l.Err(errors.New("one"))
			l.Err(errors.New("two"))
			l.Any("error", errors.New("three"))
			l.Str("error#2", "four")
		}, `,"error#2":"two","error#3":"three","error#2#2":"four","error":"one"`},
		{"error that panics", func(l *Line) { l.Err(panicError{}) }, `,"error":"!PANIC: a value of type record.panicString, which panics as well"`},
		{"error that is a nil pointer", func(l *Line) { l.Err((*valueError)(nil)) }, `,"error":"<nil>"`},
		{"stack and caller", func(l *Line) {
			l.Stack("x")
			l.Stack("")
			l.Caller("main.go", 0)
			l.Foreign()
		}, `,"caller":"main.go","foreign":true`},
		{"callers", func(l *Line) { l.Caller(`C:\a\b\c.go`, 7) }, `,"caller":"b/c.go:7"`},
		{"no caller", func(l *Line) { l.Caller("", 7) }, ``},
		{"groups", func(l *Line) {
			l.OpenGroup("g")
			l.Int("time", 1)
			l.Int("error", 2)
			l.Int("time", 3)
			l.OpenGroup("h")
			l.Int("time", 4)
			l.CloseGroup()
			l.Int("h", 5)
			l.CloseGroup()
			l.Int("g", 6)
			l.CloseGroup()
		}, `,"g":{"time":1,"error":2,"time#2":3,"h":{"time":4},"h#2":5},"g#2":6`},
		{"empty groups", func(l *Line) {
			l.OpenGroup("g")
			l.OpenGroup("h")
			l.CloseGroup()
			l.CloseGroup()
			l.OpenGroup("g")
			l.Int("a", 1)
			l.OpenGroup("i")
		}, `,"g":{"a":1}`},
		{"group left open", func(l *Line) { l.OpenGroup("app"); l.Int("a", 1); l.Err(errors.New("e")) }, `,"fields.app":{"a":1},"error":"e"`},
		{"group that ends in a brace", func(l *Line) { l.OpenGroup("g"); l.Str("a", "{"); l.Int("b{", 1) }, `,"g":{"a":"{","b{":1}`},
		{"groups without end", func(l *Line) {
			for range 1000 {
				l.OpenGroup("g")
			}
			l.Int("a", 1)
			for range 1000 - maxGroups + 1 {
				l.CloseGroup()
			}
			l.Int("b", 2)
		}, `,` + strings.Repeat(`"g":{`, maxGroups) + `"a":1},"b":2` + strings.Repeat(`}`, maxGroups-1)},
	} {
		if got := body(t, c.build); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestLineHead(t *testing.T) {
	for _, c := range []struct {
		time        time.Time
		level       Level
		logger, msg string
		want        string
	}{
		{time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", -3600)), 0, "", "",
			`{"time":"2026-01-02T04:04:05.000000000Z","level":"info","logger":"","msg":""`},
		{time.Date(2026, 1, 2, 3, 4, 5, 1, time.UTC), Panic, "a\"b", "\r\n",
			`{"time":"2026-01-02T03:04:05.000000001Z","level":"panic","logger":"a\"b","msg":"\r\n"`},
		{time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), Level(77), "", "",
			`{"time":"0000-01-01T00:00:00.000000000Z","level":"info","logger":"","msg":""`},
		{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), Trace, "", "",
			`{"time":"9999-12-31T23:59:59.999999999Z","level":"trace","logger":"","msg":"","fields.time":"10000-01-01T00:00:00Z"`},
		{time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), Trace, "", "",
			`{"time":"0000-01-01T00:00:00.000000000Z","level":"trace","logger":"","msg":"","fields.time":"-0001-01-01T00:00:00Z"`},
	} {
		l := GetLine()
		l.Start(c.time, c.level, c.logger, c.msg)
		if got := string(l.Finish(1 << 20)); got != c.want {
			t.Errorf("\n got %s\nwant %s", got, c.want)
		}
		l.Free()
	}
}

// TestLineReuse: nothing of one record shows in the next, whatever was left open.
func TestLineReuse(t *testing.T) {
	l := GetLine()
	for range 2 {
		l.Start(testTime, Info, "etl.load", "row loaded")
		l.Int("a", 1)
		if got := string(l.Finish(1 << 20)); got != testHead+`,"a":1` {
			t.Fatal(got)
		}
		l.Start(time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), Error, "x", "y")
		for i := range 100 {
			l.Int(fmt.Sprint("k", i), 1)
		}
		for range 200 {
			l.OpenGroup("g")
		}
		l.Err(errors.New("e"))
		l.Err(errors.New("f"))
		l.Stack("s")
		l.Caller("c", 1)
		l.Foreign()
	}
}

// TestLineManyKeys compares the index with the plain search, over the point where one takes over.
func TestLineManyKeys(t *testing.T) {
	for _, n := range []int{indexFrom - 1, indexFrom, indexFrom + 1, 200} {
		got := body(t, func(l *Line) {
			for i := range n {
				l.Int(fmt.Sprint("k", i), 0)
			}
			for range 2 {
				l.OpenGroup("g")
				for i := range n {
					l.Int(fmt.Sprint("k", i), 0)
				}
				l.Int("k0", 1)
				l.OpenGroup("k1")
				l.CloseGroup()
				l.CloseGroup()
			}
			l.OpenGroup("empty")
			l.CloseGroup()
			l.OpenGroup("empty")
			l.CloseGroup()
			l.Int("empty", 1)
			l.Int("k0", 1)
		})
		for _, want := range []string{`"g":{`, `"g#2":{`, `,"k0#2":1},"g#2"`, `,"k0#2":1},"empty":1,"k0#2":1`} {
			if strings.Count(got, want) != 1 {
				t.Errorf("%d keys: %s not once in %s", n, want, got)
			}
		}
	}
}

// TestLineManyFields: a record of 30,000 fields, all with one key, takes no quadratic time (by
// comparison of each with each it would take minutes).
func TestLineManyFields(t *testing.T) {
	l := GetLine()
	defer l.Free()
	l.Start(testTime, Info, "", "")
	for range 30000 {
		l.Int("k", 1)
		l.OpenGroup("g")
		l.Int("k", 1)
		l.CloseGroup()
	}
	b := append(l.Finish(1<<30), '}')
	if !json.Valid(b) || !strings.Contains(string(b), `"k#30000":1`) {
		t.Errorf("%.200s", b)
	}
}

func TestPrefix(t *testing.T) {
	p := NewPrefix(nil, func(l *Line) {
		l.Int("a", 1)
		l.Err(errors.New("e"))
		l.Stack("s")
		l.Caller("c.go", 1)
	})
	q := NewPrefix(p, func(l *Line) {
		l.Int("a", 2)
		l.OpenGroup("g")
		l.Int("x", 1)
	})
	r := NewPrefix(q, func(l *Line) { l.OpenGroup("h") })
	many := NewPrefix(nil, func(l *Line) {
		for i := range 2 * indexFrom {
			l.Int(fmt.Sprint("k", i), 1)
		}
	})
	for _, c := range []struct {
		name  string
		build func(l *Line)
		want  string
	}{
		{"nil", func(l *Line) { l.Prefix(nil) }, ``},
		{"one", func(l *Line) { l.Prefix(p); l.Int("a", 3) }, `,"a":1,"a#2":3,"error":"e","stack":"s","caller":"c.go:1"`},
		{"two", func(l *Line) { l.Prefix(q); l.Int("x", 2); l.CloseGroup(); l.Int("g", 3); l.Int("a", 4) },
			`,"a":1,"a#2":2,"g":{"x":1,"x#2":2},"g#2":3,"a#3":4,"error":"e","stack":"s","caller":"c.go:1"`},
		{"open and empty", func(l *Line) { l.Prefix(r) }, `,"a":1,"a#2":2,"g":{"x":1},"error":"e","stack":"s","caller":"c.go:1"`},
		{"open", func(l *Line) { l.Prefix(r); l.Str("y", "z"); l.Stack("t") }, `,"a":1,"a#2":2,"g":{"x":1,"h":{"y":"z"}},"error":"e","stack":"t","caller":"c.go:1"`},
		{"after a field", func(l *Line) { l.Int("a", 0); l.Prefix(p) }, `,"a":0,"a#2":1,"error":"e","stack":"s","caller":"c.go:1"`},
		{"after an error", func(l *Line) { l.Err(errors.New("first")); l.Prefix(p) }, `,"a":1,"error#2":"e","error":"first","stack":"s","caller":"c.go:1"`},
		{"twice", func(l *Line) { l.Prefix(r); l.Prefix(p) }, `,"a":1,"a#2":2,"g":{"x":1,"h":{"a":1,"error":"e"}},"error":"e","stack":"s","caller":"c.go:1"`},
	} {
		if got := body(t, c.build); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	got := body(t, func(l *Line) { l.Prefix(many); l.Int("k7", 2) })
	if !strings.HasSuffix(got, `,"k7#2":2`) {
		t.Error(got)
	}
}

// raceDetector is set where sync.Pool forgets things on purpose.
var raceDetector bool

// TestStartToFinishAllocatesNothing pins the hot path, on lines of two seconds in turn.
func TestStartToFinishAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("sync.Pool drops items at random under the race detector")
	}
	p := NewPrefix(nil, func(l *Line) { l.Str("shard", "a"); l.OpenGroup("g") })
	err := errors.New("boom")
	long := strings.Repeat("x", 500)
	for name, log := range map[string]func(l *Line){
		"three fields": func(l *Line) {
			l.Int("rows", 120)
			l.Str("table", "orders")
			l.Bool("ok", true)
		},
		"all types": func(l *Line) {
			l.Uint("u", 1)
			l.Float("f", 0.125)
			l.Time("t", testTime)
			l.Duration("d", time.Second)
			l.Err(err)
			l.Stack(long)
			l.Caller("/home/x/load/load.go", 88)
		},
		"prefix and group": func(l *Line) { l.Prefix(p); l.OpenGroup("h"); l.Str("time", "\n"); l.CloseGroup() },
		"raw":              func(l *Line) { l.Raw("r", []byte(`{"a": [1, 2]}`)) },
	} {
		var sink, i int
		n := testing.AllocsPerRun(1000, func() {
			i++
			l := GetLine()
			l.Start(testTime.Add(time.Duration(i%2)*time.Second), Info, "etl.load", "row loaded")
			log(l)
			sink += len(l.Finish(256 << 10))
			l.Free()
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
