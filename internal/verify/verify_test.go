package verify

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/logbraid/logbraid/pkg/record"
)

var (
	w1 = record.Identity{App: "etl", Worker: "w1", Run: "AAAAAAAAAA"}
	w2 = record.Identity{App: "etl", Worker: "w2", Run: "BBBBBBBBBB"}
)

func line(id record.Identity, seq uint64, build func(l *record.Line)) string {
	l := record.GetLine()
	defer l.Free()
	l.Start(time.Date(2026, 11, 21, 10, 0, 0, int(seq), time.UTC), record.Info, "etl.load", "row loaded")
	if build != nil {
		build(l)
	} else {
		l.Uint("n", seq)
	}
	b := append([]byte(nil), l.Finish(256<<10)...)
	return string(record.AppendEnd(record.AppendTail(b, id), seq))
}

// told is the line that tells count dropped seqs between first and last.
func toldText(id record.Identity, seq, count, first, last uint64) string {
	return line(id, seq, func(l *record.Line) {
		l.Start(time.Now(), record.Warn, record.OwnLogger, record.MsgDropped)
		l.Uint("count", count)
		l.Str("level", "info")
		if first > 0 {
			l.Uint("first", first)
			l.Uint("last", last)
		}
	})
}

// lostText is the line by which the collector tells that count records of a run between first and last are lost.
func lostText(seq uint64, of record.Identity, count, first, last uint64) string {
	return line(record.Identity{App: "logbraid", Worker: "collector", Run: "CCCCCCCCCC"}, seq, func(l *record.Line) {
		l.Start(time.Now(), record.Error, record.OwnLogger, record.MsgLost)
		l.Str("lost_app", of.App)
		l.Str("lost_worker", of.Worker)
		l.Str("lost_run", of.Run)
		l.Uint("count", count)
		l.Uint("first", first)
		l.Uint("last", last)
	})
}

// lines returns the lines of the seqs first to last.
func lines(id record.Identity, first, last uint64) string {
	var b strings.Builder
	for seq := first; seq <= last; seq++ {
		b.WriteString(line(id, seq, nil))
	}
	return b.String()
}

