package ring

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

// raceDetector is set where an append is too slow for a ring to be busy.
var raceDetector bool

// Goroutines that append without a pause take long turns: each seq is given once, and each goroutine's records are in its order.
func TestTurns(t *testing.T) {
	kinds(t, 16<<20, func(t *testing.T, r *Ring) {
		const most = 200
		for round := range most {
			appendByMany(t, r)
			if t.Failed() || r.turns.over.Load() > 0 || raceDetector || runtime.GOMAXPROCS(0) == 1 {
				return
			}
			t.Logf("no turn in round %d", round)
		}
		t.Errorf("eight goroutines that append all the time took no turn in %d rounds", most)
	})
}

// appendByMany appends from several goroutines, and looks at what is in the ring, which was empty and is so again.
func appendByMany(t *testing.T, r *Ring) {
	t.Helper()
	const writers, each = 8, 5000
	var bodies [writers][][]byte
	for w := range bodies {
		for i := range each {
			bodies[w] = append(bodies[w], body(record.Info, 0, fmt.Sprintf("%d %d", w, i)))
		}
	}
	first := r.Stats().Last + 1
	var seqs [writers][]uint64
	var appending sync.WaitGroup
	for w := range writers {
		appending.Go(func() {
			for _, b := range bodies[w] {
				seq, err := r.Append(b, 100)
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				seqs[w] = append(seqs[w], seq)
			}
		})
	}
	appending.Wait()
	var next [writers]int
	for seq := first; seq < first+writers*each; seq++ {
		line, b, ok := r.Next(1, 1)
		if !ok || b.First != seq {
			t.Fatalf("batch %+v, want record %d", b, seq)
		}
		rec, err := record.Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		var w, i int
		if _, err := fmt.Sscanf(rec.Msg, "%d %d", &w, &i); err != nil {
			t.Fatal(err)
		}
		if i != next[w] || seqs[w][i] != seq {
			t.Fatalf("seq %d: record %d of writer %d, which expects %d and got seq %d for it", seq, i, w, next[w], seqs[w][i])
		}
		next[w]++
		r.Release(seq)
	}
}

// busily appends until it is told to stop, most records, and takes away what it appends. It takes no turns, so that it goes on for sure.
func busily(t *testing.T, r *Ring, stop *atomic.Bool, most int) {
	b := body(record.Info, 0, "m")
	for range most {
		if stop.Load() {
			return
		}
		r.mu.Lock()
		seq, err := r.appendLocked(b, 0, 100)
		r.mu.Unlock()
		if err != nil {
			t.Errorf("append: %v", err)
			return
		}
		r.Release(seq)
	}
}

// Only where somebody waited a few records ago, and others append all the time, is there something to stay away for.
func TestCrowded(t *testing.T) {
	r, err := New(1<<20, testID)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	for range 100 {
		if r.crowded() {
			t.Fatal("a quiet ring is crowded")
		}
	}
	if raceDetector || runtime.GOMAXPROCS(0) == 1 {
		return
	}
	var stop atomic.Bool
	var hot sync.WaitGroup
	hot.Go(func() { busily(t, r, &stop, math.MaxInt) })
	for !r.crowded() {
	}
	for r.tailCell.load()-r.turns.last < again {
	}
	if r.crowded() {
		t.Error("nobody waited for a while, and the ring is crowded all the same")
	}
	stop.Store(true)
	hot.Wait()
}

// Those who have waited for somebody else's turn do not stay away for one of their own, so a wait does not grow with their number.
func TestWaitIsOneTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(1<<20, testID)
		if err != nil {
			t.Fatal(err)
		}
		r.turns.front <- struct{}{} // somebody is away
		r.mu.Lock()
		var stop atomic.Bool
		var waiting, hot sync.WaitGroup
		b := body(record.Info, 0, "m")
		for range 20 {
			waiting.Go(func() {
				if _, err := r.Append(b, 100); err != nil {
					t.Errorf("append: %v", err)
				}
			})
		}
		synctest.Wait() // until they stand behind
		r.turns.over.Add(1)
		r.mu.Unlock()
		hot.Go(func() { busily(t, r, &stop, 1_000_000) })
		for r.tailCell.load() < again {
			runtime.Gosched()
		}
		began := time.Now()
		<-r.turns.front
		waiting.Wait()
		if away := time.Since(began); away > 0 {
			t.Errorf("twenty that had waited for a turn stayed away for %v more", away)
		}
		stop.Store(true)
		hot.Wait()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Who waits for a turn looks at the tail, which is gone when the ring is closed.
func TestClosedWhileManyAppend(t *testing.T) {
	const writers = 8
	b := body(record.Info, 100, "m")
	for range 50 {
		kinds(t, 1<<20, func(t *testing.T, r *Ring) {
			var appending, begun sync.WaitGroup
			begun.Add(writers)
			for range writers {
				appending.Go(func() {
					for n := 0; ; n++ {
						if n == 100 {
							begun.Done()
						}
						_, err := r.Append(b, 100)
						if errors.Is(err, ErrSealed) {
							return
						}
						if err != nil && !errors.Is(err, ErrFull) {
							t.Errorf("append: %v", err)
						}
					}
				})
			}
			begun.Wait()
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			appending.Wait()
		})
	}
}
