package publisher

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A tracePrinter shows what a joiner gives out.
type tracePrinter struct{ strings.Builder }

func (p *tracePrinter) plain(line []byte, part int, _ time.Time) {
	fmt.Fprintf(p, "PLAIN %s\n", line)
	if part > 0 {
		fmt.Fprintf(p, "  part %d\n", part)
	}
}

func (p *tracePrinter) trace(t trace) {
	lines := strings.Split(string(t.text), "\n")
	fmt.Fprintf(p, "%s %s\n", strings.ToUpper(t.level.String()), t.head)
	if t.part > 0 {
		fmt.Fprintf(p, "  part %d\n", t.part)
	}
	fmt.Fprintf(p, "  first %s\n  last  %s\n  lines %d\n", lines[0], lines[len(lines)-1], len(lines))
}

func joined(max int, lines ...string) string {
	var p tracePrinter
	j := joiner{max: max, out: &p}
	for _, line := range lines {
		j.add([]byte(line), 0, time.Time{})
	}
	j.close()
	return p.String()
}

// The inputs are what CPython 3.11, Go 1.26, OpenJDK 17 and Node 20 printed.
func TestTracesOfRealPrograms(t *testing.T) {
	inputs, err := filepath.Glob("testdata/traces/*.txt")
	if err != nil || len(inputs) == 0 {
		t.Fatal("no inputs", err)
	}
	for _, name := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := joined(1<<20, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
			golden := strings.TrimSuffix(name, ".txt") + ".want"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestLongTraceIsGivenOutInParts(t *testing.T) {
	lines := []string{"Traceback (most recent call last):"}
	for range 30 {
		lines = append(lines, `  File "x.py", line 1, in f`, "    f()")
	}
	lines = append(lines, "RecursionError: too deep")
	got := joined(500, lines...)
	if n := strings.Count(got, "part "); n < 3 || strings.Contains(got, "PLAIN") || !strings.Contains(got, "last  RecursionError: too deep") {
		t.Errorf("got\n%s", got)
	}
}

func TestWhatNeverBecomesATraceIsNotHeldForEver(t *testing.T) {
	var p tracePrinter
	j := joiner{max: 1 << 20, out: &p}
	for range 10 * maxUnproven {
		j.add([]byte("runtime: says the program"), 0, time.Time{})
	}
	if n := strings.Count(p.String(), "PLAIN"); n < 9*maxUnproven {
		t.Errorf("only %d lines of %d came out", n, 10*maxUnproven)
	}
}

// No line is lost, doubled or moved, whatever is mixed with whatever.
func FuzzJoiner(f *testing.F) {
	inputs, _ := filepath.Glob("testdata/traces/*.txt")
	for _, name := range inputs {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), 4096)
		f.Add(string(text), 50)
	}
	f.Fuzz(func(t *testing.T, text string, max int) {
		var s lineKeeper
		j := joiner{max: max, out: &s}
		var want []string
		for line := range strings.SplitSeq(text, "\n") {
			j.add([]byte(line), 0, time.Time{})
			if strings.TrimSpace(line) != "" {
				want = append(want, line)
			}
		}
		j.close()
		if !slices.Equal(s, want) {
			t.Errorf("got %q\nwant %q", []string(s), want)
		}
	})
}

// A lineKeeper keeps all lines that are not blank.
type lineKeeper []string

func (k *lineKeeper) plain(line []byte, _ int, _ time.Time) { *k = append(*k, string(line)) }

func (k *lineKeeper) trace(t trace) {
	for line := range strings.SplitSeq(string(t.text), "\n") {
		if strings.TrimSpace(line) != "" {
			*k = append(*k, line)
		}
	}
}

func BenchmarkJoinerPlainLines(b *testing.B) {
	line := []byte("2026-11-21 10:00:00,123 INFO etl.load: loaded 120 rows from file /data/in/2026/11/20.csv in 0.231 s")
	j := joiner{max: 1 << 20, out: new(nobody)}
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		j.add(line, 0, time.Time{})
	}
}

type nobody struct{}

func (*nobody) plain([]byte, int, time.Time) {}
func (*nobody) trace(trace)                  {}