func verify(t *testing.T, o Options, contents ...string) *Report {
	t.Helper()
	var paths []string
	dir := t.TempDir()
	for i, c := range contents {
		p := filepath.Join(dir, fmt.Sprintf("f%d", i+1))
		if err := os.WriteFile(p, []byte(c), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	r, err := Files(context.Background(), paths, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sum is a report in short: lost, dropped, duplicates, disorder, torn, other.
func sum(r *Report) string {
	return fmt.Sprintf("lost %d dropped %d twice %d disorder %d torn %d other %d", r.Lost, r.Dropped, r.Duplicates, r.Disorder, r.Torn, r.Other)
}

func gz(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.String()
}

func zst(s string) string {
	z, _ := zstd.NewWriter(nil)
	return string(z.EncodeAll([]byte(s), nil))
}

func TestFaults(t *testing.T) {
	whole := lines(w1, 1, 5)
	nested := func(l *record.Line) { l.Raw("request", []byte(`{"time":"x","b":{"c":1}}`)) }
	for _, c := range []struct {
		name  string
		o     Options
		files []string
		want  string
	}{
		{"whole", Options{}, []string{whole}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"nothing", Options{}, []string{""}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"two runs in turn", Options{}, []string{line(w1, 1, nil) + line(w2, 1, nil) + line(w1, 2, nil) + line(w2, 2, nil)}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"one record missing", Options{}, []string{lines(w1, 1, 3) + lines(w1, 5, 6)}, "lost 1 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"missing in one of two runs", Options{}, []string{lines(w1, 1, 3) + lines(w2, 1, 2) + lines(w1, 10, 11) + lines(w2, 3, 4)}, "lost 6 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"the beginning missing", Options{}, []string{lines(w1, 3, 5)}, "lost 2 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"the beginning missing, partial", Options{Partial: true}, []string{lines(w1, 3, 5) + lines(w1, 7, 7)}, "lost 1 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"told as lost in the middle", Options{}, []string{lines(w1, 1, 3) + lostText(1, w1, 1, 4, 4) + lines(w1, 5, 6)}, "lost 1 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"told as lost in the middle, among drops", Options{}, []string{lines(w1, 1, 3) + lostText(1, w1, 1, 4, 6) + toldText(w1, 7, 2, 4, 5)}, "lost 1 dropped 2 twice 0 disorder 0 torn 0 other 0"},
		{"told as lost at the end", Options{}, []string{whole + lostText(1, w1, 3, 6, 8)}, "lost 3 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"told as lost at the end, among drops", Options{}, []string{whole + lostText(1, w1, 2, 6, 8)}, "lost 2 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"told as lost at the end, in parts", Options{}, []string{lostText(1, w1, 2, 8, 9) + whole + lostText(2, w1, 2, 6, 7)}, "lost 4 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"told as lost at the end, and again", Options{}, []string{whole + lostText(1, w1, 2, 6, 7) + lostText(2, w1, 3, 6, 8)}, "lost 3 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"told as lost at the end, and in the middle", Options{}, []string{lines(w1, 1, 2) + lostText(1, w1, 2, 3, 4) + lines(w1, 5, 5) + lostText(2, w1, 1, 6, 6)}, "lost 3 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"all of a run told as lost", Options{}, []string{whole + lostText(1, w2, 4, 1, 4)}, "lost 4 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"told as lost of nobody", Options{}, []string{whole + lostText(1, record.Identity{}, 4, 1, 4) + lostText(2, w2, 4, 4, 1)}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"told as lost by a user", Options{}, []string{whole + strings.Replace(lostText(1, w2, 4, 1, 4), `"logger":"logbraid"`, `"logger":"x"`, 1)}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"a line twice", Options{}, []string{whole + line(w1, 5, nil)}, "lost 0 dropped 0 twice 1 disorder 0 torn 0 other 0"},
		{"a batch twice", Options{}, []string{whole + lines(w1, 3, 7)}, "lost 0 dropped 0 twice 3 disorder 0 torn 0 other 0"},
		{"everything twice", Options{}, []string{whole + whole}, "lost 0 dropped 0 twice 5 disorder 0 torn 0 other 0"},
		{"a file given twice", Options{}, []string{whole, whole}, "lost 0 dropped 0 twice 5 disorder 0 torn 0 other 0"},
		{"two lines changed over", Options{}, []string{lines(w1, 1, 2) + line(w1, 4, nil) + line(w1, 3, nil) + line(w1, 5, nil)}, "lost 0 dropped 0 twice 0 disorder 1 torn 0 other 0"},
		{"a batch too late", Options{}, []string{lines(w1, 1, 3) + lines(w1, 7, 9) + lines(w1, 4, 6)}, "lost 0 dropped 0 twice 0 disorder 3 torn 0 other 0"},
		{"too late, some twice", Options{}, []string{lines(w1, 1, 3) + lines(w1, 7, 9) + lines(w1, 3, 10)}, "lost 0 dropped 0 twice 4 disorder 3 torn 0 other 0"},
		{"backwards", Options{}, []string{line(w1, 3, nil) + line(w1, 2, nil) + line(w1, 1, nil)}, "lost 0 dropped 0 twice 0 disorder 2 torn 0 other 0"},

		{"dropped and told", Options{}, []string{lines(w1, 1, 3) + toldText(w1, 10, 6, 4, 9)}, "lost 0 dropped 6 twice 0 disorder 0 torn 0 other 0"},
		{"dropped and told without a range", Options{}, []string{lines(w1, 1, 3) + toldText(w1, 10, 6, 0, 0)}, "lost 0 dropped 6 twice 0 disorder 0 torn 0 other 0"},
		{"dropped here and there", Options{}, []string{lines(w1, 1, 3) + line(w1, 5, nil) + line(w1, 7, nil) + toldText(w1, 10, 4, 4, 9)}, "lost 0 dropped 4 twice 0 disorder 0 torn 0 other 0"},
		{"fewer told than missing", Options{}, []string{lines(w1, 1, 3) + toldText(w1, 10, 5, 4, 9)}, "lost 1 dropped 5 twice 0 disorder 0 torn 0 other 0"},
		{"told of another place", Options{}, []string{lines(w1, 1, 3) + lines(w1, 6, 10) + toldText(w1, 11, 2, 7, 8)}, "lost 2 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"told by another run", Options{}, []string{lines(w1, 1, 3) + lines(w1, 6, 7) + toldText(w2, 1, 2, 4, 5)}, "lost 2 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"told twice in turn", Options{}, []string{line(w1, 1, nil) + toldText(w1, 4, 2, 2, 3) + toldText(w1, 8, 3, 5, 7)}, "lost 0 dropped 5 twice 0 disorder 0 torn 0 other 0"},
		{"told before the drops", Options{}, []string{toldText(w1, 1, 2, 3, 4) + line(w1, 2, nil) + line(w1, 5, nil)}, "lost 0 dropped 2 twice 0 disorder 0 torn 0 other 0"},
		{"told in a message only", Options{}, []string{lines(w1, 1, 3) + line(w1, 6, func(l *record.Line) { l.Str("m", record.MsgDropped); l.Int("count", 2) })},
			"lost 2 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"lost and told as lost", Options{}, []string{lines(w1, 1, 3) + line(w2, 1, func(l *record.Line) {
			l.Start(time.Now(), record.Error, record.OwnLogger, record.MsgLost)
			l.Int("count", 2)
		}) + lines(w1, 6, 7)}, "lost 2 dropped 0 twice 0 disorder 0 torn 0 other 0"},

		{"last line cut", Options{}, []string{whole[:len(whole)-20]}, "lost 0 dropped 0 twice 0 disorder 0 torn 1 other 0"},
		{"last newline cut", Options{}, []string{whole[:len(whole)-1]}, "lost 0 dropped 0 twice 0 disorder 0 torn 1 other 0"},
		{"a line cut in the middle of the file", Options{}, []string{lines(w1, 1, 2) + line(w1, 3, nil)[:70] + "\n" + lines(w1, 4, 5)}, "lost 1 dropped 0 twice 0 disorder 0 torn 1 other 0"},
		{"a line's beginning cut", Options{}, []string{lines(w1, 1, 2) + line(w1, 3, nil)[70:] + lines(w1, 4, 5)}, "lost 1 dropped 0 twice 0 disorder 0 torn 1 other 0"},
		{"a line cut and another behind it", Options{}, []string{lines(w1, 1, 2) + line(w1, 3, nil)[:70] + lines(w1, 4, 5)}, "lost 2 dropped 0 twice 0 disorder 0 torn 1 other 0"},
		{"a line in another", Options{}, []string{lines(w1, 1, 2) + line(w1, 3, nil)[:100] + line(w2, 1, nil) + line(w1, 3, nil)[100:] + lines(w1, 4, 5)},
			"lost 1 dropped 0 twice 0 disorder 0 torn 2 other 0"},
		{"an empty line", Options{}, []string{whole + "\n"}, "lost 0 dropped 0 twice 0 disorder 0 torn 1 other 0"},
		{"zeros", Options{}, []string{whole + strings.Repeat("\x00", 5000) + line(w1, 6, nil)}, "lost 0 dropped 0 twice 0 disorder 0 torn 1 other 0"},
		{"garbage", Options{}, []string{whole + "garbage\n"}, "lost 0 dropped 0 twice 0 disorder 0 torn 1 other 0"},
		{"carriage return", Options{}, []string{strings.ReplaceAll(whole, "\n", "\r\n")}, "lost 0 dropped 0 twice 0 disorder 0 torn 5 other 0"},
		{"damage inside, not seen", Options{}, []string{strings.Replace(whole, `"n":3`, `"n":?`, 1)}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"damage inside, full", Options{Full: true}, []string{strings.Replace(whole, `"n":3`, `"n":?`, 1)}, "lost 1 dropped 0 twice 0 disorder 0 torn 1 other 0"},
		{"a head that is not ours", Options{}, []string{strings.Replace(whole, `"info"`, `"INFO"`, 1)}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"seq 0", Options{}, []string{strings.Replace(lines(w1, 1, 1), `"seq":1}`, `"seq":0}`, 1)}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 1"},
		{"a record inside a record", Options{}, []string{line(w1, 1, nested) + line(w1, 2, nested)}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"others' JSON", Options{}, []string{whole + `{"msg":"hi"}` + "\n"}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 1"},

		{"rotated, any order", Options{}, []string{lines(w1, 8, 9) + lines(w2, 1, 5), lines(w1, 1, 4), lines(w1, 5, 7)}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"a generation missing", Options{}, []string{lines(w1, 8, 9), lines(w1, 1, 4)}, "lost 3 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"a line in two generations", Options{}, []string{lines(w1, 4, 9), lines(w1, 1, 4)}, "lost 0 dropped 0 twice 1 disorder 0 torn 0 other 0"},
		{"generations that interleave", Options{}, []string{lines(w1, 1, 3) + lines(w1, 7, 9), lines(w1, 4, 6)}, "lost 0 dropped 0 twice 0 disorder 1 torn 0 other 0"},
		{"compressed", Options{}, []string{gz(lines(w1, 1, 4)), zst(lines(w1, 5, 7)), lines(w1, 8, 9)}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"compressed in parts", Options{}, []string{gz(lines(w1, 1, 4)) + gz(lines(w1, 5, 6)), zst(lines(w1, 7, 8)) + zst(lines(w1, 9, 9))}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 0"},
		{"compressed, cut", Options{}, []string{gz(lines(w1, 1, 3000))[:500]}, "torn 1"},
		{"compressed, cut, zstd", Options{}, []string{zst(lines(w1, 1, 3000))[:500]}, "torn 1"},
		{"compressed empty", Options{}, []string{gz(""), zst("")}, "lost 0 dropped 0 twice 0 disorder 0 torn 0 other 0"},
	} {
		r := verify(t, c.o, c.files...)
		if got := sum(r); !strings.Contains(got, c.want) {
			t.Errorf("%s\n got %s\nwant %s\n%+v", c.name, got, c.want, r)
		}
		if bad := !strings.HasPrefix(c.want, "lost 0") || !strings.Contains(c.want, "twice 0 disorder 0 torn 0"); r.OK == bad {
			t.Errorf("%s: ok %v", c.name, r.OK)
		}
		if r.Missing != r.Lost+r.Dropped {
			t.Errorf("%s: %d missing", c.name, r.Missing)
		}
	}
}

func TestReport(t *testing.T) {
	odd := record.Identity{App: "etl", Worker: "w\x1b[2J 3", Run: "CCCCCCCCCC"}
	r := verify(t, Options{},
		lines(w1, 1, 3)+toldText(w1, 10, 6, 4, 9)+lines(w1, 12, 12)+"torn\n",
		lines(odd, 1, 1)+lines(odd, 3, 3)+lines(odd, 6, 7)+lines(odd, 9, 9)+lines(odd, 11, 11)+lines(odd, 11, 11)+"x")
	var table bytes.Buffer
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(table.String(), filepath.Dir(r.Files[0].Name)+"/", "")
	const want = `APP  WORKER        RUN         FIRST  LAST  LINES  DROPPED  LOST  TWICE  DISORDER  GAPS
etl  "w\x1b[2J 3"  CCCCCCCCCC  1      11    7      0        5     1      0         2,4-5,8,...
etl  w1            AAAAAAAAAA  1      12    5      6        1     0      0         4-9,11
f1:6: torn: not a JSON object
f2:8: torn: no newline at the end
12 records, 2 runs, 14 lines: NOT whole: 6 lost, 1 twice, 0 out of order, 2 torn; 6 dropped and told
`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b, &back); err != nil || fmt.Sprint(back) != fmt.Sprint(*r) {
		t.Errorf("%v: %s", err, b)
	}
	for _, want := range []string{`"ok":false`, `"lost":6`, `"gaps":[{"first":4,"last":9},{"first":11,"last":11}]`, `"line":6,"what":"not a JSON object"`} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("no %s in %s", want, b)
		}
	}
	whole := verify(t, Options{}, lines(w1, 1, 3))
	if got := whole.verdict(); got != "3 records, 1 runs, 3 lines: whole, in order, each once" {
		t.Error(got)
	}
}

func TestStdinAndErrors(t *testing.T) {
	p := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(p, []byte(lines(w1, 1, 5)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{lines(w1, 6, 9), gz(lines(w1, 6, 9)), zst(lines(w1, 6, 9))} {
		r, err := Files(t.Context(), []string{p, "-"}, Options{Stdin: strings.NewReader(in)})
		if err != nil || !r.OK || r.Records != 9 {
			t.Errorf("%v %+v", err, r)
		}
	}
	for _, paths := range [][]string{{p, p + "x"}, {filepath.Dir(p)}} {
		if r, err := Files(t.Context(), paths, Options{}); err == nil || !strings.Contains(err.Error(), paths[len(paths)-1]) {
			t.Errorf("%v: %v %+v", paths, err, r)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Files(ctx, []string{p}, Options{}); err == nil {
		t.Error("a cancelled context")
	}
}

// TestChunks moves the borders of the chunks over every place of a line, and lines over every size
// of a chunk.
func TestChunks(t *testing.T) {
	for _, n := range []int{chunkSize - 300, chunkSize - 1, chunkSize, chunkSize + 1, 3*chunkSize + 5, maxLine / 2} {
		for shift := range 3 {
			long := line(w1, 2, func(l *record.Line) { l.Str("x", "") })
			long = strings.Replace(long, `"x":""`, `"x":"`+strings.Repeat("x", n+shift)+`"`, 1)
			r := verify(t, Options{}, line(w1, 1, nil)+long+lines(w1, 3, 5))
			if !r.OK || r.Records != 5 {
				t.Errorf("%d: %s", n+shift, sum(r))
			}
		}
	}
	endless := lines(w1, 1, 2) + strings.Repeat("x", maxLine+chunkSize) + "\n" + lines(w1, 3, 4)
	if r := verify(t, Options{}, endless); r.Torn != 1 || r.Lost != 0 || r.Records != 4 || r.TornLines[0].Line != 3 {
		t.Errorf("%s %+v", sum(r), r.TornLines)
	}
	if r := verify(t, Options{}, endless[:maxLine+1000]); r.Torn != 1 || r.Records != 2 {
		t.Errorf("%s %+v", sum(r), r.TornLines)
	}
	all := lines(w1, 1, 20000)
	for range 20 {
		at := rand.IntN(len(all) - len(line(w1, 20000, nil))) // without the last, nothing would show that it is missing
		r := verify(t, Options{}, all[:at]+"\n"+all[at:])
		if r.Torn < 1 || r.Torn > 2 || r.Lost != r.Torn-1 || r.Duplicates+r.Disorder > 0 || r.Lines != 20001 {
			t.Errorf("at %d: %s", at, sum(r))
		}
	}
}

// TestAgainstModel makes logs with faults at random and compares with a count that keeps every seq.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var files []string
		var seqs [][]uint64
		for range 1 + rnd.IntN(4) {
			var b strings.Builder
			var in []uint64
			at := uint64(1 + rnd.IntN(30))
			for range rnd.IntN(60) {
				b.WriteString(line(w1, at, nil))
				in = append(in, at)
				switch rnd.IntN(12) {
				case 0:
					at += uint64(rnd.IntN(20))
				case 1:
					at -= uint64(rnd.IntN(int(min(at, 20))))
				default:
					at++
				}
			}
			files = append(files, b.String())
			seqs = append(seqs, in)
		}
		seen := map[uint64]bool{}
		var twice, disorder, top uint64
		for _, in := range seqs {
			var last uint64
			for _, seq := range in {
				if seen[seq] {
					twice++
				} else if seq < last {
					disorder++
				}
				seen[seq] = true
				last = max(last, seq)
			}
			top = max(top, last)
		}
		r := verify(t, Options{}, files...)
		if twice == 0 {
			disorder += overlaps(seqs)
		}
		want := fmt.Sprintf("lost %d dropped 0 twice %d disorder %d torn 0 other 0", top-uint64(len(seen)), twice, disorder)
		if got := sum(r); got != want {
			t.Errorf("seed %d\n got %s\nwant %s\n%v", seed, got, want, seqs)
		}
	}
}

func overlaps(seqs [][]uint64) (n uint64) {
	seqs = slices.DeleteFunc(slices.Clone(seqs), func(s []uint64) bool { return len(s) == 0 })
	slices.SortFunc(seqs, func(a, b []uint64) int { return int(slices.Min(a)) - int(slices.Min(b)) })
	var end uint64
	for i, s := range seqs {
		if i > 0 && slices.Min(s) < end {
			n++
		}
		end = max(end, slices.Max(s))
	}
	return n
}

// TestIntervalsBounded: more gaps than there is room for are still counted.
func TestIntervalsBounded(t *testing.T) {
	r := &run{id: "r"}
	const n = 3 * maxIntervals
	for i := range uint64(n) {
		r.add(0, 2*i+1, 2*i+1)
		if len(r.seen.list) > maxIntervals+1 {
			t.Fatal("unbounded")
		}
	}
	r.told = tell(r.told, told{interval{1, 2 * n}, n / 2})
	s := r.report(false)
	if s.Missing != n-1 || s.Dropped != n/2 || s.Lost != n-1-n/2 || s.Count != n || !s.Inexact || s.Duplicates+s.Disorder != 0 {
		t.Errorf("%+v", s)
	}
	r.add(0, 2, 2)
	if s := r.report(false); s.OK() {
		t.Errorf("a late seq passes: %+v", s)
	}
}

func TestToldBounded(t *testing.T) {
	r := &run{id: "r"}
	const n = 3*maxTold + 1
	for i := range uint64(n) {
		r.add(0, 2*i+1, 2*i+1)
		r.told = tell(r.told, told{interval{2*i + 2, 2*i + 2}, 1})
		if len(r.told) > maxTold {
			t.Fatal("unbounded")
		}
	}
	r.add(0, 2*n+1, 2*n+1)
	if s := r.report(false); s.Dropped != n || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
}

// What is told as lost behind a run's end is named, and a run of which nothing else is there is listed.
func TestLostAtEnd(t *testing.T) {
	r := verify(t, Options{}, lines(w1, 1, 5)+lostText(1, w1, 2, 6, 8)+lostText(2, w2, 4, 1, 4))
	if r.OK || r.Lost != 6 || r.Missing != 6 || len(r.Runs) != 3 {
		t.Fatalf("%+v", r)
	}
	some, all := r.Runs[0], r.Runs[1]
	if some.Run != w1.Run || some.Last != 5 || some.Count != 5 || some.LostAtEnd != 2 || !slices.Equal(some.Gaps, []Range{{6, 8}}) {
		t.Errorf("%+v", some)
	}
	if all.Run != w2.Run || all.App != w2.App || all.Worker != w2.Worker || all.First != 0 || all.Count != 0 || all.LostAtEnd != 4 || !slices.Equal(all.Gaps, []Range{{1, 4}}) {
		t.Errorf("%+v", all)
	}
}
