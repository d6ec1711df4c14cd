package logfile

import (
	"errors"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestInterval: acknowledged at once, on the disk within the interval, without
// anyone calling, and one fsync however many commits there were.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newDisk().mount()
		var g gate
		m.syncing = g.syncing
		s, f := openLive(t, m, Options{FSync: Every(3 * time.Second)})
		name := logDir + "/app.log"
		stable := func() string {
			m.disk.mu.Lock()
			defer m.disk.mu.Unlock()
			n, err := m.disk.find(name, false)
			if err != nil {
				t.Fatal(err)
			}
			return string(n.stable)
		}
		var r results
		for i := range 5 {
			f.Append([]byte("x\n"))
			s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: uint64(i) + 1}}}}, r.done(""))
			time.Sleep(500 * time.Millisecond)
		}
		if n := strings.Count(r.String(), "ok"); n != 5 {
			t.Fatalf("%d acknowledged", n)
		}
		if got := stable(); got != "" {
			t.Fatalf("after 2.5 s: %q", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := stable(); got != strings.Repeat("x\n", 5) {
			t.Fatalf("after 3.5 s: %q", got)
		}
		time.Sleep(time.Hour) // nothing to do, nothing done
		synctest.Wait()
		if n := g.count(name); n != 1 {
			t.Errorf("%d fsyncs", n)
		}
		// A blocked fsync does not hold up the writer.
		release := g.block()
		f.Append([]byte("y\n"))
		s.Commit(Commit{}, r.done(""))
		time.Sleep(4 * time.Second)
		for range 1000 {
			f.Append([]byte("z\n"))
			s.Commit(Commit{}, r.done(""))
		}
		if n := strings.Count(r.String(), "ok"); n != 1006 {
			t.Fatalf("%d acknowledged", n)
		}
		release()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got := stable(); len(got) != 2*1006 {
			t.Errorf("%d bytes on the disk after Close", len(got))
		}
	})
}

// TestHasten: what waits for its time is synced at once, once; where nothing waits, nothing is.
func TestHasten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newDisk().mount()
		var g gate
		m.syncing = g.syncing
		s, f := openLive(t, m, Options{FSync: Every(time.Hour)})
		var r results
		f.Append([]byte("x\n"))
		s.Commit(Commit{}, r.done(""))
		synctest.Wait()
		name := logDir + "/app.log"
		before := g.count(name)
		s.Hasten()
		synctest.Wait()
		if n := g.count(name); before != 0 || n != 1 {
			t.Errorf("%d fsyncs, then %d; want none, then one", before, n)
		}
		s.Hasten()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := g.count(name); n != 1 {
			t.Errorf("%d fsyncs of what was written once", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestIntervalFails: what was acknowledged stays; nothing more is, until what is
// at risk has been written and synced again.
func TestIntervalFails(t *testing.T) {
	for _, failing := range []string{"app.log", journalName} {
		synctest.Test(t, func(t *testing.T) {
			m := newDisk().mount()
			var events []Event
			var mu sync.Mutex
			s, f := openLive(t, m, Options{FSync: Every(time.Second), Report: func(e Event) {
				mu.Lock()
				defer mu.Unlock()
				events = append(events, e)
			}})
			f.Append([]byte("one\n"))
			var r results
			s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: 1}}}}, r.done("one"))
			m.set(func(_ int, call, name string) outcome {
				if call == "sync" && strings.HasPrefix(path.Base(name), failing) {
					return outcome{err: syscall.EIO}
				}
				return outcome{}
			})
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if err := s.Check(); !errors.Is(err, syscall.EIO) {
				t.Fatal(err)
			}
			f.Append([]byte("two\n"))
			s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: 2}}}}, r.done("two"))
			if _, err := s.Resume(); !errors.Is(err, syscall.EIO) {
				t.Fatal(err)
			}
			m.set(nil)
			table, err := s.Resume()
			if err != nil || table["r"].Last != 1 {
				t.Fatal(table, err)
			}
			m.disk.mu.Lock()
			n, _ := m.disk.find(logDir+"/app.log", false)
			stable := string(n.stable)
			m.disk.mu.Unlock()
			if stable != "one\n" {
				t.Fatalf("at risk still: %q on the disk", stable)
			}
			f.Append([]byte("two\n"))
			s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: 2}}}}, r.done("two again"))
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			if got := r.String(); got != "one ok, two rolled back, two again ok" {
				t.Fatal(got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if len(events) != 2 || events[0].Kind != Failed || events[1].Kind != Resumed {
				t.Error(events)
			}
		})
	}
}

