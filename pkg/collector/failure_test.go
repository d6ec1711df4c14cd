package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/pkg/record"
)

// A commit that fails is as if it had never been: nothing is answered, the table and the files are as
// before; what publishers do not send again is kept; and it goes on by itself.
func TestCommitFails(t *testing.T) {
	for _, policy := range []string{"never", "1s", "always"} {
		t.Run(policy, func(t *testing.T) {
			fs := newFaultFS()
			said := &lines{}
			r := newRigWith(t, Config{
				Dir: t.TempDir(), Handlers: []string{"json://DIR/app.jsonl", "file://DIR/app.log"}, FSync: policy, fs: fs,
				Diagnostics: slog.New(slog.NewTextHandler(said, nil)),
			})
			p := newPublisher("etl", "w1")
			p.log(6, record.Info, "l", "a")
			r.give(p, 1, 2)
			r.giveForeign("logs.etl.x", "before")
			r.step()
			r.settled()
			r.answers()
			good := r.stats()
			log, text := r.read("app.jsonl"), r.read("app.log")

			fs.breakWith(syscall.ENOSPC)
			r.give(p, 3, 4)
			r.giveForeign("logs.etl.x", "in between")
			r.notes.say(record.Info, "said in between", nil)
			r.step()
			r.give(p, 3, 6) // it may have grown meanwhile
			r.giveForeign("logs.etl.x", "later")
			r.step()
			r.settled()
			if got := r.answers(); len(got) != 0 {
				t.Fatalf("answered %+v", got)
			}
			s := r.stats()
			if !errors.Is(s.Stalled, syscall.ENOSPC) || s.Totals != good.Totals || s.Foreign != 1 || s.Failures == 0 {
				t.Errorf("stats %+v", s)
			}
			if got := r.read("app.jsonl"); !strings.HasPrefix(got, log) {
				t.Errorf("what was committed has changed:\n%s", got)
			}
			r.writer.stall(r.flight.broken())
			r.resume() // in vain
			if r.answers() != nil || r.stats().Stalled == nil {
				t.Error("resumed on a full disk")
			}

			fs.mend()
			if r.retry == nil {
				r.writer.stall(r.flight.broken())
			}
			r.resume()
			r.settled()
			r.give(p, 3, 6)
			r.step()
			r.settled()
			if got := r.answers(); len(got) != 1 || got[0].Seq != 6 {
				t.Errorf("answers %+v", got)
			}
			all := r.read("app.jsonl")
			if got := ofRun(all, p.id.Run); got != p.text(1, 2, 3, 4, 5, 6) {
				t.Errorf("file:\n%s", got)
			}
			for _, once := range []string{`"before"`, `"in between"`, `"later"`, `"said in between"`, `"could not write the log"`} {
				if n := strings.Count(all, once); n != 1 {
					t.Errorf("%s is in the log %d times", once, n)
				}
			}
			if lines := strings.Count(r.read("app.log"), "\n"); lines != strings.Count(all, "\n") || !strings.HasPrefix(r.read("app.log"), text) {
				t.Errorf("the text has %d lines", lines)
			}
			checkSeqs(t, all)
			if s := r.stats(); s.Stalled != nil || s.Written != 6 || s.Foreign != 3 {
				t.Errorf("stats %+v", s)
			}
			if got := said.String(); strings.Count(got, "cannot write the log") != 1 || strings.Count(got, "writing the log again") != 1 {
				t.Errorf("diagnostics:\n%s", got)
			}
		})
	}
}

// settled waits until no commit is under way.
func (r *rig) settled() {
	for !r.flight.empty() && r.flight.broken() == nil {
		<-r.flight.changed
	}
}

