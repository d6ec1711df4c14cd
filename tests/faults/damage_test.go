//go:build unix

package faults

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

// change applies a damage to a file. That of the unit tests goes through every byte; here a few, through a restart of the process.
func change(t *testing.T, path string, how func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, how(b), 0o644); err != nil {
		t.Fatal(err)
	}
}

func cutBy(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:max(len(b)-n, 0)] } }

func flipAt(place float64) func([]byte) []byte {
	return func(b []byte) []byte {
		b[int(place*float64(len(b)-1))] ^= 0x10
		return b
	}
}

func add(tail string) func([]byte) []byte {
	return func(b []byte) []byte { return append(b, tail...) }
}

// Row 14: what a crash leaves behind the last commit, in the log files: half a line, a whole line that was never acknowledged, zero
// bytes, noise. Cut off at the start; 0L0D0R0T.
func TestFault14LogFileTail(t *testing.T) {
	r := newRig(t, harness.BrokerSpec{})
	w := r.worker("w1", steady)
	for _, tail := range []string{"{", `{"time":"2026-11-21T`, "\n", "{}\n", strings.Repeat("\x00", 5000), "\xff\xfe\n\n\x00"} {
		w.Log(200)
		w.Flush()
		r.collector.Kill()
		for _, d := range r.logs {
			change(t, d.Path, add(tail))
		}
		r.collector.Restart()
	}
	w.Log(200)
	r.finish(w)
	r.check()
}

// Rows 14 and 15: the journal is cut, has garbage behind it, or a flipped bit anywhere. The collector starts, says so where it
// was not just a crash, and knows what it had acknowledged: 0L0D0R0T.
func TestFault15Journal(t *testing.T) {
	r := newRig(t, harness.BrokerSpec{})
	w := r.worker("w1", steady)
	journal := filepath.Join(r.collector.Dir, ".logbraid", "journal")
	damages := map[string]func([]byte) []byte{"cut by 1": cutBy(1), "cut by 30": cutBy(30), "cut to nothing": cutBy(1 << 30), "garbage behind": add("garbage"), "zeros behind": add(strings.Repeat("\x00", 4096))}
	for i := range 4 {
		damages[fmt.Sprintf("flipped at %d/4", i)] = flipAt(float64(i) / 4)
	}
	told := 0
	for what, damage := range damages {
		w.Log(100)
		w.Flush()
		r.collector.Kill()
		change(t, journal, damage)
		r.collector.Restart()
		// Without its last entry it is what a crash may leave, and there is a copy of it. Nothing at all is not.
		if !strings.HasPrefix(what, "cut by") && what != "zeros behind" {
			told++
		}
		n := 0
		for line := range strings.Lines(r.collector.Stderr()) {
			if strings.Contains(line, "journal damaged") {
				n++
			}
		}
		if n != told {
			t.Fatalf("%s: the collector speaks of damage %d times, not %d:\n%s", what, n, told, r.collector.Stderr())
		}
		w.BeginLog(100)
		w.WaitLogged()
	}
	r.finish(w)
	r.check()
}

// Row 15: a bit is flipped in the end of a log file that was committed. The file is put aside as it is, the log goes on in a new one,
// and in the two together 0L0D0R0T.
func TestFault15LogFile(t *testing.T) {
	r := newRig(t, harness.BrokerSpec{})
	w := r.worker("w1", steady)
	w.Log(500)
	w.Flush()
	r.collector.Kill()
	path := r.logs[0].Path
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change(t, path, func(b []byte) []byte { b[len(b)-100] ^= 1; return b })
	damaged, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r.collector.Restart()
	w.Log(500)
	r.finish(w)
	aside, err := filepath.Glob(path + ".damaged-*")
	if err != nil || len(aside) != 1 {
		t.Fatalf("put aside: %v, %v", aside, err)
	}
	kept, err := os.ReadFile(aside[0])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, damaged) {
		t.Error("what was put aside is not what was found")
	}
	if err := os.WriteFile(aside[0], original, 0o644); err != nil { // for the checker, without the flipped bit
		t.Fatal(err)
	}
	r.logs[0].Files = []string{aside[0], path}
	r.check()
}
