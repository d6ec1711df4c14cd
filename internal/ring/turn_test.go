package ring

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// Goroutines that append without a pause take long turns: each seq is given once, and each goroutine's records are in its order.
func TestTurns(t *testing.T) {
	kinds(t, 16<<20, func(t *testing.T, r *Ring) {
		const writers, each = 8, 5000
		var seqs [writers][]uint64
		var appending sync.WaitGroup
		for w := range writers {
			appending.Go(func() {
				for i := range each {
					seq, err := r.Append(body(record.Info, 0, fmt.Sprintf("%d %d", w, i)), 100)
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
		for seq := uint64(1); seq <= writers*each; seq++ {
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
	})
}

// Who waits for a turn looks at the tail, which is gone when the ring is closed.
func TestClosedWhileManyAppend(t *testing.T) {
	const writers = 8
	b := body(record.Info, 100, "m")
	for range 50 {
		r, err := New(1<<20, testID)
		if err != nil {
			t.Fatal(err)
		}
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
	}
}
