package checker

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const (
	runA = "AAAAAAAAAA"
	runB = "BBBBBBBBBB"
)

// line writes one good record of the tests' workers by hand: not with the product's encoder.
func line(run string, seq uint64, g, n int) string {
	id := fmt.Sprintf("%s.%d.%d", run, g, n)
	pad, _ := json.Marshal(Payload(id, 60))
	return fmt.Sprintf(`{"time":"2026-11-21T10:00:00.%09dZ","level":"info","logger":"etl.load","msg":"row","id":"%s","pad":%s,"app":"etl","worker":"w-%s","run":"%s","seq":%d}`,
		seq, id, pad, run, run, seq)
}

func told(run string, seq uint64, msg string, count int, more string) string {
	return fmt.Sprintf(`{"time":"2026-11-21T10:00:00.%09dZ","level":"warn","logger":"logbraid","msg":"%s","count":%d,%s"app":"etl","worker":"w-%s","run":"%s","seq":%d}`,
		seq, msg, count, more, run, run, seq)
}

func textOf(run string, g, n int) string {
	return fmt.Sprintf("2026-11-21T10:00:00.123456Z INFO  etl.load[w-%s] row id=%s.%d.%d pad=\"x y\"", run, run, g, n)
}

// world is a directory with the ledgers of two runs: A logged ten records from one goroutine and five from another and ended,
// B was killed after ten.
func world(t *testing.T) (dir string, good []string) {
	t.Helper()
	dir = t.TempDir()
	ledger := func(run string, counts ...int) *Writer {
		w, err := NewWriter(dir, "w-"+run, run, true)
		if err != nil {
			t.Fatal(err)
		}
		for g, n := range counts {
			for i := 1; i <= n; i++ {
				if err := w.Accepted(g, i, "info", "etl.load"); err != nil {
					t.Fatal(err)
				}
			}
		}
		return w
	}
	if err := ledger(runA, 10, 5).End(15, 0); err != nil {
		t.Fatal(err)
	}
	b := ledger(runB, 10)
	// The write(2) of its last ledger line was cut short by the kill.
	if _, err := b.file.WriteString("a 0 11 in"); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 10; i++ {
		good = append(good, line(runA, uint64(i), 0, i), line(runB, uint64(i), 0, i))
	}
	for i := 1; i <= 5; i++ {
		good = append(good, line(runA, uint64(10+i), 1, i))
	}
	return dir, good
}