// TestFilePolicy: a file of its own policy in a store of another.
func TestFilePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newDisk().mount()
		var g gate
		m.syncing = g.syncing
		s, f := openLive(t, m, Options{FSync: Never})
		always := Always
		strict, err := s.File("strict.log", FileOptions{FSync: &always})
		if err != nil {
			t.Fatal(err)
		}
		stable := func(name string) string {
			m.disk.mu.Lock()
			defer m.disk.mu.Unlock()
			n, _ := m.disk.find(logDir+"/"+name, false)
			return string(n.stable)
		}
		var r results
		f.Append([]byte("x\n"))
		s.Commit(Commit{}, r.done("never"))
		strict.Append([]byte("y\n"))
		s.Commit(Commit{}, r.done("always"))
		synctest.Wait()
		if got := r.String(); got != "never ok, always ok" {
			t.Fatal(got)
		}
		if a, b := stable("app.log"), stable("strict.log"); a != "" || b != "y\n" {
			t.Errorf("on the disk: %q, %q", a, b)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestSynced: the position that a stream may be purged to is that of the last
// sync, not of the last commit; with FSYNC always the two are the same before a
// commit is acknowledged.
func TestSynced(t *testing.T) {
	at := func(seq uint64) *Source {
		return &Source{Stream: "LOGS", Created: time.Unix(1_700_000_000, 0).UTC(), Seq: seq}
	}
	synctest.Test(t, func(t *testing.T) {
		m := newDisk().mount()
		var g gate
		m.syncing = g.syncing
		s, f := openLive(t, m, Options{FSync: Every(time.Second)})
		check := func(when string, source, synced uint64) {
			t.Helper()
			if a, b := s.Source().Seq, s.Synced().Seq; a != source || b != synced {
				t.Errorf("%s: position %d, synced %d; want %d and %d", when, a, b, source, synced)
			}
		}
		commit := func(seq uint64) {
			f.Append([]byte("x\n"))
			s.Commit(Commit{Source: at(seq)}, func(err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		check("fresh", 0, 0)
		commit(5)
		check("committed", 5, 0)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		check("after the interval", 5, 5)
		if got := s.Synced(); got != *at(5) {
			t.Errorf("synced is %v", got)
		}
		release := g.block()
		commit(6)
		time.Sleep(2 * time.Second)
		commit(7) // while what is before it is being forced
		synctest.Wait()
		check("while a sync hangs", 7, 5)
		release()
		synctest.Wait()
		check("after a sync that began before the last commit", 7, 6)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		check("at rest", 7, 7)
		// A position alone: nothing but the journal has to get to the disk.
		s.Commit(Commit{Source: at(8)}, func(error) {})
		check("position alone", 8, 7)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		check("position alone, at rest", 8, 8)
		commit(9)
		m.set(func(_ int, call, _ string) outcome {
			if call == "sync" {
				return outcome{err: syscall.EIO}
			}
			return outcome{}
		})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		m.set(nil)
		check("after a sync that failed", 9, 8)
		if _, err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		commit(10)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		check("resumed", 10, 10)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s, _ = openLive(t, m.disk.mount(), Options{})
		check("opened again", 10, 10)
		_ = s.Close()

		for _, policy := range []Policy{Always, Never} {
			s, f = openLive(t, newDisk().mount(), Options{FSync: policy})
			f.Append([]byte("x\n"))
			s.Commit(Commit{Source: at(3)}, func(err error) {
				if got := s.Synced().Seq; err != nil || got != 3 {
					t.Errorf("%v: acknowledged with %v, synced up to %d", policy, err, got)
				}
			})
			synctest.Wait()
			check(policy.String(), 3, 3)
			_ = s.Close()
		}
	})
}

// TestResumeWaitsForSync: while a sync by interval is under way, Resume neither
// reopens nor cuts anything, and while Resume works, none begins.
func TestResumeWaitsForSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newDisk().mount()
		var g gate
		m.syncing = g.syncing
		s, f := openLive(t, m, Options{FSync: Every(time.Second)})
		var r results
		commit := func(name string) {
			f.Append([]byte(name + "\n"))
			s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: 1}}}}, r.done(name))
		}
		commit("a")
		release := g.block()
		time.Sleep(2 * time.Second)
		synctest.Wait() // the sync hangs
		m.set(func(_ int, call, name string) outcome {
			if call == "write" && strings.HasSuffix(name, "app.log") {
				return outcome{err: syscall.ENOSPC, part: true}
			}
			return outcome{}
		})
		commit("b")
		m.set(nil)
		resumed := make(chan error, 1)
		go func() {
			_, err := s.Resume()
			resumed <- err
		}()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		m.disk.mu.Lock()
		n, _ := m.disk.find(logDir+"/app.log", false)
		before := string(n.data)
		m.disk.mu.Unlock()
		if len(resumed) > 0 || before == "a\n" {
			t.Errorf("resumed while a sync was under way: %q", before)
		}
		release()
		if err := <-resumed; err != nil {
			t.Fatal(err)
		}
		if got := string(m.disk.file(logDir + "/app.log").data); got != "a\n" || r.String() != "a ok, b failed" {
			t.Errorf("%q, %v", got, &r)
		}

		// A sync fails, and Resume hangs where it writes again what may be lost.
		m.set(func(_ int, call, name string) outcome {
			if call == "sync" {
				return outcome{err: syscall.EIO}
			}
			return outcome{}
		})
		commit("c")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		m.set(nil)
		release = g.block()
		syncs := g.count(logDir + "/app.log")
		go func() {
			_, err := s.Resume()
			resumed <- err
		}()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := g.count(logDir+"/app.log") - syncs; n != 1 || len(resumed) > 0 {
			t.Errorf("%d syncs while Resume was at work, of which one is its own", n)
		}
		release()
		if err := <-resumed; err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := g.count(logDir+"/app.log") - syncs; n < 2 {
			t.Errorf("%d syncs, none after Resume", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestCheckWaits: with FSYNC always the journal belongs to the syncer while commits
// are under way. Check looked at it nevertheless, and when it had just been
// compacted, took it for removed by someone else.
func TestCheckWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newDisk().mount()
		var g gate
		m.syncing = g.syncing
		s, f := openLive(t, m, Options{FSync: Always, Report: func(e Event) { t.Error(e) }})
		s.journal.limit, s.journal.step = 500, 0
		var r results
		release := g.block()
		for range 50 {
			f.Append([]byte("x\n"))
			s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: 1}}}}, r.done("x"))
		}
		synctest.Wait()
		m.trace = true
		checked := make(chan error, 1)
		go func() { checked <- s.Check() }()
		synctest.Wait()
		if len(checked) > 0 || len(m.log) > 0 {
			t.Errorf("Check did not wait for the commits under way: %q", m.log)
		}
		release()
		if err := <-checked; err != nil {
			t.Error(err)
		}
		// And together.
		for i := range 300 {
			f.Append([]byte("x\n"))
			s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: uint64(i)}}}}, r.done("x"))
			if i%10 == 0 {
				if err := s.Check(); err != nil {
					t.Error(err)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(r.String(), "ok"); n != 350 {
			t.Errorf("%d acknowledged", n)
		}
		if s.Stats().Compactions < 10 {
			t.Errorf("%d compactions", s.Stats().Compactions)
		}
	})
}

