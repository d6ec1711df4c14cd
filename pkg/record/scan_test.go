package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestScanHead(t *testing.T) {
	for _, c := range []struct{ logger, want string }{
		{"etl.load", "etl.load"}, {"", ""}, {"a\"b\\c\n\u202e", "a\"b\\c\n\u202e"}, {"größe.\x7f", "größe.\x7f"}, {"\xff", "\ufffd"},
	} {
		for level := Trace; level <= Panic; level++ {
			l := GetLine()
			l.Start(testTime, level, c.logger, "m")
			b := l.Finish(1 << 20)
			h, ok := ScanHead(b)
			if !ok || string(h.Logger) != c.want || h.Level != level || string(h.Time) != "2026-11-21T10:00:00.123456789Z" || !bytes.HasPrefix(b[h.Rest:], []byte(`,"msg":"m"`)) {
				t.Errorf("%s: %+v %v", b, h, ok)
			}
			for n := range h.Rest {
				if h, ok := ScanHead(b[:n]); ok {
					t.Errorf("cut to %s: %+v", b[:n], h)
				}
			}
			l.Free()
		}
	}
}

// TestTimeShape tries every byte in every place.
func TestTimeShape(t *testing.T) {
	const shape = "0000-00-00T00:00:00.000000000Z"
	for i := range len(shape) {
		for c := range 256 {
			for _, base := range []string{shape, strings.ReplaceAll(shape, "0", "9")} {
				b := []byte(base)
				b[i] = byte(c)
				want := shape[i] == byte(c) || shape[i] == '0' && '0' <= c && c <= '9'
				if timeShape(b) != want {
					t.Fatalf("%q: %v", b, !want)
				}
			}
		}
	}
}

