package record

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	const head = "2026-11-21T10:00:00.123456Z INFO  etl.load[w3] row loaded"
	for _, c := range []struct {
		name  string
		build func(l *Line)
		want  string
	}{
		{"plain", func(l *Line) { l.Int("rows", 120) }, head + " rows=120\n"},
		{"values", func(l *Line) {
			l.Str("bare", "a/b-c:d,e")
			l.Str("greek", "αβγ")
			l.Str("empty", "")
			l.Str("spaces", "a b")
			l.Str("equals", "a=b")
			l.Str("quote", `a"b\c`)
			l.Any("list", []any{1, "x y", "\u202e"})
			l.Any("nil", nil)
			l.Str("a b", "key")
		}, head + ` bare=a/b-c:d,e greek=αβγ empty="" spaces="a b" equals="a=b" quote="a\"b\\c" list=[1,"x y","\u202e"] nil=null "a b"=key` + "\n"},
		{"error, stack, caller", func(l *Line) {
			l.Err(errors.New("no such file"))
			l.Stack("main.main\n\t/x.go:1\r\nend\n")
			l.Caller("a/b.go", 3)
			l.Foreign()
		}, head + ` error="no such file" stack="main.main\n\t/x.go:1\r\nend\n" caller=a/b.go:3 foreign=true` + "\n"},
	} {
		if got := string(AppendText([]byte("dst "), line(1, c.build), TextOptions{})); got != "dst "+c.want {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// TestTextForgesNothing: every seed of bad input, in every place, gives one line of printable text.
func TestTextForgesNothing(t *testing.T) {
	for in, want := range map[string]string{
		"a\nb\rc\r\nd\te":                      `a\nb\rc\r\nd\te`,
		"\x1b[2J\x1b]8;;x\x07\x1b]52;c;\x07":   `\x1b[2J\x1b]8;;x\x07\x1b]52;c;\x07`,
		"\x1bP+q\x1b\\":                        `\x1bP+q\x1b\`,
		"\u009b2J\u0085":                       `\u009b2J\u0085`,
		"\x00\x7f\x08":                         `\x00\x7f\x08`,
		"\u2028\u2029":                         `\u2028\u2029`,
		"\u202e\u2066\u2069\u200e\u200f\u061c": `\u202e\u2066\u2069\u200e\u200f\u061c`,
		"a\u200bb\u200dc\u2060d\ufeffe\u00adf": `a\u200bb\u200dc\u2060d\ufeffe\u00adf`,
		"\U000e0041\U0010ffff":                 `\U000e0041\U0010ffff`,
		"e\u0301":                              "e\u0301",
		"z" + strings.Repeat("\u0301", 6):      "z" + strings.Repeat("\u0301", 4) + `\u0301\u0301`,
		"日本\u3000語 😀":                          "日本\u3000語 😀",
		"%n %s ${jndi:ldap://x}":               "%n %s ${jndi:ldap://x}",
		"\x9b2J":                               "\ufffd2J",
	} {
		l := GetLine()
		l.Start(testTime, Info, "x", in)
		b := AppendEnd(append(append([]byte(nil), l.Finish(1<<20)...), testTail...), 1)
		if got, want := string(AppendText(nil, b, TextOptions{})), "2026-11-21T10:00:00.123456Z INFO  x[w3] "+want+"\n"; got != want {
			t.Errorf("%q\n got %s\nwant %s", in, got, want)
		}
		l.Start(testTime, Info, in, in)
		l.Str(in, in)
		l.Any("v", map[string]any{in: []string{in}})
		l.Stack(in)
		l.Err(errors.New(in))
		b = AppendTail(append([]byte(nil), l.Finish(1<<20)...), Identity{App: in, Worker: in, Run: in})
		checkText(t, AppendEnd(b, 1))
		l.Free()
	}
	// A name cannot pass for a name with a worker behind it.
	l := GetLine()
	defer l.Free()
	l.Start(testTime, Info, "etl[w4] fine", "x")
	got := string(AppendText(nil, AppendEnd(append(append([]byte(nil), l.Finish(1<<20)...), testTail...), 1), TextOptions{}))
	if want := `2026-11-21T10:00:00.123456Z INFO  "etl[w4] fine"[w3] x` + "\n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
}

// checkText asks of a line's text what the console relies on.
func checkText(t *testing.T, line []byte) {
	t.Helper()
	got := AppendText(nil, line, TextOptions{})
	if bytes.Count(got, []byte("\n")) != 1 || got[len(got)-1] != '\n' {
		t.Errorf("not one line: %q", got)
	}
	checkShown(t, got)
	stacked := AppendText(nil, line, TextOptions{Stack: true})
	checkShown(t, stacked)
	first, rest, _ := bytes.Cut(stacked, []byte("\n"))
	for l := range bytes.Lines(rest) {
		if !bytes.HasPrefix(l, []byte("    ")) {
			t.Errorf("a stack's line is not indented: %q", l)
		}
	}
	if !bytes.HasPrefix(got, first[:min(len(first), 40)]) {
		t.Errorf("first line differs: %q, %q", got, first)
	}
	painted := string(AppendText(nil, line, TextOptions{Color: true}))
	for _, c := range append(colors.levels[1:], colors.faint, colors.reset) {
		painted = strings.ReplaceAll(painted, c, "")
	}
	if painted != string(got) {
		t.Errorf("coloured text is another: %q, %q", painted, got)
	}
}

func checkShown(t *testing.T, text []byte) {
	t.Helper()
	for _, r := range string(text) {
		if r < ' ' && r != '\n' || r == 0x7f || r > 0x7f && (actsOnScreen(r) || !shown(r)) {
			t.Errorf("%U in %q", r, text)
			return
		}
	}
}

func TestTextColor(t *testing.T) {
	got := string(AppendText(nil, line(1, func(l *Line) { l.Int("rows", 120) }), TextOptions{Color: true}))
	const want = "\x1b[2m2026-11-21T10:00:00.123456Z\x1b[0m \x1b[32mINFO \x1b[0m etl.load[w3] row loaded \x1b[2mrows=\x1b[0m120\n"
	if got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func TestTextStack(t *testing.T) {
	got := string(AppendText(nil, line(1, func(l *Line) { l.Stack("goroutine 1:\nmain.main\n\t\t/x.go\x1b:1\r\n\n") }), TextOptions{Stack: true}))
	const want = "2026-11-21T10:00:00.123456Z INFO  etl.load[w3] row loaded\n    goroutine 1:\n    main.main\n            /x.go\\x1b:1\n"
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestTextOfOthers(t *testing.T) {
	for in, want := range map[string]string{
		`{"msg":"hi","level":"WARN","time":"2026-01-02T03:04:05+01:00","k":1}`:          "2026-01-02T02:04:05.000000Z WARN  [] hi k=1\n",
		`{"k":{"a": 1},"msg":{"b":2},"time":"soon","level":{},"logger":5,"worker":"w"}`: "-                           INFO  5[w] {\"b\":2} k={\"a\":1}\n",
		`{}`:                    "-                           INFO  [] \n",
		`not JSON` + "\x1b\xff": `(not a record) not JSON\x1b\xff` + "\n",
		"2026-11-21T10:00:00.123456Z INFO  etl.load[w3] forged\n":                                                                            "(not a record) 2026-11-21T10:00:00.123456Z INFO  etl.load[w3] forged\n",
		`{"time":"2026-11-21T10:00:00.123456789Z","level":"info","logger":"x","msg":"m" broken,"app":"etl","worker":"w3","run":"r","seq":1}`: `(not a record) {"time":"2026-11-21T10:00:00.123456789Z","level":"info","logger":"x","msg":"m" broken,"app":"etl","worker":"w3","run":"r","seq":1}` + "\n",
		"": "(not a record) \n",
	} {
		if got := string(AppendText(nil, []byte(in), TextOptions{})); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
		checkText(t, []byte(in))
	}
}

func TestTextAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("sync.Pool drops items at random under the race detector")
	}
	b := line(1, func(l *Line) { l.Int("rows", 120); l.Str("table", "orders"); l.Float("seconds", 0.125) })
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(1000, func() { buf = AppendText(buf[:0], b, TextOptions{Color: true}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWorkerColor(t *testing.T) {
	line := []byte(`{"time":"2026-11-21T10:00:00.123456789Z","level":"info","logger":"etl","msg":"m","app":"etl","worker":"w 3","run":"r","seq":1}`)
	o := TextOptions{Color: true, Worker: "\x1b[35m"}
	if got := string(AppendText(nil, line, o)); !strings.Contains(got, "etl[\x1b[35m\"w 3\"\x1b[0m] m\n") {
		t.Errorf("%q", got)
	}
	o.Color = false
	if got := string(AppendText(nil, line, o)); strings.Contains(got, "\x1b") {
		t.Errorf("without colour: %q", got)
	}
}

// The fields that need no second look are shown as the general way shows them. A space before a field's comma is JSON
// all the same, and sends all fields that way.
func TestTextOfPlainFields(t *testing.T) {
	for _, fields := range []string{
		`,"rows":120`, `,"a":"b","c":-1.5e-7,"d":"two words"`, `,"a b":1`, `,"a":""`, `,"":1`, `,"k":"=","[":"]"`, `,"k":"a\"b","l":2`,
		`,"a":1,"b":true,"c":null,"d":"e"`, `,"a":{"b":[1,2]},"c":3`, `,"error":"e","k":1`, `,"k":1,"stack":"s\nt","caller":"a.go:1"`,
		`,"msg":"x","k":1`, `,"ö":"ü","k":"z"`, `,"k":01`, `,"k":1 ,"l":2`, `,"k":1"l":2`, `,"k":"v"x`, `,"k":`, `,"k"`, `,"k":-`, `,"k":"v`,
	} {
		of := func(fields string) string {
			b := append([]byte(nil), line(1, nil)...)
			b = bytes.Replace(b, []byte(`,"app"`), []byte(fields+`,"app"`), 1)
			return string(AppendText(nil, b, TextOptions{}))
		}
		plain, general := of(fields), of(" "+fields)
		if none := strings.HasPrefix(plain, "(not a record)"); none != strings.HasPrefix(general, "(not a record)") || !none && plain != general {
			t.Errorf("%s: %s, the general way says %s", fields, plain, general)
		}
	}
}
