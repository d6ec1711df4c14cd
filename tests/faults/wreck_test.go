//go:build unix

package faults

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/collector"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// wreck is what is left when everything has been killed: log files, journal, the buffer of a dead worker with records that nobody
// has acknowledged, and in stream delivery a stream with some that nobody has read.
type wreck struct {
	t                     *testing.T
	delivery              string
	broker                *harness.Broker // none in stream delivery: each recovery has its own, on a copy of the store
	store                 string          // of the stream, if there is one
	logs, buffer, ledgers string
}

func makeWreck(t *testing.T, delivery string) *wreck {
	t.Helper()
	x := &wreck{t: t, delivery: delivery, logs: t.TempDir(), buffer: t.TempDir()}
	if delivery == "stream" {
		x.store = t.TempDir()
	}
	r := newRig(t, delivery, setup{broker: harness.BrokerSpec{Store: x.store}, collector: harness.CollectorSpec{Dir: x.logs}})
	x.broker, x.ledgers = r.broker, r.ledgers
	w := r.worker("w1", harness.WorkerSpec{Payload: 60}, "LOGBRAID_BUFFER=64KiB", "LOGBRAID_BUFFER_DIR="+x.buffer)
	for range 5 {
		w.Log(20)
		r.written(w)
	}
	r.collector.Kill()
	if delivery == "stream" {
		w.Log(5)
		w.Flush() // into the stream, and nowhere else
		x.broker.Kill()
	}
	w.Log(10)
	w.Kill()
	return x
}

// every is the step between two damages: the race detector makes each recovery ten times as long, a broker of its own five times.
func (x *wreck) every(step int) int {
	if harness.Race {
		step *= 7
	}
	if x.delivery == "stream" {
		step *= 5
	}
	return step
}

// recovered is how things stand after a new collector and a drain.
type recovered struct {
	dir     string
	damage  string // what was reported as damage, by anybody
	reports []*checker.Report
	failed  error // of the drain
}

// recover copies the wreck, lets damage change the copy, starts a collector on it, drains the buffer, and has the checker look at what
// was written.
func (x *wreck) recover(t *testing.T, damage func(logs, buffer string)) *recovered {
	t.Helper()
	return x.recoverAll(t, func(logs, buffer, _ string) { damage(logs, buffer) })
}

// recoverAll is recover for damage to the store of the stream, too.
func (x *wreck) recoverAll(t *testing.T, damage func(logs, buffer, store string)) *recovered {
	t.Helper()
	r := &recovered{dir: filepath.Join(t.TempDir(), "logs")}
	buffer := filepath.Join(t.TempDir(), "buffer")
	copyTree(t, x.logs, r.dir)
	copyTree(t, x.buffer, buffer)
	broker := x.broker
	if x.store == "" {
		damage(r.dir, buffer, "")
	} else {
		store := filepath.Join(t.TempDir(), "store")
		copyTree(t, x.store, store)
		damage(r.dir, buffer, store)
		broker = harness.StartBroker(t, harness.BrokerSpec{Store: store})
		defer broker.Kill()
	}

	said := &lockedBuffer{}
	log := slog.New(slog.NewTextHandler(said, nil))
	handlers, logs := harness.Logs(r.dir)
	conn := natsconn.Config{URL: broker.URL}
	ctx, cancel := context.WithTimeout(context.Background(), harness.Guard)
	defer cancel()
	c, err := collector.Start(ctx, collector.Config{Dir: r.dir, Handlers: handlers, FSync: "never", NATS: conn, Delivery: x.delivery, Diagnostics: log})
	if err != nil {
		t.Fatalf("the collector does not start: %v", err)
	}
	report, err := publisher.Drain(ctx, publisher.DrainConfig{Dir: buffer, Conn: conn, Delivery: x.delivery, Diagnostics: log})
	r.failed = err
	if err := c.CatchUp(ctx); err != nil {
		t.Fatalf("catch up: %v\n%s", err, said)
	}
	if err := c.Close(ctx); err != nil {
		t.Fatalf("close collector: %v", err)
	}
	for _, run := range report.Runs {
		r.damage += run.Damage
	}
	r.damage += strings.Join(report.Unreadable, " ")
	accepted, err := checker.ReadLedgers(x.ledgers)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range logs {
		c, err := checker.Check(accepted, d)
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		harness.Agree(t, d, c)
		r.reports = append(r.reports, c)
	}
	for line := range strings.Lines(said.String()) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			r.damage += line
		}
	}
	return r
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// untouched says that not a record is missing, and nothing else is wrong.
func (r *recovered) untouched(t *testing.T, what string) {
	t.Helper()
	for _, c := range r.reports {
		if err := c.Err(); err != nil {
			t.Errorf("%s: %v\nreported: %s", what, err, r.damage)
		}
	}
	if r.failed != nil {
		t.Errorf("%s: drain: %v", what, r.failed)
	}
}

// reported says that what is missing was reported, and that nothing else is wrong.
func (r *recovered) reported(t *testing.T, what string) {
	t.Helper()
	for _, c := range r.reports {
		for kind, n := range c.Counts {
			if kind != checker.Lost && kind != checker.Accounting {
				t.Errorf("%s: %d %s: %v", what, n, kind, c.Err())
			}
		}
		if c.Err() != nil && r.damage == "" {
			t.Errorf("%s: nothing is reported, but: %v", what, c.Err())
		}
	}
}

// change applies a damage to a file.
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

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatalf("copy %s: %v", from, err)
	}
}

// journals are the files in which the checkpoint stands.
func journals(t *testing.T, logs string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(logs, ".logbraid", "journal*"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no journal in %s: %v", logs, err)
	}
	sort.Strings(found)
	return found
}

var garbage = map[string][]byte{
	"zeros": make([]byte, 4096), "a newline": []byte("\n"), "half a line": []byte(`{"time":"2026-11-21T10:00:00.12345`),
	"a whole forged line": []byte(`{"time":"2026-11-21T10:00:00.123456789Z","level":"info","logger":"x","msg":"forged","app":"etl","worker":"w1","run":"AAAAAAAAAA","seq":1}` + "\n"),
	"0xff":                bytes.Repeat([]byte{0xff}, 100),
	"a brace":             []byte("{"),
	"an empty object":     []byte("{}\n"),
	"noise with newlines": []byte("\xff\xfe\n\n\x00"),
	"garbage":             []byte("garbage"),
}

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
