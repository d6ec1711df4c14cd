package publisher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

func noFiles(t testing.TB, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("left behind: %s", e.Name())
	}
}

func drain(t testing.TB, dir string, b *broker) publisher.DrainReport {
	t.Helper()
	report, err := publisher.Drain(within(t, limit), publisher.DrainConfig{Dir: dir, Conn: publisher.Connection{URL: b.url()}})
	if err != nil {
		t.Fatalf("drain: %v", err)
	}
	return report
}

// only returns the one run that the collector knows.
func (c *fakeCollector) only() (string, *fakeRun) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.runs) != 1 {
		c.t.Fatalf("%d runs", len(c.runs))
	}
	for id, r := range c.runs {
		return id, r
	}
	return "", nil
}

func parse(t testing.TB, line string) record.Record {
	t.Helper()
	rec, err := record.Parse([]byte(strings.TrimSuffix(line, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// complete proves that everything that was accepted is there once, in order, and
// that the numbers are exact to the end of the run.
func complete(t testing.TB, r *fakeRun, accepted []string) {
	t.Helper()
	got := map[string]bool{}
	next := map[string]int{}
	for i, l := range r.lines {
		rec := parse(t, l)
		if rec.Seq != r.seqs[i] || i > 0 && r.seqs[i] != r.seqs[i-1]+1 {
			t.Fatalf("line %d has seq %d", i, rec.Seq)
		}
		if rec.Logger == record.OwnLogger {
			continue
		}
		if rec.Msg != fmt.Sprint(next[rec.Logger]) {
			t.Fatalf("logger %s: %s, want %d", rec.Logger, rec.Msg, next[rec.Logger])
		}
		next[rec.Logger]++
		got[rec.Logger+" "+rec.Msg] = true
	}
	for _, a := range accepted {
		if !got[a] {
			t.Fatalf("%q was accepted and is not there", a)
		}
	}
	if !r.ended || r.lost != 0 || r.dropped != 0 || uint64(len(r.lines)) != r.last {
		t.Errorf("%d lines, last %d, dropped %d, lost %d, ended %v", len(r.lines), r.last, r.dropped, r.lost, r.ended)
	}
}

// kill -9 under load, with a batch in flight.
func TestKilledUnderLoad(t *testing.T) {
	for _, n := range []int{1, 50, 5000, 20000} {
		b := startBroker(t)
		c := collect(t, b, nil)
		dir := t.TempDir()
		w := start(t, "log for ever", dir, b.url())
		accepted := make([]string, n)
		for i := range accepted {
			accepted[i] = w.line()
		}
		w.kill()
		rest, _ := w.wait()
		report := drain(t, dir, b)
		if len(report.Runs) != 1 || report.Runs[0].Closed || report.Runs[0].PID != w.cmd.Process.Pid || report.Runs[0].Crash != "" {
			t.Errorf("report %+v", report)
		}
		_, r := c.only()
		complete(t, r, append(accepted, rest...))
		if report.Runs[0].Last != r.last {
			t.Errorf("report %+v, last seq %d", report, r.last)
		}
		noFiles(t, dir)
	}
}

// A process that ends without Close loses nothing either.
func TestForgottenClose(t *testing.T) {
	b := startBroker(t)
	c := collect(t, b, nil)
	dir := t.TempDir()
	w := start(t, "log and exit", dir, b.url())
	run := w.line()
	if _, st := w.wait(); !st.Success() {
		t.Fatal(st)
	}
	drain(t, dir, b)
	if r := c.run(record.Identity{Run: run}); len(r.lines) != 10 || !r.ended {
		t.Errorf("%d lines, ended %v", len(r.lines), r.ended)
	}
	noFiles(t, dir) // the empty crash output included
}

// While the owner lives, nobody takes its file; a drainer that is killed in the
// middle leaves it to the next; of two at once, one does the work.
func TestDrainers(t *testing.T) {
	b := startBroker(t)
	var mu sync.Mutex
	deaf := true
	c := collect(t, b, func(n int, _ record.Batch, _ []byte) fate {
		mu.Lock()
		defer mu.Unlock()
		if deaf {
			return loseAck // written, but nobody is told
		}
		return commit
	})
	dir := t.TempDir()
	w := start(t, "log for ever", dir, b.url())
	accepted := make([]string, 2000)
	for i := range accepted {
		accepted[i] = w.line()
	}
	if report := drain(t, dir, b); report.InUse != 1 || len(report.Runs) != 0 {
		t.Errorf("with a living owner: %+v", report)
	}
	w.kill()
	rest, _ := w.wait()
	accepted = append(accepted, rest...)

	// What the dead one had sent has arrived when the broker knows that it is gone.
	for deadline := time.Now().Add(limit); b.srv.NumClients() > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections, not the collector's alone", b.srv.NumClients())
		}
	}
	c.barrier()
	c.mu.Lock()
	before := c.messages
	c.mu.Unlock()
	d := start(t, "drain", dir, b.url())
	c.await("the drainer's first message", func() bool { return c.messages > before })
	if report := drain(t, dir, b); report.InUse != 1 {
		t.Errorf("with another drainer: %+v", report)
	}
	d.kill()
	d.wait()

	mu.Lock()
	deaf = false
	mu.Unlock()
	var wg sync.WaitGroup
	sum := make(chan int, 2)
	for range 2 {
		wg.Go(func() { sum <- len(drain(t, dir, b).Runs) })
	}
	wg.Wait()
	if a, b := <-sum, <-sum; a+b != 1 {
		t.Errorf("two drainers delivered %d and %d runs", a, b)
	}
	_, r := c.only()
	complete(t, r, accepted)
	noFiles(t, dir)
}

func TestDrainRefusesSettings(t *testing.T) {
	if _, err := publisher.Drain(t.Context(), publisher.DrainConfig{Dir: t.TempDir(), BatchCompression: "gzip"}); err == nil || !strings.Contains(err.Error(), "LOGBRAID_BATCH_COMPRESSION") {
		t.Errorf("drain with gzip: %v", err)
	}
}

func TestDrainWithDeadline(t *testing.T) {
	b := startBroker(t)
	dir := t.TempDir()
	w := start(t, "log and exit", dir, b.url())
	w.wait()
	_, err := publisher.Drain(within(t, 100*time.Millisecond), publisher.DrainConfig{Dir: dir, Conn: publisher.Connection{URL: b.url()}})
	var unacked *publisher.UnackedError
	if !errors.As(err, &unacked) || unacked.Records != 10 || unacked.Kept == "" || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("drain without a collector: %v", err)
	}
	collect(t, b, nil)
	if report := drain(t, dir, b); len(report.Runs) != 1 || report.Runs[0].Sent != 10 {
		t.Errorf("report %+v", report)
	}
}

// A starting publisher takes up what earlier runs of the same worker left, and
// only that; its own records do not wait for it.
func TestStartingPublisherDrainsItsOwn(t *testing.T) {
	b := startBroker(t)
	dir := t.TempDir()
	w := start(t, "log and exit", dir, b.url())
	run := w.line()
	w.wait()
	left(t, dir, record.Identity{App: "etl", Worker: "other", Run: "0000000000"})

	c := collect(t, b, nil)
	cfg := config(b)
	cfg.Worker, cfg.BufferDir = "child", dir
	p := open(t, cfg)
	p.Named("test").Info("hello")
	c.await("the earlier run", func() bool { r := c.runs[run]; return r != nil && r.ended })
	if r := c.run(record.Identity{Run: run}); len(r.lines) != 10 || r.subject != "logs.etl.child" {
		t.Errorf("%d lines on %s", len(r.lines), r.subject)
	}
	mustClose(t, p)
	c.check(p)
	if len(c.run(record.Identity{Run: "0000000000"}).lines) != 0 {
		t.Error("another worker's buffer was drained")
	}
}

// left makes the buffer file of a run that has ended with one record undelivered.
func left(t *testing.T, dir string, id record.Identity) {
	t.Helper()
	r, err := ring.Create(filepath.Join(dir, ring.FileName(id)), 64<<10, id, "logs")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Append([]byte(`{"time":"2026-11-21T10:00:00.000000000Z","level":"info","logger":"","msg":""`), 100); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// A run that is shorter than the delivery of what an earlier one left waits for it when it closes.
func TestCloseAwaitsTheDrain(t *testing.T) {
	b := startBroker(t)
	dir := t.TempDir()
	earlier := record.Identity{App: "etl", Worker: "w1", Run: "0000000000"}
	left(t, dir, earlier)
	lost := false
	c := collect(t, b, func(_ int, batch record.Batch, _ []byte) fate {
		if batch.Run == earlier.Run && !lost { // which takes a second until it is sent again
			lost = true
			return loseMessage
		}
		return commit
	})
	cfg := config(b)
	cfg.Worker, cfg.BufferDir = earlier.Worker, dir
	publisher.SetDrainPatience(&cfg, limit)
	p := open(t, cfg)
	p.Named("test").Info("hello")
	mustClose(t, p)
	c.check(p)
	if r := c.run(earlier); len(r.lines) != 1 || !r.ended {
		t.Errorf("%d lines of the earlier run, ended: %v", len(r.lines), r.ended)
	}
	noFiles(t, dir)
}

// It waits no longer than Close may, nor for a file that nobody takes, and what it leaves stays for the next start.
func TestCloseGivesTheDrainUp(t *testing.T) {
	for name, c := range map[string]struct {
		patience time.Duration
		cancel   bool
	}{
		"the time of Close is over": {limit, true},
		"nobody takes it":           {10 * time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t)
			dir := t.TempDir()
			earlier := record.Identity{App: "etl", Worker: "w1", Run: "0000000000"}
			left(t, dir, earlier)
			var taken atomic.Bool
			coll := collect(t, b, func(_ int, batch record.Batch, _ []byte) fate {
				if batch.Run == earlier.Run && !taken.Load() {
					return loseMessage
				}
				return commit
			})
			cfg := config(b)
			cfg.Worker, cfg.BufferDir = earlier.Worker, dir
			publisher.SetDrainPatience(&cfg, c.patience)
			diagnostics := new(bytes.Buffer)
			cfg.Diagnostics = slog.New(slog.NewTextHandler(diagnostics, nil))
			p := open(t, cfg)
			p.Named("test").Info("hello")
			coll.await("the earlier run's record", func() bool {
				return slices.ContainsFunc(coll.batches, func(b record.Batch) bool { return b.Run == earlier.Run })
			})
			ctx, cancel := context.WithCancel(within(t, limit))
			defer cancel()
			if c.cancel {
				go func() {
					<-p.SenderEnded()
					cancel()
				}()
			}
			if err := p.Close(ctx); err != nil {
				t.Errorf("close, with all of its own delivered: %v", err)
			}
			mustClose(t, p) // returns when everything has ended
			coll.check(p)
			if !strings.Contains(diagnostics.String(), "kept for the next start") {
				t.Errorf("diagnostics: %s", diagnostics)
			}
			taken.Store(true)
			if report := drain(t, dir, b); len(report.Runs) != 1 || report.InUse != 0 || report.Runs[0].Identity != earlier {
				t.Errorf("drained afterwards: %+v", report)
			}
			noFiles(t, dir)
		})
	}
}

