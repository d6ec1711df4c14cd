package ring

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// BenchmarkAppend is what a log call pays for the buffer, with a sender that
// takes away what comes in; "copy" is the memory's own price.
func BenchmarkAppend(b *testing.B) {
	line := body(record.Info, 250, "a message of about eighty characters, as in the other benchmarks of this project")
	b.Run("copy", func(b *testing.B) {
		mem := make([]byte, 16<<20)
		b.SetBytes(int64(len(line)))
		at := 0
		for b.Loop() {
			if at+len(line) > len(mem) {
				at = 0
			}
			at += copy(mem[at:], line)
		}
	})
	for _, kind := range []string{"memory", "file"} {
		for _, goroutines := range []int{1, 2, 8} {
			b.Run(fmt.Sprintf("%s/goroutines=%d", kind, goroutines), func(b *testing.B) {
				var r *Ring
				var err error
				if kind == "memory" {
					r, err = New(16<<20, testID)
				} else {
					r, err = Create(filepath.Join(b.TempDir(), FileName(testID)), 16<<20, testID, "logs")
				}
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = r.Remove() }()
				done := make(chan struct{})
				wake := make(chan struct{}, 1)
				go func() {
					defer close(done)
					for range wake {
						for {
							_, batch, ok := r.Next(256<<10, 1<<20)
							if !ok {
								break
							}
							r.Release(batch.Last)
						}
					}
				}()
				b.SetBytes(int64(len(line)))
				b.ReportAllocs()
				b.SetParallelism((goroutines + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
				run := func(next func() bool) {
					n := 0
					for next() {
						for {
							if _, err := r.Append(line, 100); err == nil {
								break
							}
						}
						if n++; n%256 == 0 {
							select {
							case wake <- struct{}{}:
							default:
							}
						}
					}
				}
				if goroutines == 1 {
					run(b.Loop)
				} else {
					b.RunParallel(func(pb *testing.PB) { run(pb.Next) })
				}
				close(wake)
				<-done
			})
		}
	}
}

// BenchmarkHandOver is what the machine takes to bring a cache line from one processor to another and back: the price of each
// thing that goroutines change in turns, as they change the ring.
func BenchmarkHandOver(b *testing.B) {
	var turn atomic.Uint64
	await := func(n uint64) {
		for i := 0; turn.Load() != n; i++ {
			if i > 10_000 {
				runtime.Gosched()
			}
		}
	}
	go func() {
		for n := range uint64(b.N) {
			await(2*n + 1)
			turn.Store(2*n + 2)
		}
	}()
	for n := range uint64(b.N) {
		turn.Store(2*n + 1)
		await(2*n + 2)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	kinds(t, 1<<20, func(t *testing.T, r *Ring) {
		b := body(record.Info, 250, "m")
		if n := testing.AllocsPerRun(1000, func() {
			seq, err := r.Append(b, 100)
			if err != nil {
				t.Fatal(err)
			}
			r.Release(seq)
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