func write(t *testing.T, path string, lines []string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, ledgers string, d Destination) *Report {
	t.Helper()
	accepted, err := ReadLedgers(ledgers)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Check(accepted, d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGoodLogPasses(t *testing.T) {
	dir, good := world(t)
	path := filepath.Join(dir, "app.jsonl")
	write(t, path, good)
	r := run(t, dir, Destination{Path: path})
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if r.Records != 25 || r.Lines != 25 || r.Runs != 2 || r.PerWorker["w-"+runA] != 15 {
		t.Errorf("unexpected figures: %v", r)
	}
}

// The record whose call had not returned when the worker was killed may be there; one further on may not.
func TestRecordBehindTheLedger(t *testing.T) {
	dir, good := world(t)
	path := filepath.Join(dir, "app.jsonl")
	write(t, path, append(good, line(runB, 11, 0, 11)))
	if r := run(t, dir, Destination{Path: path}); r.Err() != nil || r.Started != 1 {
		t.Errorf("the record that was being logged: %v, %v", r.Err(), r)
	}
	write(t, path, append(good, line(runB, 11, 0, 11), line(runB, 12, 0, 12)))
	if r := run(t, dir, Destination{Path: path}); r.Counts[Unknown] != 1 {
		t.Errorf("a record that nobody logged: %v", r.Err())
	}
	write(t, path, append(good, line(runA, 16, 1, 6)))
	if r := run(t, dir, Destination{Path: path}); r.Counts[Unknown] != 1 {
		t.Errorf("a record behind the end of its run: %v", r.Err())
	}
}

// What is lost behind the last line of a run, of which only the collector tells, is found and counted.
func TestLostAtTheEnd(t *testing.T) {
	dir, good := world(t)
	path := filepath.Join(dir, "app.jsonl")
	lost := func(seq uint64, run string, count, first, last int) string {
		return told("CCCCCCCCCC", seq, "records lost", count, fmt.Sprintf(`"first":%d,"last":%d,"lost_run":"%s",`, first, last, run))
	}
	write(t, path, append(good[:len(good)-2:len(good)-2], lost(1, runA, 2, 14, 15)))
	r := run(t, dir, Destination{Path: path})
	if r.Counts[Lost] != 2 || r.Seqs != (Seqs{Absent: 2, Unexplained: 2}) {
		t.Errorf("%+v: %v", r.Seqs, r.Err())
	}
	if r := run(t, dir, Destination{Path: path, LossTold: true}); r.Err() != nil {
		t.Error(r.Err())
	}
	write(t, path, append(good, lost(1, "DDDDDDDDDD", 3, 1, 4))) // a run of which nothing is there; one was dropped
	if r := run(t, dir, Destination{Path: path}); r.Counts[Accounting] != 1 || r.Seqs != (Seqs{Absent: 3, Unexplained: 3}) {
		t.Errorf("%+v: %v", r.Seqs, r.Err())
	}
	write(t, path, append(good, lost(1, runA, 5, 16, 17)))
	if r := run(t, dir, Destination{Path: path}); r.Counts[Keys] != 1 {
		t.Errorf("five of two: %v", r.Err())
	}
}

// Each way of breaking a log is found, under its own name and no other.
func TestBrokenLogsAreCaught(t *testing.T) {
	replace := func(i int, old, new string) func([]string) []string {
		return func(l []string) []string {
			if !strings.Contains(l[i], old) {
				panic("the line to be broken has no " + old)
			}
			l[i] = strings.Replace(l[i], old, new, 1)
			return l
		}
	}
	cut := func(from, to int) func([]string) []string {
		return func(l []string) []string { return append(l[:from:from], l[to:]...) }
	}
	for _, test := range []struct {
		name  string
		spoil func([]string) []string
		want  map[Kind]int
	}{
		{"record absent", cut(4, 5), map[Kind]int{Lost: 1, Accounting: 2}},
		{"last record of a killed run absent", cut(19, 20), map[Kind]int{Lost: 1}},
		{"last record of an ended run absent", cut(24, 25), map[Kind]int{Lost: 1, Accounting: 1}},
		{"whole run absent", func(l []string) []string {
			var kept []string
			for _, s := range l {
				if strings.Contains(s, runA) {
					kept = append(kept, s)
				}
			}
			return kept
		}, map[Kind]int{Lost: 10}},
		{"record twice in a row", func(l []string) []string { return append(l[:5:5], l[4:]...) }, map[Kind]int{Duplicate: 1}},
		{"record again at the end", func(l []string) []string { return append(l, l[0]) }, map[Kind]int{Duplicate: 1}},
		{"same record under a new seq", func(l []string) []string { return append(l, line(runB, 11, 0, 3)) }, map[Kind]int{Duplicate: 1}},
		{"other record under an old seq", func(l []string) []string { l[24] = line(runA, 3, 1, 5); return l },
			map[Kind]int{Duplicate: 1, Lost: 1, Accounting: 1}},
		{"two records exchanged", func(l []string) []string { l[0], l[2] = l[2], l[0]; return l }, map[Kind]int{Disorder: 2}},
		{"seqs in order, goroutine not", func(l []string) []string {
			l[0], l[2] = line(runA, 1, 0, 2), line(runA, 2, 0, 1)
			return l
		}, map[Kind]int{Disorder: 1}},
		{"line cut short", func(l []string) []string { l[3] = l[3][:40]; return l }, map[Kind]int{Invalid: 1, Lost: 1, Accounting: 1}},
		{"two lines run together", func(l []string) []string { l[3] += l[4]; return append(l[:4:4], l[5:]...) },
			map[Kind]int{Invalid: 1, Lost: 2, Accounting: 3}},
		{"empty line", func(l []string) []string { return append(l, "") }, map[Kind]int{Invalid: 1}},
		{"hole of zero bytes", func(l []string) []string { return append(l, "\x00\x00\x00\x00") }, map[Kind]int{Torn: 1}},
		{"not an object", func(l []string) []string { return append(l, "[1]") }, map[Kind]int{Invalid: 1}},
		{"not UTF-8", replace(0, `"row"`, "\"r\xffw\""), map[Kind]int{Invalid: 1, Lost: 1, Accounting: 2}},
		{"key twice", replace(0, `"msg":"row"`, `"msg":"row","id":"x"`), map[Kind]int{Invalid: 1, Lost: 1, Accounting: 2}},
		{"no run", replace(0, `"run":"AAAAAAAAAA",`, ``), map[Kind]int{Keys: 1, Lost: 1, Accounting: 2}},
		{"seq is a text", replace(0, `"seq":1}`, `"seq":"1"}`), map[Kind]int{Keys: 1, Lost: 1, Accounting: 2}},
		{"time without nine digits", replace(0, `.000000001Z`, `.1Z`), map[Kind]int{Keys: 1, Lost: 1, Accounting: 2}},
		{"unknown level", replace(0, `"info"`, `"INFO"`), map[Kind]int{Keys: 1, Lost: 1, Accounting: 2}},
		{"other level", replace(0, `"info"`, `"warn"`), map[Kind]int{Altered: 1}},
		{"other logger", replace(0, `etl.load`, `etl.save`), map[Kind]int{Altered: 1}},
		{"payload changed", replace(0, `"pad":"60:`, `"pad":"60: `), map[Kind]int{Altered: 1}},
		{"in another's run", replace(0, `"run":"AAAAAAAAAA"`, `"run":"CCCCCCCCCC"`), map[Kind]int{Altered: 1, Lost: 1, Accounting: 2}},
		{"nobody's record", func(l []string) []string { return append(l, line("ZZZZZZZZZZ", 1, 0, 1)) }, map[Kind]int{Unknown: 1}},
		{"drops told that did not happen", func(l []string) []string { return append(l, told(runB, 11, "records dropped", 3, "")) },
			map[Kind]int{Accounting: 1}},
		{"loss told", func(l []string) []string {
			return append(cut(3, 4)(l), told("CCCCCCCCCC", 1, "records lost", 1, `"first":2,"last":2,"lost_run":"`+runB+`",`))
		}, map[Kind]int{Lost: 1, Accounting: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, good := world(t)
			path := filepath.Join(dir, "app.jsonl")
			write(t, path, test.spoil(good))
			r := run(t, dir, Destination{Path: path})
			if fmt.Sprint(r.Counts) != fmt.Sprint(test.want) {
				t.Errorf("found %v, want %v\n%v", r.Counts, test.want, r.Err())
			}
			if r.Err() == nil {
				t.Error("the broken log passes")
			}
		})
	}
}

func TestTornLastLine(t *testing.T) {
	dir, good := world(t)
	path := filepath.Join(dir, "app.jsonl")
	write(t, path, good)
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := len(all) - len(good[24]); n < len(all); n++ {
		if err := os.WriteFile(path, all[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if r := run(t, dir, Destination{Path: path}); r.Counts[Torn] != 1 {
			t.Fatalf("cut after %d of %d bytes: %v", n, len(all), r.Err())
		}
	}
}

// Told drops explain absent records, exactly as many as they count.
func TestToldDrops(t *testing.T) {
	for _, test := range []struct {
		count int
		want  map[Kind]int
	}{{3, nil}, {2, map[Kind]int{Lost: 1, Accounting: 1}}, {4, map[Kind]int{Accounting: 1}}} {
		dir, good := world(t)
		path := filepath.Join(dir, "app.jsonl")
		var kept []string
		for _, l := range good {
			if !strings.Contains(l, runB) || !strings.Contains(l, `"seq":4}`) && !strings.Contains(l, `"seq":5}`) && !strings.Contains(l, `"seq":6}`) {
				kept = append(kept, l)
			}
		}
		write(t, path, append(kept, told(runB, 11, "records dropped", test.count, "")))
		r := run(t, dir, Destination{Path: path})
		if fmt.Sprint(r.Counts) != fmt.Sprint(map[Kind]int(test.want)) {
			t.Errorf("%d told: found %v, want %v", test.count, r.Counts, test.want)
		}
	}
}

func TestSelectedDestination(t *testing.T) {
	dir, good := world(t)
	path := filepath.Join(dir, "a.jsonl")
	onlyA := Destination{Path: path, Select: func(e Entry) bool { return e.Source == runA }}
	var kept []string
	for _, l := range good {
		if strings.Contains(l, runA) {
			kept = append(kept, l)
		}
	}
	write(t, path, kept)
	if err := run(t, dir, onlyA).Err(); err != nil {
		t.Error(err)
	}
	write(t, path, append(kept, line(runB, 1, 0, 1)))
	if r := run(t, dir, onlyA); r.Counts[Misrouted] != 1 {
		t.Errorf("a record that belongs elsewhere: %v", r.Err())
	}
	write(t, path, kept[1:])
	if r := run(t, dir, onlyA); r.Counts[Lost] != 1 {
		t.Errorf("an absent record: %v", r.Err())
	}
}

func TestGenerationsAreReadInOrder(t *testing.T) {
	dir, good := world(t)
	path := filepath.Join(dir, "app.jsonl")
	piece := func(from, to int) []byte { return []byte(strings.Join(good[from:to], "\n") + "\n") }
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(piece(0, 8)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		".000009.gz": zipped.Bytes(), ".000010.zst": enc.EncodeAll(piece(8, 15), nil), ".1000000": piece(15, 20), "": piece(20, 25),
		".damaged-1": []byte("what was set aside is not read"),
	} {
		if err := os.WriteFile(path+name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := run(t, dir, Destination{Path: path})
	if err := r.Err(); err != nil || r.Files != 4 || r.Lines != 25 {
		t.Errorf("%v\n%v", r, err)
	}
	if err := os.WriteFile(path+".000009", piece(0, 8), 0o644); err != nil {
		t.Fatal(err)
	}
	accepted, err := ReadLedgers(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Check(accepted, Destination{Path: path}); err == nil || !strings.Contains(err.Error(), "generation 9 twice") {
		t.Errorf("one generation in two files: %v", err)
	}
}

func TestTextLogs(t *testing.T) {
	dir, _ := world(t)
	path := filepath.Join(dir, "app.log")
	var good []string
	for i := 1; i <= 10; i++ {
		good = append(good, textOf(runA, 0, i), textOf(runB, 0, i))
	}
	for i := 1; i <= 5; i++ {
		good = append(good, textOf(runA, 1, i))
	}
	check := func(lines []string, want map[Kind]int) {
		t.Helper()
		write(t, path, lines)
		r := run(t, dir, Destination{Path: path, Format: Text})
		if fmt.Sprint(r.Counts) != fmt.Sprint(want) {
			t.Errorf("found %v, want %v: %v", r.Counts, want, r.Err())
		}
	}
	check(good, nil)
	check(good[1:], map[Kind]int{Lost: 1})
	check(append(good[:24:24], good[24], good[24]), map[Kind]int{Duplicate: 1})
	check(append([]string{good[2], good[0]}, append([]string{good[1]}, good[3:]...)...), map[Kind]int{Disorder: 1})
	check(append(good[:25:25], "2026-11-21 forged"), map[Kind]int{Invalid: 1})
	check(append(good[:25:25], textOf("ZZZZZZZZZZ", 0, 1)), map[Kind]int{Unknown: 1})
	check(append(good[:25:25], strings.Replace(textOf(runB, 0, 11), "pad=", "\x1b[2J", 1)), map[Kind]int{Invalid: 1})
	check(append(good[:24:24], strings.Replace(good[24], "INFO ", "WARN ", 1)), map[Kind]int{Altered: 1})
}

// A ledger is itself checked: what it says must be possible.
func TestBrokenLedgers(t *testing.T) {
	for _, text := range []string{
		"no such kind AAAA w1\n", "run AAAA w1\na 0 2 info x\n", "run AAAA w1\na 0 1 info x\na 0 1 info x\n", "run AAAA w1\nb 0 1 info x\n",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "w1.1.1.ledger"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadLedgers(dir); err == nil {
			t.Errorf("ledger %q is believed", text)
		}
	}
}

// Without a ledger the checker still knows what a log of the product has to look like.
func TestWithoutLedgers(t *testing.T) {
	_, good := world(t)
	path := filepath.Join(t.TempDir(), "app.jsonl")
	write(t, path, good)
	r, err := Check(&Accepted{}, Destination{Path: path})
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	write(t, path, append(good[:3:3], good[5:]...))
	if r, err = Check(&Accepted{}, Destination{Path: path}); err != nil || r.Counts[Accounting] != 2 {
		t.Errorf("two runs with a hole each: %v, %v", err, r)
	}
}
