package logfile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

// TestAlwaysShares: while one fsync is under way the writer goes on, nothing is
// acknowledged, and all that waits shares the next one.
func TestAlwaysShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newDisk().mount()
		var g gate
		m.syncing = g.syncing
		s, f := openLive(t, m, Options{FSync: Always})
		var r results
		commit := func(name string) {
			f.Append([]byte(name + "\n"))
			s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: 1}}}}, r.done(name))
		}
		commit("a")
		synctest.Wait()
		before := g.count(logDir + "/app.log")
		release := g.block()
		commit("b")
		synctest.Wait()
		for i := range 10 {
			commit(fmt.Sprint(i)) // does not wait for the fsync
		}
		synctest.Wait()
		if got := r.String(); got != "a ok" {
			t.Fatalf("acknowledged before it was on the disk: %s", got)
		}
		release()
		synctest.Wait()
		if got := r.String(); got != "a ok, b ok, 0 ok, 1 ok, 2 ok, 3 ok, 4 ok, 5 ok, 6 ok, 7 ok, 8 ok, 9 ok" {
			t.Fatal(got)
		}
		if n := g.count(logDir+"/app.log") - before; n != 2 {
			t.Errorf("%d fsyncs for 11 commits, want 2", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestAlwaysForcesBothAtOnce: files and journal get to the disk in any order, and only then it is acknowledged. Where the power
// fails in between, a checkpoint may be there that states more than the files hold: nobody was told of it, so it is passed over,
// whatever part of its bytes is missing, and not reported as a loss.
func TestAlwaysForcesBothAtOnce(t *testing.T) {
	journal, log := journalPath(0)+".tmp", logDir+"/app.log" // as it was when it was made
	for _, c := range []struct{ late, early string }{{log, journal}, {journal, log}} {
		t.Run(c.late, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newDisk().mount()
				var g gate
				m.syncing = g.syncing
				s, f := openLive(t, m, Options{FSync: Always})
				var r results
				seq := uint64(0)
				commit := func(name string) {
					seq++
					f.Append([]byte(name + strings.Repeat("x", 20_000) + "\n"))
					s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: seq}}}}, r.done(name))
					synctest.Wait()
				}
				commit("a")
				committed := len(m.disk.file(log).data)
				before := g.count(c.early)
				release := g.blockThose(c.late)
				commit("b")
				if g.count(c.early) != before+1 {
					t.Errorf("%s waits for %s", c.early, c.late)
				}
				if got := r.String(); got != "a ok" {
					t.Fatalf("acknowledged before all of it was on the disk: %s", got)
				}
				if c.late == journal {
					release()
					synctest.Wait()
					if got := r.String(); got != "a ok, b ok" {
						t.Errorf("at the end: %s", got)
					}
					_ = s.Close()
					return
				}
				m.kill()
				release()
				_ = s.Close()
				n := m.disk.file(log)
				n.stable, n.changes = slices.Clone(n.data), nil
				clear(n.stable[committed+1000 : committed+2000])
				m.disk.losePower(rand.New(rand.NewPCG(1, 1)))

				var events []Event
				s, _ = openLive(t, m.disk.mount(), Options{FSync: Always, Report: func(e Event) { events = append(events, e) }})
				if got := s.Runs()["r"].Last; got != 1 {
					t.Errorf("table says %d", got)
				}
				for _, e := range events {
					if e.Kind != Truncated && e.Kind != PassedOver && (e.Kind != JournalDamaged || e.isCut()) { // the journal's copy is not forced
						t.Errorf("said: %v", e)
					}
				}
				if !slices.ContainsFunc(events, func(e Event) bool { return e.Kind == PassedOver }) {
					t.Error("that a checkpoint was passed over is not said")
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if got := string(m.disk.file(log).data); got != "a"+strings.Repeat("x", 20_000)+"\n" {
					t.Errorf("%d bytes are left", len(got))
				}
			})
		})
	}
}