// TestNeverSyncs: with FSYNC never nothing waits for the disk but a journal that is
// written anew, for then both copies are at stake; not a reopen, and not what goes
// on after a failure.
func TestNeverSyncs(t *testing.T) {
	m := newDisk().mount()
	d, err := openDriver(t, m, Options{FSync: Never})
	if err != nil {
		t.Fatal(err)
	}
	d.store.journal.limit = 1 << 20
	m.trace = true
	fail := ""
	m.plan = func(_ int, call, name string) outcome {
		if call == "write" && fail != "" && strings.Contains(name, fail) {
			return outcome{err: syscall.ENOSPC, part: true}
		}
		return outcome{}
	}
	for _, fail = range []string{"", "all.jsonl", journalName, journalName + ".copy"} {
		failing := fail
		for range 3 {
			if err := d.commit(); (err == nil) != (fail == "") {
				t.Fatalf("failing %q: %v", failing, err)
			} else if err == nil {
				continue
			}
			fail = ""
			if err := d.resume(); err != nil {
				t.Fatal(err)
			}
		}
		for _, call := range []func() error{d.store.Reopen, d.store.Rotate, d.store.Check} {
			if err := call(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := d.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, call := range m.log {
		// What is compressed is synced, in the background, before the plain file goes.
		if strings.Contains(call, " sync ") && !strings.Contains(call, ".gz.tmp") || strings.Contains(call, "syncdir "+logDir+"/") {
			t.Error(call)
		}
	}
	if err := m.disk.check(d.acked); err != nil {
		t.Error(err)
	}
}