// The drops of a process that was killed before it could tell of them.
func TestKilledWhileShedding(t *testing.T) {
	b := startBroker(t)
	dir := t.TempDir()
	w := start(t, "shed", dir, b.url())
	var dropped uint64
	if _, err := fmt.Sscan(w.line(), &dropped); err != nil || dropped == 0 {
		t.Fatal(dropped, err)
	}
	w.kill()
	w.wait()
	c := collect(t, b, nil)
	report := drain(t, dir, b)
	_, r := c.only()
	told, records := r.told(t)
	if told != dropped || r.dropped != dropped || records == 0 || r.last != 5000+uint64(records) || !r.ended || r.lost != 0 || report.Runs[0].Dropped != dropped {
		t.Errorf("dropped %d, told of %d in %d records; last %d, dropped %d, lost %d, ended %v; %+v",
			dropped, told, records, r.last, r.dropped, r.lost, r.ended, report)
	}
}

func TestCrashOutput(t *testing.T) {
	for _, c := range []struct {
		name, role, trace string
		msg, has          string
	}{
		{"panic", "panic", "single", "panic: the worker's last words", "goroutine "},
		{"all goroutines", "panic", "all", "panic: the worker's last words", "created by"},
		{"fatal error", "map", "single", "fatal error: concurrent use of a map in github.com/logbraid/logbraid/pkg/publisher_test.writeMapConcurrently.func1", "internal/runtime/maps"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := startBroker(t)
			coll := collect(t, b, nil)
			dir := t.TempDir()
			w := start(t, c.role, dir, b.url(), "GOTRACEBACK="+c.trace)
			run := w.line()
			if _, st := w.wait(); st.ExitCode() != 2 {
				t.Fatalf("the child ended with %v", st)
			}
			report, err := publisher.Drain(within(t, limit), publisher.DrainConfig{
				Dir: dir, Conn: publisher.Connection{URL: b.url()},
				Annotate: func(id record.Identity, line *record.Line) {
					if id.Run != run {
						t.Errorf("annotate %+v", id)
					}
					line.Int("exit_status", 2)
				},
			})
			if err != nil || len(report.Runs) != 1 || report.Runs[0].Crash != c.msg {
				t.Fatalf("drain: %+v, %v", report, err)
			}
			id, r := coll.only()
			rec := parse(t, r.lines[len(r.lines)-1])
			status, _ := rec.Field("exit_status")
			if id != run || len(r.lines) != 2 || !r.ended || r.lost != 0 || rec.Level != record.Fatal || rec.Msg != c.msg ||
				rec.Worker != "child" || rec.Seq != 2 || string(status) != "2" ||
				!strings.Contains(rec.Stack, "goroutine ") || !strings.Contains(rec.Stack, c.has) {
				t.Errorf("%d lines, the last: %s", len(r.lines), r.lines[len(r.lines)-1])
			}
			noFiles(t, dir)
		})
	}
}