// checkSeqs checks that the seqs of every run in a whole log are 1, 2, 3, ...
func checkSeqs(t *testing.T, text string) {
	t.Helper()
	last := map[string]uint64{}
	for line := range strings.Lines(text) {
		tail, ok := record.ScanTail([]byte(line))
		if !ok {
			t.Fatalf("no line of ours: %s", line)
		}
		if run := string(tail.Run); tail.Seq != last[run]+1 {
			t.Errorf("run %s (%s/%s): %d after %d", run, tail.App, tail.Worker, tail.Seq, last[run])
		} else {
			last[run] = tail.Seq
		}
	}
}

// With FSYNC=always the writer goes on while the disk works; a sync that fails takes back what was written
// after it as well.
func TestFailureWhileOthersAreUnderWay(t *testing.T) {
	fs := newFaultFS()
	r := newRigWith(t, Config{Dir: t.TempDir(), Handlers: []string{"json://DIR/app.jsonl"}, FSync: "always", fs: fs})
	p := newPublisher("etl", "w1")
	p.log(30, record.Info, "l", "a")
	r.give(p, 1, 3)
	r.step()
	r.settled()
	r.answers()

	gate := make(chan struct{})
	fs.gate.Store(&gate)
	for first := uint64(4); first <= 16; first += 3 {
		r.give(p, first, first+2)
		r.step()
	}
	r.give(p, 4, 6) // a resend: what it asks for is written, but not yet true for ever
	r.step()
	if got := r.answers(); len(got) != 0 {
		t.Errorf("answered before the disk had it: %+v", got)
	}
	if r.table.runs[p.id.Run].now.last != 18 || r.stats().Written != 3 {
		t.Errorf("%+v, %+v", r.table.runs[p.id.Run].now, r.stats().Totals)
	}
	fs.breakWith(syscall.EIO)
	fs.gate.Store(nil)
	close(gate)
	r.settled()
	for r.flight.broken() == nil {
		<-r.flight.changed
	}
	fs.mend()
	r.stall(r.flight.broken())
	r.resume()
	r.settled()
	if now := r.table.runs[p.id.Run].now; now.last != 3 {
		t.Errorf("the table is at %+v", now)
	}
	if got := r.answers(); len(got) != 0 {
		t.Errorf("answered %+v", got)
	}
	r.give(p, 4, 30)
	r.step()
	r.settled()
	all := r.read("app.jsonl")
	if got := r.answers(); len(got) != 1 || got[0].Seq != 30 || strings.Count(ofRun(all, p.id.Run), "\n") != 30 {
		t.Errorf("answers %+v, file:\n%s", got, all)
	}
	checkSeqs(t, all)
}

// The same through a real server, the writer's goroutine and its timers.
func TestDiskFullAndBack(t *testing.T) {
	b := startBroker(t)
	fs := newFaultFS()
	dir := t.TempDir()
	c := b.start(t, Config{Dir: dir, fs: fs})
	p := b.publisher(t, "etl", "w1")
	p.log(3, record.Info, "l", "a")
	p.send()

	fs.breakWith(syscall.ENOSPC)
	p.log(3, record.Info, "l", "b")
	batch, payload := p.batch(4, 6)
	m := &nats.Msg{Subject: p.subject, Data: payload, Header: nats.Header{record.HeaderName: {header(batch)}}}
	b.publish(t, "logs.etl.x", "foreign")
	for n := 0; n < 3 || c.Stats().Stalled == nil && n < 1000; n++ { // as a publisher does
		if _, err := b.nc.RequestMsg(m, 100*time.Millisecond); err == nil {
			t.Fatal("answered on a full disk")
		}
	}
	if s := c.Stats(); s.Stalled == nil || s.Written != 3 {
		t.Errorf("stats %+v", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), hangs)
	defer cancel()
	if err := c.Reopen(ctx); errors.Is(err, context.DeadlineExceeded) {
		t.Error("a request hangs while nothing can be written")
	}
	fs.mend()
	if _, err := b.nc.RequestMsg(m, hangs); err != nil {
		t.Fatal(err)
	}
	closeNow(t, c)
	r := rig{t: t, dir: dir}
	all := r.read("app.jsonl")
	if ofRun(all, p.id.Run) != p.text(1, 2, 3, 4, 5, 6) || strings.Count(all, `"foreign"`) != 2 {
		t.Errorf("file:\n%s", all)
	}
	checkSeqs(t, all)
}

