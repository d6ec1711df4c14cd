//go:build unix

package faults

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// Row 14: the journal's end is cut, flipped or followed by garbage. The files and the run table are what they were: 0L0D0R0T.
func TestFault14JournalTail(t *testing.T) { both(t, journalTail) }

func journalTail(t *testing.T, delivery string) {
	x := makeWreck(t, delivery)
	for i, name := range journals(t, x.logs) {
		journal := filepath.Base(name)
		in := func(f func([]byte) []byte) func(logs, buffer string) {
			return func(logs, _ string) { change(t, filepath.Join(logs, ".logbraid", journal), f) }
		}
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", journal, info.Size())
		for n := 1 + i; n <= 200 && n <= int(info.Size()); n += x.every(3) {
			x.recover(t, in(func(b []byte) []byte { return b[:len(b)-n] })).untouched(t, fmt.Sprintf("%s cut by %d bytes", journal, n))
			r := x.recover(t, in(func(b []byte) []byte { b[len(b)-n] ^= 0x55; return b }))
			what := fmt.Sprintf("%s, byte %d from the end flipped", journal, n)
			r.untouched(t, what)
			if r.damage == "" {
				t.Errorf("%s: nothing is reported", what)
			}
		}
		for what, g := range garbage {
			r := x.recover(t, in(func(b []byte) []byte { return append(b, g...) }))
			r.untouched(t, journal+" with "+what+" behind it")
			if what == "garbage" && r.damage == "" { // the others a crash may leave
				t.Errorf("%s with %s behind it: nothing is reported", journal, what)
			}
		}
		r := x.recover(t, in(func([]byte) []byte { return nil }))
		r.untouched(t, journal+" cut to nothing")
		if r.damage == "" {
			t.Errorf("%s cut to nothing: nothing is reported", journal)
		}
	}
}

// Row 15: a bit flips in the middle of the journal.
func TestFault15JournalMiddle(t *testing.T) { both(t, journalMiddle) }

func journalMiddle(t *testing.T, delivery string) {
	x := makeWreck(t, delivery)
	for _, name := range journals(t, x.logs) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < int(info.Size()); at += x.every(max(1, int(info.Size())/60)) {
			r := x.recover(t, func(logs, _ string) {
				change(t, filepath.Join(logs, ".logbraid", filepath.Base(name)), func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b })
			})
			what := fmt.Sprintf("%s, a bit of byte %d flipped", filepath.Base(name), at)
			r.untouched(t, what)
			if r.damage == "" {
				t.Errorf("%s: nothing is reported", what)
			}
		}
	}
}

// Row 15: both copies of the journal are gone or unreadable. The run table comes from the log files themselves, which is reported, and
// nothing is lost: neither what is in the files nor what the dead worker's buffer still holds.
func TestFault15BothJournalsGone(t *testing.T) { both(t, bothJournalsGone) }

func bothJournalsGone(t *testing.T, delivery string) {
	x := makeWreck(t, delivery)
	for what, deed := range map[string]func(journal string) error{
		"removed": os.Remove,
		"emptied": func(journal string) error { return os.Truncate(journal, 0) },
		"zeroed": func(journal string) error {
			change(t, journal, func(b []byte) []byte { clear(b); return b })
			return nil
		},
	} {
		r := x.recover(t, func(logs, _ string) {
			for _, journal := range journals(t, logs) {
				if err := deed(journal); err != nil {
					t.Fatal(err)
				}
			}
		})
		r.untouched(t, "both journals "+what)
		if r.damage == "" {
			t.Errorf("both journals %s: nothing is reported", what)
		}
	}
}

// Row 15, twofold: both copies have lost the same entry. What was committed with it may be lost, since it looks like a power cut, but
// then the log tells exactly how much.
func TestFault15BothJournalsDamaged(t *testing.T) { both(t, bothJournalsDamaged) }

func bothJournalsDamaged(t *testing.T, delivery string) {
	x := makeWreck(t, delivery)
	for what, f := range map[string]func([]byte) []byte{
		"cut in half":           func(b []byte) []byte { return b[:len(b)/2] },
		"flipped in the middle": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"flipped at the end":    func(b []byte) []byte { b[len(b)-5] ^= 1; return b },
	} {
		r := x.recover(t, func(logs, _ string) {
			for _, journal := range journals(t, logs) {
				change(t, journal, f)
			}
		})
		what = "both journals " + what
		toldExactly(t, what, r.reports[0])
	}
}

// Row 14: bytes that were never committed stand behind a log file's end: they are cut off, and nothing else happens.
func TestFault14LogTailGarbage(t *testing.T) { both(t, logTailGarbage) }

func logTailGarbage(t *testing.T, delivery string) {
	x := makeWreck(t, delivery)
	for _, log := range []string{"app.jsonl", "app.log"} {
		for what, g := range garbage {
			x.recover(t, func(logs, _ string) {
				change(t, filepath.Join(logs, log), func(b []byte) []byte { return append(b, g...) })
			}).untouched(t, log+" with "+what+" behind it")
		}
	}
}

// Row 14 and 15: a log file has lost committed bytes, or holds others. That is reported, the file is kept aside as it is, and the
// log goes on in a new one; what is missing is missing only there: the two together, but for a flipped bit, are the log.
func TestFault14LogDamaged(t *testing.T) { both(t, logDamaged) }