func TestScanTail(t *testing.T) {
	for _, id := range []Identity{
		testID,
		{App: "", Worker: "", Run: ""},
		{App: `a"b\`, Worker: `\\"`, Run: "\n"},
		{App: `","worker":"w1","run":"r","seq":1}`, Worker: "\u202e\xff", Run: "x"},
		{App: "größe", Worker: `\`, Run: `"`},
	} {
		b := AppendEnd(AppendTail([]byte(`{"a":{"app":"x","worker":"y","run":"z","seq":1}`), id), 18446744073709551615)
		for _, b := range [][]byte{b, bytes.TrimSuffix(b, []byte("\n"))} {
			got, ok := ScanTail(b)
			valid := func(s string) string { return strings.ToValidUTF8(s, "\ufffd") }
			if !ok || string(got.App) != valid(id.App) || string(got.Worker) != valid(id.Worker) || string(got.Run) != valid(id.Run) || got.Seq != 1<<64-1 || !bytes.HasPrefix(b[got.Start:], []byte(`,"app"`)) {
				t.Errorf("%s: %s %s %s %d at %d, %v", b, got.App, got.Worker, got.Run, got.Seq, got.Start, ok)
			}
		}
	}
	good := line(7, nil)
	for _, c := range []struct{ from, to string }{
		{"}\n", "} \n"}, {"}\n", "}\n\n"}, {"}\n", ""}, {`7}`, `}`}, {`7}`, `07}`}, {`7}`, `-7}`}, {`7}`, `18446744073709551616}`}, {`7}`, `"7"}`},
		{`,"seq"`, `,"Seq"`}, {`"run"`, `"rum"`}, {`"worker"`, `"w"`}, {`"app"`, `"a"`}, {`"app":"etl"`, `"app":5`}, {`"w3"`, `w3"`}, {`,"seq"`, ` ,"seq"`},
	} {
		b := bytes.Replace(good, []byte(c.from), []byte(c.to), 1)
		if got, ok := ScanTail(b); ok {
			t.Errorf("%s: %+v", b, got)
		}
	}
	for n := range good {
		if got, ok := ScanTail(good[:n]); ok && n < len(good)-1 {
			t.Errorf("%s: %+v", good[:n], got)
		}
	}
}

// TestScanTailInText: a message cannot put a tail of its own in front of the real one.
func TestScanTailInText(t *testing.T) {
	forged := string(AppendEnd(AppendTail(nil, Identity{App: "x", Worker: "y", Run: "z"}), 1))
	b := line(7, func(l *Line) { l.Str("k", forged); l.Str("m", forged+strings.TrimSuffix(string(testTail), "{")) })
	if got, ok := ScanTail(b); !ok || string(got.App) != "etl" || got.Seq != 7 || !bytes.Equal(b[got.Start:len(b)-3], testTail) {
		t.Errorf("%s: %s %d %v", b, got.App, got.Seq, ok)
	}
}

func TestValid(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }
	many := func(last string) string {
		var b strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&b, `"k%d":1,`, i)
		}
		return "{" + b.String() + last + "}"
	}
	for _, s := range []string{`{}`, `{ "a" : 1 , "b" : [ ] }`, deep(200), many(`"x":1`), `{"a":"\ud800"}`, `{"a":{"b":1,"b":2}}`, "{\"a\":\"\u2028\"}"} {
		if err := Valid([]byte(s)); err != nil {
			t.Errorf("%.80s: %v", s, err)
		}
	}
	for _, c := range []struct{ line, want string }{
		{``, "not a JSON object"}, {` {}`, "not a JSON object"}, {`[]`, "not a JSON object"}, {`{} `, "follows"}, {`{}{}`, "follows"},
		{"{}\n", "newline at byte 2"}, {"{\n}", "newline at byte 1"}, {`{"a":1`, "without end"}, {`{"a":`, "value missing"}, {`{"a"`, "colon"}, {`{"a`, "string without end"},
		{`{`, "key missing"}, {`{"a":1,}`, "key missing"}, {`{a:1}`, "key missing"}, {`{"a":1 "b":2}`, "comma"}, {`{"a":01}`, "comma"}, {`{"a":1.}`, "bad number"},
		{`{"a":-}`, "bad number"}, {`{"a":1e}`, "bad number"}, {`{"a":+1}`, "bad number"}, {`{"a":NaN}`, "bad number"}, {`{"a":nul}`, "not a JSON value"}, {`{"a":[1,]}`, "bad number"},
		{`{"a":[1}`, "comma"}, {`{"a":"\x"}`, "bad escape"}, {`{"a":"\u12"}`, "bad escape"}, {"{\"a\":\"\t\"}", "control character"}, {"{\"a\":\"\xff\"}", "UTF-8"},
		{"{\"a\":\"\xc0\x80\"}", "UTF-8"}, {"{\"a\":\"\xed\xa0\x80\"}", "UTF-8"}, {`{"a":1,"a":2}`, `key "a" twice at`}, {`{"a":1,"\u0061":2}`, "twice"},
		{deep(201), "too deep"}, {many(`"k7":1`), `"k7" twice`}, {"\ufeff{}", "not a JSON object"},
	} {
		want := strings.TrimSuffix(c.want, " at")
		if err := Valid([]byte(c.line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want %s", c.line, err, want)
		}
	}
}

func TestParse(t *testing.T) {
	b := line(7, func(l *Line) {
		l.Str("a\"b", "c\nd")
		l.Any("error", map[string]int{"code": 5})
		l.Stack("s\nt")
		l.Caller("a/b.go", 3)
		l.Foreign()
	})
	r, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.Raw, b[:len(b)-1]) || &r.Raw[0] != &b[0] {
		t.Error("raw is not the line")
	}
	r.Raw = nil
	want := Record{Time: testTime, Level: Info, Logger: "etl.load", Msg: "row loaded", Error: `{"code":5}`, Stack: "s\nt", Caller: "a/b.go:3",
		App: "etl", Worker: "w3", Run: testID.Run, Seq: 7, Foreign: true}
	if fmt.Sprintf("%+v", r) != fmt.Sprintf("%+v", want) {
		t.Errorf("\n got %+v\nwant %+v", r, want)
	}
	r, _ = Parse(b)
	if v, ok := r.Field(`a"b`); !ok || string(v) != `"c\nd"` {
		t.Errorf("%s %v", v, ok)
	}
	if v, ok := r.Field("seq"); !ok || string(v) != `7` {
		t.Errorf("%s %v", v, ok)
	}
	if _, ok := r.Field("nix"); ok {
		t.Error("a field that is not there")
	}
	var keys []string
	for k := range r.Fields() {
		keys = append(keys, k)
	}
	if fmt.Sprint(keys) != `[a"b]` {
		t.Error(keys)
	}
	if r, err := Parse([]byte(`{"truncated":true}`)); err != nil || !r.Truncated || !r.Time.IsZero() || r.Level != 0 {
		t.Errorf("%+v %v", r, err)
	}
	for _, s := range []string{`{"seq":-1}`, `{"seq":"1"}`, `{"time":5}`, `{"level":"nix"}`, `{"a":1`, ``} {
		if r, err := Parse([]byte(s)); err == nil {
			t.Errorf("%s: %+v", s, r)
		}
	}
}

