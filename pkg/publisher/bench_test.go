package publisher

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/record"
)

// discarding is a publisher whose sender throws away what it would send: what is
// left is what a log call costs its caller.
func discarding(tb testing.TB, dir string) *Publisher {
	tb.Helper()
	cfg := Config{App: "etl", Worker: "w3", BufferDir: dir, Diagnostics: slog.New(slog.DiscardHandler)}.withDefaults()
	p := &Publisher{
		cfg: cfg, id: record.Identity{App: "etl", Worker: "w3", Run: record.NewRun()}, maxLine: cfg.MaxRecord,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	levels, err := parseLevels("info")
	if err != nil {
		tb.Fatal(err)
	}
	p.levels.replace(levels)
	p.root = p.Named("")
	if p.ring, err = p.buffer(); err != nil {
		tb.Fatal(err)
	}
	p.over = newOverflow(p.ring, cfg, p.closing)
	go func() {
		defer close(p.done)
		for !p.closed.Load() {
			_, b, ok := p.ring.Next(2<<20, 1<<20)
			if !ok {
				p.sleep()
				continue
			}
			time.Sleep(100 * time.Microsecond) // the way to the collector and back
			p.ring.Release(b.Last)
			p.progressed()
		}
	}()
	tb.Cleanup(func() {
		p.closed.Store(true)
		close(p.closing)
		<-p.done
		if err := p.ring.Remove(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

const benchMessage = "a message of about eighty characters, as in the other benchmarks of the project"

func emitOne(p *Publisher, now time.Time) {
	l := record.GetLine()
	l.Start(now, record.Info, "etl.load", benchMessage)
	l.Int("rows", 120)
	l.Str("table", "orders")
	l.Float("seconds", 0.25)
	p.emit(l)
}

// BenchmarkEmit is a whole record: three fields, encoded, into the buffer, the
// sender woken; about 250 bytes. cpu-ns/op is the processor time of all goroutines,
// the sender's too.
func BenchmarkEmit(b *testing.B) {
	for _, kind := range []string{"memory", "file"} {
		for _, goroutines := range []int{1, 2, 8} {
			b.Run(fmt.Sprintf("%s/goroutines=%d", kind, goroutines), func(b *testing.B) {
				dir := ""
				if kind == "file" {
					dir = b.TempDir()
				}
				p := discarding(b, dir)
				now := time.Now()
				b.ReportAllocs()
				b.ResetTimer()
				began := cpuTime()
				defer func() {
					if took := cpuTime() - began; took > 0 {
						b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "cpu-ns/op")
					}
				}()
				if goroutines == 1 {
					for range b.N {
						emitOne(p, now)
					}
					return
				}
				b.SetParallelism((goroutines + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						emitOne(p, now)
					}
				})
			})
		}
	}
}

func TestEmitAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector empties pools")
	}
	for _, kind := range []string{"memory", "file"} {
		t.Run(kind, func(t *testing.T) {
			dir := ""
			if kind == "file" {
				if !ring.Supported {
					t.Skip("no buffer files on this system")
				}
				dir = t.TempDir()
			}
			p := discarding(t, dir)
			now := time.Now()
			if n := testing.AllocsPerRun(2000, func() { emitOne(p, now) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
