package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// badText is bad input of every kind that a log has met.
var badText = []string{
	"", "plain", "a\nb", "a\r\nb\rc", "\"}\n{\"level\":\"fatal\"}", testHead + "}", string(line(7, nil)), string(testTail) + "1}",
	"\x1b[2J", "\x1b]8;;http://x\x07y\x1b]8;;\x07", "\x1b]52;c;eA==\x07", "\x1bPq\x1b\\", "\x9b2J", "\u009b2J", "\x00", "\x7f", "\ufeff",
	`\ud800`, `\udc00\ud800`, "\xed\xa0\x80", "\xc0\x80", "\xf8\x88\x80\x80\x80", strings.Repeat("\xff", 300), "\u202e", "\u2066x\u2069", "\u2028\u2029",
	"a\u200bb\u200d\u2060", "z" + strings.Repeat("\u0301", 100), "%n %s ${jndi:ldap://x}", "..", "../x", "/etc/passwd", ".", strings.Repeat("n", 300),
	"log.*", "log.>", "A", "a", `\`, `"`, `\\"`, "fields.msg", "error", "time", "k#2", "😀", "{", "[", strings.Repeat("[", 10000), `{"a":` + strings.Repeat(`{"a":`, 300),
}

func FuzzBatchHeader(f *testing.F) {
	for _, s := range []string{
		"1 run=4fK9xQ2LmP first=4211 last=4330 count=118 dropped=2 oldest=4211 crc=1a2b3c4d",
		"1 run=r first=10 last=9 count=0 dropped=2 oldest=10 crc=00000000 end=1",
		"1 run=r first=1 last=1 count=1 dropped=0 oldest=1 crc=00000000 enc=s2",
		"1 run=r first=1 last=9223372036854775806 count=2147483648 dropped=-1 oldest=0 crc=ffffffff",
		"2 run=r", "1", "", "1 run=r run=r",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := ParseBatch(s)
		if err != nil {
			return
		}
		again, err := ParseBatch(string(b.AppendHeader(nil)))
		if again != b || err != nil {
			t.Fatalf("%q: %+v, then %+v %v", s, b, again, err)
		}
		holes := b.Last - b.First + 1 - uint64(b.Count)
		if !b.End && (b.First < 1 || b.Last < b.First || b.Count < 1 || holes > b.Dropped || b.Dropped+uint64(b.Count) > b.Last || b.Oldest > b.First) {
			t.Fatalf("%q: %+v contradicts itself", s, b)
		}
		if b.End && (b.Count != 0 || b.Dropped > b.Last || b.First != b.Last+1) {
			t.Fatalf("%q: %+v contradicts itself", s, b)
		}
	})
}

// FuzzBatchCheck: what Check accepts, whatever the header says of it, is whole lines of that run
// with rising seqs.
func FuzzBatchCheck(f *testing.F) {
	b, p := batch(2, 5, 6, 9)
	f.Add(p, b.First, b.Last, b.Count)
	f.Add(p[:len(p)-1], b.First, b.Last, b.Count)
	f.Add(append(p, '\n'), b.First, b.Last, 4)
	f.Add([]byte{}, uint64(1), uint64(0), 0)
	f.Add(bytes.Repeat([]byte("\n"), 10000), uint64(1), uint64(10000), 10000)
	for _, s := range badText {
		f.Add(bytes.Replace(p, []byte("row loaded"), []byte(s), 1), b.First, b.Last, b.Count)
		f.Add([]byte(s), uint64(1), uint64(1), 1)
	}
	f.Fuzz(func(t *testing.T, p []byte, first, last uint64, count int) {
		b := Batch{Run: testID.Run, First: first, Last: last, Count: count, CRC: Checksum(p)}
		if b.Check(p, testTail) != nil {
			return
		}
		n, at := 0, uint64(0)
		for l := range bytes.Lines(p) {
			tail, ok := ScanTail(l)
			if !ok || l[len(l)-1] != '\n' || string(tail.Run) != testID.Run || string(tail.Worker) != "w3" || tail.Seq <= at || n == 0 && tail.Seq != first {
				t.Fatalf("accepted %q", l)
			}
			at = tail.Seq
			n++
		}
		if n != count || at != last {
			t.Fatalf("%d lines up to %d, accepted as %d up to %d", n, at, count, last)
		}
	})
}

// FuzzScanner holds the scanner to encoding/json: it accepts what that accepts, but for invalid
// UTF-8, deep nesting and double keys, and reads the same from it.
func FuzzScanner(f *testing.F) {
	for _, s := range badText {
		f.Add([]byte(s))
		f.Add([]byte(`{"a":"` + s + `"}`))
		f.Add(AppendValue(nil, map[string]any{s: []any{s, 1.5e-7, nil, true}}))
	}
	f.Add(line(1, func(l *Line) { l.Int("n", 1) }))
	f.Add([]byte(` { "a" : [ 1.0e+5 , -0 , 0.5E-3 ] , "b" : { } } `))
	f.Fuzz(func(t *testing.T, b []byte) {
		i := skipSpace(b, 0)
		end, bad := scanValue(b, i, maxDepth)
		valid := bad == "" && skipSpace(b, end) == len(b)
		if std := json.Valid(b); valid != std && bad != "nested too deep" && !(std && !utf8.Valid(b)) {
			t.Fatalf("scanner says %v %q, encoding/json %v", valid, bad, std)
		}
		if raw := AppendString(nil, string(b)); !valid && !bytes.Equal(appendRaw(nil, b), raw) && bad == "invalid UTF-8" {
			t.Fatal("raw kept invalid UTF-8")
		}
		if !json.Valid(appendRaw(nil, b)) {
			t.Fatal("raw made invalid JSON")
		}
		if Valid(b) == nil {
			var m map[string]json.RawMessage
			if err := json.Unmarshal(b, &m); err != nil {
				t.Fatal(err)
			}
			n := 0
			for k, v := range Fields(b) {
				n++
				var key string
				if err := json.Unmarshal([]byte(`"`+string(k)+`"`), &key); err != nil || string(plainKey(k)) != key || !bytes.Equal(m[key], v) {
					t.Fatalf("key %q is %q, value %s for %s", k, key, v, m[key])
				}
				var want any
				if json.Unmarshal(v, &want) == nil {
					if s, ok := want.(string); ok && text(v) != s {
						t.Fatalf("%s reads %q, not %q", v, text(v), s)
					}
					var got any
					if err := json.Unmarshal(appendRaw(nil, v), &got); err != nil && len(v) < 200 || err == nil && !reflect.DeepEqual(got, want) && len(v) < 200 {
						t.Fatalf("raw of %s: %v", v, err)
					}
				}
			}
			if n != len(m) {
				t.Fatalf("%d fields, %d keys", n, len(m))
			}
		}
		if r, err := Parse(b); err == nil {
			for k, v := range r.Fields() {
				if got, ok := r.Field(k); !ok || !bytes.Equal(got, v) {
					t.Fatalf("field %q", k)
				}
			}
		}
		ScanHead(b)
		ScanTail(b)
	})
}

// FuzzLine: whatever goes into a record, it is one valid line that reads back as it was, and its
// text is one line that forges nothing.
func FuzzLine(f *testing.F) {
	for _, s := range badText {
		f.Add("etl.load", s, "k", s, 4096)
		f.Add(s, "m", s, "v", 1000)
		f.Add(s, s, "error", s, 0)
	}
	f.Fuzz(func(t *testing.T, logger, msg, key, value string, max int) {
		l := GetLine()
		defer l.Free()
		l.Start(testTime, Warn, logger, msg)
		l.Str(key, value)
		l.Raw(key, []byte(value))
		l.OpenGroup(key)
		l.Any(value, []string{key, value})
		l.CloseGroup()
		l.Err(errors.New(value))
		l.Stack(value)
		l.Caller(key, 1)
		b := append([]byte(nil), l.Finish(1<<30)...)
		b = AppendEnd(AppendTail(b, Identity{App: key, Worker: value, Run: "r"}), 7)
		if err := Valid(b[:len(b)-1]); err != nil || !json.Valid(b) {
			t.Fatalf("%v: %s", err, b)
		}
		clean := func(s string) string { return string([]rune(s)) }
		r, err := Parse(b)
		if err != nil || r.Logger != clean(logger) || r.Msg != clean(msg) || r.App != clean(key) || r.Worker != clean(value) || r.Seq != 7 || !r.Time.Equal(testTime) {
			t.Fatalf("%v: %+v from %s", err, r, b)
		}
		head, ok := ScanHead(b)
		tail, ok2 := ScanTail(b)
		if !ok || !ok2 || string(head.Logger) != r.Logger || string(tail.App) != r.App || string(tail.Worker) != r.Worker {
			t.Fatalf("head %+v tail %+v of %s", head, tail, b)
		}
		checkText(t, b)
		cut := Truncate(nil, b, max)
		if err := Valid(bytes.TrimSuffix(cut, []byte("\n"))); err != nil {
			t.Fatalf("%v: %s", err, cut)
		}
		if limit := minBody + len(b) - tail.Start; len(cut) > max && len(cut) > limit {
			t.Fatalf("%d bytes for %d", len(cut), max)
		}
		if !bytes.HasSuffix(cut, b[tail.Start:]) || !bytes.Equal(cut, Truncate(nil, b, max)) {
			t.Fatalf("cut to %s", cut)
		}
	})
}

// FuzzTruncate cuts lines that need not be records.
func FuzzTruncate(f *testing.F) {
	for _, s := range badText {
		f.Add([]byte(s), 10)
		f.Add([]byte(`{"a":"`+s+`","b":"`+s+`"}`), 600)
		f.Add([]byte(strings.Repeat(s+" ", 2000)), 1000)
		f.Add(AppendValue(nil, map[string]any{"a": strings.Repeat(s, 1000), strings.Repeat(s, 500): 1}), 2000)
	}
	for _, l := range hardToCut {
		f.Add([]byte(l), 10)
	}
	f.Fuzz(func(t *testing.T, b []byte, max int) {
		got := Truncate(nil, b, max)
		if len(b) <= max || len(b) <= minBody {
			if !bytes.Equal(got, b) {
				t.Fatal("changed what fits")
			}
			return
		}
		if !json.Valid(got) {
			t.Fatalf("not JSON: %.300s", got)
		}
		tail := len("}\n")
		if s, ok := ScanTail(b); ok {
			tail = len(b) - s.Start
		}
		if len(got) > max && len(got) > minBody+tail {
			t.Fatalf("%d bytes for %d", len(got), max)
		}
	})
}

func FuzzText(f *testing.F) {
	for _, s := range badText {
		f.Add([]byte(s))
		f.Add([]byte(`{"time":"` + s + `","level":"` + s + `","logger":"` + s + `","msg":"` + s + `","worker":"` + s + `","` + s + `":"` + s + `","stack":"` + s + `"}`))
		f.Add(bytes.Replace(line(7, nil), []byte("row loaded"), []byte(s), 1))
		f.Add(line(7, func(l *Line) { l.Str(s, s); l.Stack(s) }))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkText(t, b) })
}

func FuzzToken(f *testing.F) {
	for _, s := range badText {
		f.Add(s)
		f.Add(Token(s))
	}
	f.Fuzz(func(t *testing.T, s string) {
		tok := Token(s)
		if tok == "" || strings.ContainsAny(tok, ". *>\t\r\n\x00") || !utf8.ValidString(tok) {
			t.Fatalf("token %q", tok)
		}
		if back, err := Untoken(tok); back != s || err != nil {
			t.Fatalf("%q became %q, then %q %v", s, tok, back, err)
		}
		if name, err := Untoken(s); err == nil && Token(name) != s {
			t.Fatalf("%q and %q are one name", s, Token(name))
		}
		app, worker, err := ParseSubject("logs", Subject("logs", s, tok))
		if app != s || worker != tok || err != nil {
			t.Fatalf("%q %q %v", app, worker, err)
		}
	})
}

// FuzzAppendValue writes what encoding/json has read, and compares.
func FuzzAppendValue(f *testing.F) {
	for _, s := range badText {
		f.Add([]byte(s))
		f.Add(AppendValue(nil, map[string]any{s: []any{s, 1e21, 0.0, 1e-7, nil, true, map[string]string{s: s}}}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range []any{string(b), b, json.RawMessage(b), errors.New(string(b)), marshaler{string(b)}, json.Number(b), map[string]error{string(b): errors.New(string(b))}} {
			if got := AppendValue(nil, v); !json.Valid(got) || !utf8.Valid(got) {
				t.Fatalf("%T: %s", v, got)
			}
		}
		var v any
		if json.Unmarshal(b, &v) != nil {
			return
		}
		got := AppendValue(nil, v)
		var back any
		if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, v) && !bytes.Contains(got, []byte("!DEPTH")) && !bytes.Contains(got, []byte("#2")) {
			t.Fatalf("%v: %s became %s", err, b, got)
		}
	})
}

func FuzzAdopt(f *testing.F) {
	for _, s := range badText {
		f.Add([]byte(s))
		f.Add(AppendValue(nil, map[string]any{"time": s, "level": s, "msg": s, "error": map[string]any{"message": s, "stack": s, "type": s}, "source": map[string]any{"file": s, "line": 1}, s: s}))
		f.Add([]byte(`{"ts":` + s + `,"lineno":5,"filename":"` + s + `","exc_info":"Traceback (most recent call last)` + s + `"}`))
	}
	f.Add([]byte(`{"level":50,"time":1700000000123,"pid":1,"hostname":"h","name":"svc","err":{"type":"T","message":"x","stack":"s"},"msg":"hi"}`))
	f.Add([]byte(`{"asctime":"2026-03-04 05:06:07,089","name":"etl.load","levelname":"CRITICAL","message":"hi","pathname":"/a/b/c.py","lineno":7}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := GetLine()
		defer l.Free()
		Adopt(l, b, Defaults{Time: testTime})
		got := append(append([]byte(nil), l.Finish(1<<30)...), '}')
		if err := Valid(got); err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		if _, err := Parse(got); err != nil {
			t.Fatalf("%v: %s", err, got)
		}
	})
}