func TestTruncate(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, c := range []struct {
		name  string
		max   int
		build func(l *Line)
		want  []string
		not   string
	}{
		{"fits", 1 << 20, func(l *Line) { l.Str("a", long) }, []string{long}, "truncated"},
		{"longest first", 2000, func(l *Line) { l.Str("a", long); l.Str("b", "short"); l.Int("n", 5) }, []string{`…","b":"short","n":5,"truncated":true,"original_length":`}, ""},
		{"shared out", 2000, func(l *Line) { l.Str("a", long); l.Str("b", strings.Repeat("y", 500)); l.Stack(long) },
			[]string{`"b":"` + strings.Repeat("y", 500) + `"`, `"stack":"xxx`}, ""},
		{"no string", 2000, func(l *Line) { l.Any("a", []string{long, long}) }, []string{`,"a":"[\"xxx`, `…","truncated"`}, ""},
		{"escapes", 1000, func(l *Line) { l.Str("a", strings.Repeat("\u202e\n", 1000)) }, []string{`…"`}, `\u202…`},
		{"multibyte", 1000, func(l *Line) { l.Str("a", strings.Repeat("ö€😀", 1000)) }, []string{`…"`}, ""},
		{"surrogates", 1000, func(l *Line) { l.Raw("a", []byte(`"`+strings.Repeat(`\ud83d\ude00`, 1000)+`"`)) }, []string{`\ude00…"`}, ""},
		{"many fields", 2000, func(l *Line) {
			for i := range 500 {
				l.Int(fmt.Sprintf("k%03d", i), int64(i))
			}
		}, []string{`"k000":0,"k001":1`}, "k499"},
		{"long names", 2000, func(l *Line) { l.Int(long, 1); l.Int("b", 2) }, []string{`"msg":"row loaded","b":2,"tr`}, "xxx"},
		{"everything long", 600, func(l *Line) { l.Str("a", long); l.Stack(long); l.Caller(long, 1); l.Str("error", long); l.Foreign() },
			[]string{`"error":"xxx`, `"stack":"xxx`, `"caller":"xxx`, `"foreign":true`}, ""},
		{"cut before", 2000, func(l *Line) { l.Str("a", long) }, nil, ""},
	} {
		b := line(42, c.build)
		if c.name == "cut before" {
			b = Truncate(nil, b, 2500)
		}
		got := Truncate([]byte("dst"), b, c.max)[3:]
		s := string(got)
		if len(s) > c.max || len(b) > c.max && len(s) < c.max*9/10 && c.name != "long names" {
			t.Errorf("%s: %d bytes for %d", c.name, len(s), c.max)
		}
		if err := Valid(bytes.TrimSuffix(got, []byte("\n"))); err != nil || !json.Valid(got) {
			t.Errorf("%s: %v: %s", c.name, err, s)
		}
		for _, want := range c.want {
			if !strings.Contains(s, want) {
				t.Errorf("%s: no %.100s in %s", c.name, want, s)
			}
		}
		if c.not != "" && strings.Contains(s, c.not) {
			t.Errorf("%s: %s in %s", c.name, c.not, s)
		}
		tail, ok := ScanTail(got)
		if !ok || tail.Seq != 42 || !strings.HasSuffix(s, string(testTail)+"42}\n") {
			t.Errorf("%s: tail %s", c.name, s)
		}
		if len(b) > c.max {
			body := line(42, c.build)
			want := fmt.Sprintf(`"truncated":true,"original_length":%d,"app"`, len(body)-len(testTail)-len("42}\n"))
			if strings.Count(s, "original_length") != 1 || !strings.Contains(s, want) {
				t.Errorf("%s: no %s in %s", c.name, want, s)
			}
		}
		if again := Truncate(nil, b, c.max); !bytes.Equal(again, got) {
			t.Errorf("%s: not the same again", c.name)
		}
	}
}

