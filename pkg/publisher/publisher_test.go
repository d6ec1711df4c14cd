package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

func open(t testing.TB, cfg publisher.Config) *publisher.Publisher {
	t.Helper()
	p, err := publisher.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = p.Close(ctx)
	})
	return p
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func mustClose(t testing.TB, p *publisher.Publisher) {
	t.Helper()
	if err := p.Close(within(t, limit)); err != nil {
		t.Fatal(err)
	}
}

// buffers runs f with a buffer in memory and with one in a file.
func buffers(t *testing.T, f func(t *testing.T, dir string)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { f(t, "") })
	t.Run("file", func(t *testing.T) { f(t, t.TempDir()) })
}

func TestEveryRecordOnceInOrder(t *testing.T) {
	buffers(t, func(t *testing.T, dir string) {
		b := startBroker(t)
		c := collect(t, b, nil)
		cfg := config(b)
		cfg.BufferDir = dir
		p := open(t, cfg)
		const writers, each = 8, 2000
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				log := p.Named(fmt.Sprint("w", w))
				for i := range each {
					log.Info(fmt.Sprint(i))
				}
			})
		}
		wg.Wait()
		if err := p.Flush(within(t, limit)); err != nil {
			t.Fatal(err)
		}
		if s := p.Stats(); s.Acked != writers*each || s.Buffered != 0 || !s.Connected {
			t.Errorf("after flush: %+v", s)
		}
		mustClose(t, p)
		r := c.check(p)
		if len(r.lines) != writers*each {
			t.Fatalf("%d lines", len(r.lines))
		}
		next := map[string]int{}
		for _, l := range r.lines {
			rec, err := record.Parse([]byte(strings.TrimSuffix(l, "\n")))
			if err != nil {
				t.Fatal(err)
			}
			if rec.Msg != fmt.Sprint(next[rec.Logger]) {
				t.Fatalf("logger %s: record %s, want %d", rec.Logger, rec.Msg, next[rec.Logger])
			}
			next[rec.Logger]++
		}
	})
}

func TestLostAcksAndMessages(t *testing.T) {
	b := startBroker(t)
	c := collect(t, b, func(n int, _ record.Batch, _ []byte) fate {
		switch n % 4 {
		case 1:
			return loseAck
		case 2:
			return loseMessage
		}
		return commit
	})
	p := open(t, config(b))
	log := p.Named("test")
	log.Info("first")
	for i := range 100 {
		log.Info(fmt.Sprint(i))
	}
	mustClose(t, p)
	if r := c.check(p); len(r.lines) != 101 {
		t.Errorf("%d lines", len(r.lines))
	}
	if s := p.Stats(); s.Resent == 0 {
		t.Error("nothing was sent again")
	}
}

// I1: the bytes that are sent again are the same.
func TestResentBytesAreTheSame(t *testing.T) {
	b := startBroker(t)
	seen := map[uint64]string{}
	c := collect(t, b, func(n int, batch record.Batch, payload []byte) fate {
		if old, ok := seen[batch.First]; ok && old != string(payload) {
			t.Errorf("batch %+v was %q, is %q", batch, old, payload)
		}
		seen[batch.First] = string(payload)
		if n == 1 {
			return loseMessage
		}
		return commit
	})
	p := open(t, config(b))
	p.Named("test").Info("first")
	c.await("the first message", func() bool { return c.messages > 0 })
	for i := range 100 {
		p.Named("test").Info(fmt.Sprint(i)) // must not join the batch in flight
	}
	mustClose(t, p)
	c.check(p)
}

func TestCollectorWantsMore(t *testing.T) {
	b := startBroker(t)
	c := collect(t, b, func(n int, _ record.Batch, _ []byte) fate {
		if n <= 3 {
			return want
		}
		return commit
	})
	p := open(t, config(b))
	p.Named("test").Info("hello")
	mustClose(t, p)
	c.check(p)
	if p.Stats().Resent < 3 {
		t.Errorf("%+v", p.Stats())
	}
}

