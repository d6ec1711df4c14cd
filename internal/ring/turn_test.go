package ring

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

// Goroutines that append without a pause: each seq is given once, and each goroutine's records are in its order.
func TestAppendByMany(t *testing.T) {
	kinds(t, 16<<20, appendByMany)
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
		w, i := numbers(t, line)
		if i != next[w] || seqs[w][i] != seq {
			t.Fatalf("seq %d: record %d of writer %d, which expects %d and got seq %d for it", seq, i, w, next[w], seqs[w][i])
		}
		next[w]++
		r.Release(seq)
	}
}

// busyRing is one in which busy records are appended whenever somebody looks, by whoever looks: the test holds the lock meanwhile.
func busyRing(t *testing.T) *Ring {
	r, err := New(1<<20, testID)
	if err != nil {
		t.Fatal(err)
	}
	b := body(record.Info, 0, "m")
	r.turns.look = func() {
		for range busy {
			if _, err := r.appendLocked(b, 0, 100); err != nil {
				t.Errorf("append: %v", err)
			}
		}
	}
	return r
}

// Only where somebody waited a few records ago, and others append all the time, is there something to stay away for.
func TestCrowded(t *testing.T) {
	r := busyRing(t)
	defer func() { _ = r.Close() }()
	if !r.crowded() {
		t.Error("a busy ring is not crowded")
	}
	r.turns.last = r.tailCell.load() - again
	if r.crowded() {
		t.Error("nobody waited for a while, and the ring is crowded all the same")
	}
	r.turns.look = func() {}
	if r.crowded() {
		t.Error("a quiet ring is crowded")
	}
}

// Whoever finds the lock of a busy ring taken stays away for a turn; those who have waited for that do not for one of their own,
// so a wait does not grow with their number.
func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := busyRing(t)
		r.mu.Lock()
		began := time.Now()
		var waiting sync.WaitGroup
		b := body(record.Info, 0, "m")
		for range 20 {
			waiting.Go(func() {
				if _, err := r.Append(b, 100); err != nil {
					t.Errorf("append: %v", err)
				}
			})
		}
		synctest.Wait() // until the first is away, and the others stand behind it
		time.Sleep(turn)
		r.mu.Unlock()
		waiting.Wait()
		if away, n := time.Since(began), r.turns.over.Load(); away != turn || n != 1 {
			t.Errorf("twenty waited for %v, in %d turns", away, n)
		}
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