// TestAlwaysDiesBehindAFailedSync: the journal is on the disk, the file could not be brought there, and the process dies before it has
// withdrawn the checkpoint. Nobody was told of it. Whether the next process finds its bytes or not, what it says is so is so, after a
// power cut as well.
func TestAlwaysDiesBehindAFailedSync(t *testing.T) {
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprintf("gone=%v", gone), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := logDir + "/app.log"
				m := newDisk().mount()
				s, f := openLive(t, m, Options{FSync: Always})
				var r results
				commit := func(seq uint64, name string) {
					f.Append([]byte(name + "\n"))
					s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: seq}}}}, r.done(name))
					synctest.Wait()
				}
				commit(1, "a")
				m.set(func(_ int, call, name string) outcome {
					if call == "sync" && name == log {
						return outcome{err: syscall.EIO}
					}
					return outcome{}
				})
				commit(2, "b")
				if got := r.String(); got != "a ok, b rolled back" {
					t.Fatal(got)
				}
				m.kill()
				_ = s.Close()
				want, last := "a\nb\n", uint64(2)
				if gone {
					m.disk.file(log).loseChanges()
					want, last = "a\n", 1
				}
				var events []Event
				s, _ = openLive(t, m.disk.mount(), Options{FSync: Always, Report: func(e Event) { events = append(events, e) }})
				if got := s.Runs()["r"].Last; got != last {
					t.Errorf("table says %d", got)
				}
				for _, e := range events {
					if !gone || e.Kind != PassedOver {
						t.Errorf("said: %v", e)
					}
				}
				if gone && len(events) == 0 {
					t.Error("that a checkpoint was passed over is not said")
				}
				m.disk.losePower(rand.New(rand.NewPCG(1, 1)))
				_ = s.Close()
				s, _ = openLive(t, m.disk.mount(), Options{FSync: Always, Report: func(e Event) {
					if e.Kind != JournalDamaged || e.isCut() { // the journal's copy is not forced
						t.Errorf("after a power cut: %v", e)
					}
				}})
				if got := s.Runs()["r"].Last; got != last {
					t.Errorf("after a power cut the table says %d", got)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if got := string(m.disk.file(log).data); got != want {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

// TestAlwaysClosesBehindAFailedSync: what was withdrawn is not found at the next start.
func TestAlwaysClosesBehindAFailedSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newDisk().mount()
		s, f := openLive(t, m, Options{FSync: Always})
		m.set(func(_ int, call, name string) outcome {
			if call == "sync" && strings.HasSuffix(name, ".log") {
				return outcome{err: syscall.EIO}
			}
			return outcome{}
		})
		f.Append([]byte("a\n"))
		var r results
		s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: 1}}}}, r.done("a"))
		synctest.Wait()
		if err := s.Close(); !errors.Is(err, syscall.EIO) {
			t.Errorf("close: %v", err)
		}
		s, _ = openLive(t, m.disk.mount(), Options{FSync: Always, Report: func(e Event) {
			if e.Kind != Truncated {
				t.Errorf("said: %v", e)
			}
		}})
		if got := s.Runs()["r"].Last; got != 0 {
			t.Errorf("table says %d", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestAlwaysBounded: no more than so many commits are under way.
func TestAlwaysBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newDisk().mount()
		var g gate
		m.syncing = g.syncing
		s, f := openLive(t, m, Options{FSync: Always})
		release := g.block()
		var r results
		done := make(chan struct{})
		written := 0
		go func() {
			defer close(done)
			for range 500 {
				f.Append([]byte("x\n"))
				s.Commit(Commit{}, r.done(""))
				written++
			}
		}()
		synctest.Wait()
		if written > 2*inFlight {
			t.Errorf("%d commits under way", written)
		}
		release()
		<-done
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(r.String(), "ok"); n != 500 {
			t.Errorf("%d acknowledged", n)
		}
	})
}

// TestAlwaysFails: when an fsync fails, everything behind it fails, what was on
// the disk stays, and after Resume it goes on from there.
func TestAlwaysFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newDisk().mount()
		var g gate
		m.syncing = g.syncing
		s, f := openLive(t, m, Options{FSync: Always})
		var r results
		seq := uint64(0)
		commit := func(name string) {
			seq++
			f.Append([]byte(name + "\n"))
			s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: seq}}}}, r.done(name))
		}
		commit("a")
		commit("b")
		synctest.Wait()
		release := g.block()
		m.set(func(_ int, call, _ string) outcome {
			if call == "sync" {
				return outcome{err: syscall.EIO}
			}
			return outcome{}
		})
		commit("c")
		commit("d")
		commit("e")
		release()
		synctest.Wait()
		m.set(nil)
		commit("f") // the disk works again, but this one builds on what failed
		synctest.Wait()
		if got := r.String(); got != "a ok, b ok, c rolled back, d rolled back, e rolled back, f rolled back" {
			t.Fatal(got)
		}
		table, err := s.Resume()
		if err != nil || table["r"].Last != 2 {
			t.Fatal(table, err)
		}
		seq = 2
		commit("again")
		synctest.Wait()
		if got := string(m.disk.file(logDir + "/app.log").data); got != "a\nb\nagain\n" {
			t.Errorf("%q", got)
		}
		m.kill()
		_ = s.Close() // of a dead process: ends the goroutines, and no more
		s, _ = openLive(t, m.disk.mount(), Options{FSync: Always})
		if got := s.Runs()["r"].Last; got != 3 {
			t.Errorf("table says %d", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFailureKeepsOrder: a commit that fails while it is written is told after
// those before it, which are still on their way.
func TestFailureKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newDisk().mount()
		var g gate
		m.syncing = g.syncing
		s, f := openLive(t, m, Options{FSync: Always})
		var r results
		commit := func(name string) {
			f.Append([]byte(name + "\n"))
			s.Commit(Commit{}, r.done(name))
		}
		commit("a")
		synctest.Wait()
		release := g.block()
		commit("b")
		synctest.Wait()
		m.set(func(_ int, call, _ string) outcome {
			if call == "write" {
				return outcome{err: syscall.ENOSPC, part: true}
			}
			return outcome{}
		})
		commit("c")
		m.set(nil)
		commit("d")
		synctest.Wait()
		if got := r.String(); got != "a ok" {
			t.Fatal(got)
		}
		release()
		synctest.Wait()
		if got := r.String(); got != "a ok, b ok, c failed, d rolled back" {
			t.Fatal(got)
		}
		if _, err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		commit("e")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got := string(m.disk.file(logDir + "/app.log").data); got != "a\nb\ne\n" {
			t.Errorf("%q", got)
		}
	})
}