// A drainer that sends the crash record and dies before it can remove the files
// is followed by one that sends the same under the same seq.
func TestCrashRecordOnce(t *testing.T) {
	b := startBroker(t)
	var mu sync.Mutex
	deafToEnd := true
	c := collect(t, b, func(_ int, batch record.Batch, _ []byte) fate {
		mu.Lock()
		defer mu.Unlock()
		if deafToEnd && batch.End {
			return loseMessage
		}
		return commit
	})
	dir := t.TempDir()
	w := start(t, "panic", dir, b.url())
	w.line()
	w.wait()
	d := start(t, "drain", dir, b.url())
	c.await("the end of the run", func() bool { return len(c.batches) > 0 && c.batches[len(c.batches)-1].End })
	d.kill()
	d.wait()
	mu.Lock()
	deafToEnd = false
	mu.Unlock()
	drain(t, dir, b)
	if _, r := c.only(); len(r.lines) != 2 || !r.ended || r.last != 2 {
		t.Errorf("%d lines, last %d, ended %v", len(r.lines), r.last, r.ended)
	}
}

// Damage costs the records that it hit, is reported, and the file is kept.
func TestDrainDamaged(t *testing.T) {
	b := startBroker(t)
	dir := t.TempDir()
	w := start(t, "log and exit", dir, b.url())
	w.wait()
	files, err := filepath.Glob(filepath.Join(dir, "*"+ring.Suffix))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(text), `"msg":"4"`)
	text[at+7] ^= 1
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x-1.ring"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := collect(t, b, nil)
	report, err := publisher.Drain(within(t, limit), publisher.DrainConfig{Dir: dir, Conn: publisher.Connection{URL: b.url()}})
	if !errors.Is(err, ring.ErrUnreadable) || len(report.Unreadable) != 1 {
		t.Errorf("the file that is no buffer: %+v, %v", report, err)
	}
	if len(report.Runs) != 1 || report.Runs[0].Damage != "1 records damaged" {
		t.Fatalf("report %+v", report)
	}
	if _, err := os.Stat(report.Runs[0].SetAside); err != nil {
		t.Errorf("the damaged file: %v", err)
	}
	if _, r := c.only(); len(r.lines) != 9 || r.lost != 1 || r.last != 10 || !r.ended {
		t.Errorf("%d lines, lost %d, last %d, ended %v", len(r.lines), r.lost, r.last, r.ended)
	}
	if report := drain(t, dir, b); len(report.Runs) != 0 {
		t.Errorf("drained again: %+v", report)
	}
}