// What a look at the files finds is a failure like that of a commit: the collector stalls, opens everything anew, and
// goes on, though nobody logs anything. Without that, a rotation that has failed once fails until the next message.
func TestFailureFoundByLooking(t *testing.T) {
	b := startBroker(t)
	t.Run("directory gone", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "logs")
		c := b.start(t, Config{Dir: dir})
		p := b.publisher(t, "etl", "w1")
		p.log(1, record.Info, "l", "a")
		p.send()
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		r := rig{t: t, dir: dir}
		until(t, "a new log that says why", func() bool { return strings.Contains(r.read("app.jsonl"), "could not write the log") })
		until(t, "the end of the stall", func() bool { return c.Stats().Stalled == nil })
		if s := c.Stats(); s.Failures == 0 {
			t.Errorf("stats %+v", s)
		}
		p.log(1, record.Info, "l", "b")
		p.send()
		closeNow(t, c)
		if got := ofRun(r.read("app.jsonl"), p.id.Run); got != p.text(2) {
			t.Errorf("file:\n%s", got)
		}
	})
	t.Run("rotation fails", func(t *testing.T) {
		fs := newFaultFS()
		dir := t.TempDir()
		c := b.start(t, Config{Dir: dir, fs: fs})
		p := b.publisher(t, "etl", "w1")
		p.log(1, record.Info, "l", "a")
		p.send()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		fs.breakWith(syscall.EIO)
		if err := c.Rotate(ctx); !errors.Is(err, syscall.EIO) {
			t.Fatalf("rotate: %v", err)
		}
		fs.mend()
		until(t, "a rotation", func() bool { return c.Rotate(ctx) == nil })
		p.log(1, record.Info, "l", "b")
		p.send()
		closeNow(t, c)
		r := rig{t: t, dir: dir}
		rotated, err := filepath.Glob(filepath.Join(dir, "app.jsonl.0*")) // sorted
		if err != nil {
			t.Fatal(err)
		}
		all := ""
		for _, path := range append(rotated, "app.jsonl") {
			all += r.read(filepath.Base(path))
		}
		if got := ofRun(all, p.id.Run); got != p.text(1, 2) {
			t.Errorf("files:\n%s", all)
		}
	})
}

// waitFor is how long the tests wait for what is sure to come.
const waitFor = 2 * time.Minute

// until waits for something that another goroutine does. The limit is a guard against hanging, no more.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	guard := time.After(waitFor)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-guard:
			t.Fatalf("%s has not come", what)
		}
	}
}

// Close with a deadline says what it could not write.
func TestCloseOnAFullDisk(t *testing.T) {
	b := startBroker(t)
	fs := newFaultFS()
	c := b.start(t, Config{Dir: t.TempDir(), fs: fs})
	p := b.publisher(t, "etl", "w1")
	p.log(1, record.Info, "l", "a")
	p.send()
	fs.breakWith(syscall.ENOSPC)
	for i := range 5 {
		b.publish(t, "logs.etl.x", fmt.Sprint(i))
	}
	if err := b.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	// The collector has taken them and has tried, before the time runs that it is given here.
	arrived := func() bool {
		messages, _ := c.writer.unwritten()
		return messages == 5 && c.Stats().Stalled != nil
	}
	for end := time.Now().Add(hangs); !arrived() && time.Now().Before(end); {
		runtime.Gosched()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := c.Close(ctx)
	var unwritten *UnwrittenError
	if !errors.As(err, &unwritten) || unwritten.Messages != 5 || unwritten.Foreign != 5 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("close: %v", err)
	}
	if again := c.Close(t.Context()); again != err {
		t.Errorf("the second close: %v", again)
	}
	if err := c.Rotate(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("rotate after close: %v", err)
	}
}
