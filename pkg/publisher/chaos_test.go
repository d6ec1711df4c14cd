package publisher_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

// Answers and messages are lost, batches refused and rejected, the broker is
// restarted, the buffer overflows, all at random: what is accepted arrives once
// and in order, and the numbers agree to the last record.
func TestChaos(t *testing.T) {
	ahead, blocks := 0, 0
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1)) // the collector's
			b := startBroker(t)
			c := collect(t, b, func(int, record.Batch, []byte) fate {
				switch n := random.IntN(100); {
				case n < 10:
					return loseAck
				case n < 20:
					return loseMessage
				case n < 25:
					return want
				case n < 30:
					return reject
				}
				return commit
			})
			cfg := config(b)
			cfg.Buffer, cfg.Batch, cfg.MaxRecord = 64<<10, 4<<10, 2<<10
			if seed%2 == 1 {
				cfg.BufferDir = t.TempDir()
			}
			switch seed % 3 {
			case 1:
				cfg.BlockTimeout = 20 * time.Millisecond // too short
			case 2:
				cfg.Overflow = publisher.Shed
			}
			if seed >= 3 {
				cfg.BatchCompression = "s2"
			}
			publisher.SetAckTimeout(&cfg, 5*time.Millisecond)
			publisher.SetPromptAck(&cfg, time.Hour)
			p := open(t, cfg)

			const writers, each = 4, 1500
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					log := p.Named(fmt.Sprint(w))
					for i := range each {
						level := record.Level(1 + (i+w)%5)
						log.Log(level, fmt.Sprint(i))
						if i == each/2 && w == 0 {
							b.stop()
							b.start()
						}
					}
				})
			}
			wg.Wait()
			mustClose(t, p)

			r := c.check(p)
			last := map[string]int{}
			for _, l := range r.lines {
				rec := parse(t, l)
				if rec.Logger == record.OwnLogger {
					continue
				}
				var i int
				if _, err := fmt.Sscan(rec.Msg, &i); err != nil {
					t.Fatal(err)
				}
				if before, ok := last[rec.Logger]; ok && i <= before {
					t.Fatalf("logger %s: %d after %d", rec.Logger, i, before)
				}
				last[rec.Logger] = i
			}
			s := p.Stats()
			if told, _ := r.told(t); told != s.Dropped {
				t.Errorf("told of %d, dropped %d", told, s.Dropped)
			}
			if cfg.BufferDir != "" {
				noFiles(t, cfg.BufferDir)
			}
			c.mu.Lock() // a late copy of the last message may still come
			defer c.mu.Unlock()
			for _, b := range c.batches {
				if b.Oldest < b.First {
					ahead++
				}
				if b.Enc != "" {
					blocks++
				}
			}
			t.Logf("%d logged, %d dropped, %d messages, %d sent again", s.Logged, s.Dropped, c.messages, s.Resent)
		})
	}
	if ahead == 0 || blocks == 0 {
		t.Errorf("%d batches were sent ahead, %d compressed", ahead, blocks)
	}
}
