//go:build unix

package faults

import (
	"bytes"
	"context"
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
	// Of each file a collector that starts compares what came with the last commit. That may be a single record, so each is longer, as
	// JSON and as text, than TestFault14LogDamaged goes back from the end of a file.
	w := r.worker("w1", harness.WorkerSpec{Payload: 400}, "LOGBRAID_BUFFER=64KiB", "LOGBRAID_BUFFER_DIR="+x.buffer)
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