func logDamaged(t *testing.T, delivery string) {
	x := makeWreck(t, delivery)
	for _, log := range []string{"app.jsonl", "app.log"} {
		for n := 1; n <= 300; n += x.every(9) {
			for _, how := range []string{"cut", "flipped"} {
				var broken []byte
				r := x.recover(t, func(logs, _ string) {
					change(t, filepath.Join(logs, log), func(b []byte) []byte {
						if how == "cut" {
							b = b[:len(b)-n]
						} else {
							b[len(b)-n] ^= 0x04
						}
						broken = bytes.Clone(b)
						return b
					})
				})
				what := fmt.Sprintf("%s %s at %d from its end", log, how, n)
				r.reported(t, what)
				if r.damage == "" {
					t.Errorf("%s: nothing is reported", what)
				}
				kept, err := filepath.Glob(filepath.Join(r.dir, log+".damaged-*"))
				if err != nil || len(kept) != 1 {
					t.Errorf("%s: kept aside: %v, %v", what, kept, err)
					continue
				}
				if b, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(b, broken) {
					t.Errorf("%s: %s is not what was found", what, kept[0])
				}
				if how == "flipped" && log == "app.jsonl" {
					x.together(t, r.dir, kept[0], what)
				}
			}
		}
	}
}

// together has the checker read what was put aside, with the bit flipped back, and what came after it as one log.
func (x *wreck) together(t *testing.T, dir, aside, what string) {
	t.Helper()
	original, err := os.ReadFile(filepath.Join(x.logs, "app.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(aside, original, 0o644); err != nil {
		t.Fatal(err)
	}
	accepted, err := checker.ReadLedgers(x.ledgers)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "app.jsonl")
	d := checker.Destination{Path: path, Files: []string{aside, path}}
	report, err := checker.Check(accepted, d)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err != nil {
		t.Errorf("%s, with what was put aside: %v", what, err)
	}
	harness.Agree(t, d, report)
}

// Rows 14 and 15: the buffer of a dead worker is cut or a bit of it flips. Never a crash, never a record twice or changed; what can
// no longer be read is reported.
func TestFault15Buffer(t *testing.T) { both(t, bufferDamaged) }

func bufferDamaged(t *testing.T, delivery string) {
	x := makeWreck(t, delivery)
	rings, err := filepath.Glob(filepath.Join(x.buffer, "*.ring"))
	if err != nil || len(rings) != 1 {
		t.Fatalf("%v, %v", rings, err)
	}
	name := filepath.Base(rings[0])
	whole, err := os.ReadFile(rings[0])
	if err != nil {
		t.Fatal(err)
	}
	in := func(f func([]byte) []byte) func(logs, buffer string) {
		return func(_, buffer string) { change(t, filepath.Join(buffer, name), f) }
	}
	r := x.recover(t, func(string, string) {})
	r.untouched(t, "the undamaged buffer")
	if r.damage != "" {
		t.Errorf("the undamaged buffer: reported: %s", r.damage)
	}
	used := 0
	for at := 0; at < len(whole); at++ {
		if whole[at] != 0 {
			used++
		}
	}
	step := x.every(max(1, used/150))
	for at, n := 0, 0; at < len(whole); at++ {
		if whole[at] == 0 && at%4096 != 17 {
			continue
		}
		if n++; n%step != 0 {
			continue
		}
		x.recover(t, in(func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b })).reported(t, fmt.Sprintf("buffer, a bit of byte %d flipped", at))
	}
	for _, n := range []int{0, 1, 100, 4096, 8192, len(whole) / 2, len(whole) - 4096, len(whole) - 1} {
		x.recover(t, in(func(b []byte) []byte { return b[:n] })).reported(t, fmt.Sprintf("buffer cut to %d bytes", n))
	}
}

// Row 15: a bit flips in the store of the stream while the broker is down. What the broker cannot read any more and nobody had read is
// told as lost, to the record; what the log holds is not written again, and nothing else is wrong.
func TestFault15StreamStore(t *testing.T) {
	x := makeWreck(t, "stream")
	var blocks []string
	err := filepath.WalkDir(x.store, func(path string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".blk") && strings.Contains(path, "LOGS") {
			blocks = append(blocks, path)
		}
		return err
	})
	if err != nil || len(blocks) == 0 {
		t.Fatalf("%v, %v", blocks, err)
	}
	for _, path := range blocks {
		name, err := filepath.Rel(x.store, path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < int(info.Size()); at += x.every(max(1, int(info.Size())/150)) {
			r := x.recoverAll(t, func(_, _, store string) {
				change(t, filepath.Join(store, name), func(b []byte) []byte { b[at] ^= 1 << (at % 8); return b })
			})
			what := fmt.Sprintf("%s, a bit of byte %d of %d flipped", name, at, info.Size())
			toldExactly(t, what, r.reports[0])
		}
	}
}

// toldExactly: what is lost is told to the record, and nothing else is wrong.
func toldExactly(t *testing.T, what string, report *checker.Report) {
	t.Helper()
	if lost := report.Counts[checker.Lost]; uint64(lost) != report.GapLost {
		t.Errorf("%s: %d lost, %d told", what, lost, report.GapLost)
	}
	for kind, n := range report.Counts {
		if kind != checker.Lost && kind != checker.Accounting {
			t.Errorf("%s: %d %s: %v", what, n, kind, report.Err())
		}
	}
}