// A record that the collector will not have costs itself and nothing else.
func TestRejected(t *testing.T) {
	b := startBroker(t)
	c := collect(t, b, func(_ int, _ record.Batch, payload []byte) fate {
		if strings.Contains(string(payload), "poison") {
			return reject
		}
		return commit
	})
	p := open(t, config(b))
	log := p.Named("test")
	for i := range 50 {
		log.Info(fmt.Sprint(i))
	}
	log.Error("poison")
	for i := range 50 {
		log.Info(fmt.Sprint(i))
	}
	mustClose(t, p)
	r := c.check(p)
	s := p.Stats()
	if s.Dropped != 1 || len(s.Drops) != 1 || s.Drops[0] != (publisher.Drop{Level: record.Error, Reason: "rejected", Count: 1}) {
		t.Errorf("%+v", s)
	}
	if told, _ := r.told(t); told != 1 {
		t.Errorf("told of %d", told)
	}
}

// A message that was damaged on its way is fine the second time.
func TestRejectedOnce(t *testing.T) {
	b := startBroker(t)
	c := collect(t, b, func(n int, _ record.Batch, _ []byte) fate {
		if n <= 2 {
			return reject
		}
		return commit
	})
	p := open(t, config(b))
	p.Named("test").Info("hello")
	mustClose(t, p)
	if c.check(p); p.Stats().Dropped != 0 {
		t.Errorf("%+v", p.Stats())
	}
}

func TestBrokerRestarts(t *testing.T) {
	buffers(t, func(t *testing.T, dir string) {
		b := startBroker(t)
		c := collect(t, b, nil)
		cfg := config(b)
		cfg.BufferDir = dir
		p := open(t, cfg)
		log := p.Named("test")
		for round := range 3 {
			log.Info(fmt.Sprint("before ", round))
			if err := p.Flush(within(t, limit)); err != nil {
				t.Fatal(err)
			}
			b.stop()
			for i := range 100 {
				log.Info(fmt.Sprint("away ", round, i))
			}
			b.start()
		}
		mustClose(t, p)
		if r := c.check(p); len(r.lines) != 303 {
			t.Errorf("%d lines", len(r.lines))
		}
	})
}

// The broker is not there yet, then the collector is not.
func TestStartsBeforeBrokerAndCollector(t *testing.T) {
	b := startBroker(t)
	b.stop()
	p := open(t, config(b))
	p.Named("test").Info("early")
	if s := p.Stats(); s.Buffered != 1 || s.Connected {
		t.Errorf("%+v", s)
	}
	b.start()
	err := p.Flush(within(t, 300*time.Millisecond))
	var unacked *publisher.UnackedError
	if !errors.As(err, &unacked) || unacked.Records != 1 || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("flush without a collector: %v", err)
	}
	c := collect(t, b, nil)
	mustClose(t, p)
	if r := c.check(p); len(r.lines) != 1 {
		t.Errorf("%d lines", len(r.lines))
	}
}

func TestLongRecordIsCutAndBlocksNothing(t *testing.T) {
	b := startBroker(t)
	b.stop()
	b.max = 16 << 10
	b.start()
	c := collect(t, b, nil)
	p := open(t, config(b))
	log := p.Named("test")
	log.Info("before")
	log.Info(strings.Repeat("long ", 20_000))
	log.Info("after")
	mustClose(t, p)
	r := c.check(p)
	if len(r.lines) != 3 || !strings.Contains(r.lines[1], `"truncated":true`) || !strings.Contains(r.lines[2], "after") {
		t.Errorf("%d lines", len(r.lines))
	}
}