func TestTruncateNoRecord(t *testing.T) {
	for _, s := range []string{strings.Repeat("x", 5000), `{"a":"` + strings.Repeat("x", 5000), `{"a":1}` + strings.Repeat("x", 5000) + "\n", strings.Repeat("\xff\n", 3000)} {
		got := Truncate(nil, []byte(s), 1000)
		line := bytes.TrimSuffix(got, []byte("\n"))
		if len(got) > 1000 || Valid(line) != nil || !bytes.HasPrefix(line, []byte(`{"msg":"`)) || !bytes.Contains(line, []byte(`"truncated":true`)) {
			t.Errorf("%s", got)
		}
	}
	got := Truncate(nil, []byte(`{"z":1, "a":"`+strings.Repeat("x", 5000)+`" }`), 1000)
	if len(got) > 1000 || Valid(got) != nil || !bytes.HasPrefix(got, []byte(`{"z":1,"a":"xxx`)) {
		t.Errorf("%s", got)
	}
}

// hardToCut are objects whose length is not where a record of ours has it: in the time, in keys of
// ours that come again or are spelled in escapes, behind the brace.
var hardToCut = func() []string {
	long := strings.Repeat("x", 3000)
	escaped := ""
	for _, k := range []string{"time", "level", "logger", "msg", "error", "stack", "caller", "foreign", "app", "worker", "run", "seq"} {
		escaped += `,"`
		for _, c := range []byte(k) {
			escaped += fmt.Sprintf(`\u%04x`, c)
		}
		escaped += `":"a value of some length, more than is left alone"`
	}
	tail := string(testTail) + "42}\n"
	return []string{
		`{"time":"` + long + `","msg":"m"}`,
		`{"time":"` + long + `","level":"` + long + `","foreign":"` + long + `"` + tail,
		`{"msg":"m"` + strings.Repeat(`,"msg":"the same key again and again"`, 100) + "}\n",
		`{"time":"2026-11-21T10:00:00.123456789Z"` + strings.Repeat(`,"time":"2026-11-21T10:00:00.123456789Z"`, 100) + tail,
		`{` + escaped[1:] + `}`,
		`{"msg":"m"}` + strings.Repeat(" ", 3000),
		strings.Repeat(" ", 3000) + `{"msg":"m"}` + strings.Repeat("\t", 3000) + "\n",
		`{` + strings.Repeat(" ", 3000) + `}`,
		`{"truncated":true` + strings.Repeat(`,"original_length":18446744073709551615`, 100) + tail,
		strings.Repeat("[", 3000),
		strings.Repeat("\xff", 3000) + "\n",
	}
}()

// TestTruncateFloor: whatever the line, it becomes as short as max or as the floor.
func TestTruncateFloor(t *testing.T) {
	for _, l := range hardToCut {
		tail := len(l) - len(strings.TrimSuffix(l, "\n")) + 1
		if s, ok := ScanTail([]byte(l)); ok {
			tail = len(l) - s.Start
		}
		for _, limit := range []int{-1, 0, 10, minBody, minBody + tail, 700, 1000} {
			got := Truncate(nil, []byte(l), limit)
			if len(got) > max(limit, minBody+tail) {
				t.Errorf("%d bytes for %d: %.100s", len(got), limit, l)
			}
			if !json.Valid(got) || strings.HasSuffix(l, "\n") != strings.HasSuffix(string(got), "\n") {
				t.Errorf("%.100s became %s", l, got)
			}
		}
	}
	// What is within the floor stays as it is, and is not said to be cut.
	l := line(42, nil)
	if got := Truncate(nil, l, 10); !bytes.Equal(got, l) {
		t.Errorf("%s became %s", l, got)
	}
}

// TestFinishCuts: what Finish cuts and what Truncate cuts is cut alike, and fits with any tail of up
// to TailRoom.
func TestFinishCuts(t *testing.T) {
	l := GetLine()
	defer l.Free()
	for _, max := range []int{0, 100, 2000, 3000, 1 << 20} {
		l.Start(time.Unix(0, 0), Warn, strings.Repeat("l", 700), strings.Repeat("m", 700))
		l.Str("a", strings.Repeat("x", 700))
		b := l.Finish(max)
		if len(b) > minBody && len(b) > max-TailRoom {
			t.Errorf("%d bytes for %d", len(b), max)
		}
		b = append(append([]byte(nil), b...), '}')
		if err := Valid(b); err != nil || bytes.Contains(b, []byte("truncated")) != (max < 3000) {
			t.Errorf("%d: %v: %s", max, err, b)
		}
	}
}