func TestOverflowSheds(t *testing.T) {
	buffers(t, func(t *testing.T, dir string) {
		b := startBroker(t)
		cfg := config(b)
		cfg.BufferDir = dir
		cfg.Buffer = 64 << 10
		cfg.Overflow = publisher.Shed
		p := open(t, cfg)
		log := p.Named("test")
		// Nobody listens. Debug gets 70 percent, info 20 more, warnings the rest.
		for range 1000 {
			log.Debug("d")
		}
		for range 1000 {
			log.Info("i")
		}
		for range 1000 {
			log.Warn("w")
		}
		s := p.Stats()
		dropped := map[record.Level]uint64{}
		for _, d := range s.Drops {
			if d.Reason != "buffer full" {
				t.Errorf("%+v", d)
			}
			dropped[d.Level] += d.Count
		}
		kept := map[record.Level]uint64{}
		for _, l := range []record.Level{record.Debug, record.Info, record.Warn} {
			kept[l] = 1000 - dropped[l]
		}
		if kept[record.Debug] < 200 || kept[record.Info] < 50 || kept[record.Warn] < 20 ||
			kept[record.Debug] < 3*kept[record.Info] || kept[record.Info] < kept[record.Warn] {
			t.Errorf("kept %v", kept)
		}
		if s.Logged < 3000 || s.Logged != s.Dropped+s.Buffered {
			t.Errorf("I9: %+v", s)
		}
		c := collect(t, b, nil)
		mustClose(t, p)
		r := c.check(p)
		told, records := r.told(t)
		if told != s.Dropped || records == 0 {
			t.Errorf("told of %d in %d records, dropped %d", told, records, s.Dropped)
		}
		last := r.lines[len(r.lines)-1]
		if !strings.Contains(last, `"msg":"buffer recovered"`) || !strings.Contains(last, fmt.Sprintf(`"dropped":%d`, s.Dropped)) {
			t.Errorf("last line %s", last)
		}
	})
}

func TestBlockWaitsOncePerOutage(t *testing.T) {
	b := startBroker(t)
	cfg := config(b)
	cfg.Buffer = 64 << 10
	cfg.BlockTimeout = 2 * time.Second // long against any answer, below
	p := open(t, cfg)
	log := p.Named("test")
	start := time.Now()
	for range 2000 {
		log.Debug("d")
	}
	if took := time.Since(start); took < cfg.BlockTimeout || took > 50*cfg.BlockTimeout {
		t.Errorf("2000 calls took %v, waiting once takes %v", took, cfg.BlockTimeout)
	}
	s := p.Stats()
	if s.Dropped == 0 || s.Logged < 2000 || s.Logged != s.Dropped+s.Buffered {
		t.Errorf("%+v", s)
	}
	c := collect(t, b, nil)
	if err := p.Flush(within(t, limit)); err != nil {
		t.Fatal(err)
	}
	c.await("the record that tells of it", func() bool {
		r := c.runs[p.Identity().Run]
		return r != nil && strings.Contains(r.lines[len(r.lines)-1], "buffer recovered")
	})
	// Recovered: with a collector that answers, nothing is dropped any more.
	for range 5000 {
		log.Debug("d")
	}
	if again := p.Stats(); again.Dropped != s.Dropped {
		t.Errorf("dropped %d more", again.Dropped-s.Dropped)
	}
	mustClose(t, p)
	r := c.check(p)
	if told, _ := r.told(t); told != s.Dropped {
		t.Errorf("told of %d, dropped %d", told, s.Dropped)
	}
}

func TestCloseWithDeadline(t *testing.T) {
	buffers(t, func(t *testing.T, dir string) {
		b := startBroker(t)
		cfg := config(b)
		cfg.BufferDir = dir
		p := open(t, cfg)
		for range 7 {
			p.Named("test").Info("m")
		}
		err := p.Close(within(t, 50*time.Millisecond))
		var unacked *publisher.UnackedError
		if !errors.As(err, &unacked) || unacked.Records != 7 || (unacked.Kept != "") != (dir != "") {
			t.Fatalf("close: %v", err)
		}
		if err := p.Close(context.Background()); !errors.As(err, &unacked) || unacked.Records != 7 {
			t.Errorf("second close: %v", err)
		}
		if err := p.Flush(context.Background()); !errors.Is(err, publisher.ErrClosed) {
			t.Errorf("flush after close: %v", err)
		}
		p.Named("test").Info("late")
		if s := p.Stats(); s.Refused != 1 || s.Logged != 7 || s.Buffered != 7 {
			t.Errorf("%+v", s)
		}
		if dir == "" {
			return
		}
		c := collect(t, b, nil)
		report, err := publisher.Drain(within(t, limit), publisher.DrainConfig{Dir: dir, Conn: cfg.Conn})
		if err != nil || len(report.Runs) != 1 || report.Runs[0].Sent != 7 || report.Runs[0].Last != 7 {
			t.Fatalf("drain: %+v, %v", report, err)
		}
		if r := c.run(p.Identity()); len(r.lines) != 7 || !r.ended {
			t.Errorf("%d lines, ended %v", len(r.lines), r.ended)
		}
		noFiles(t, dir)
	})
}
