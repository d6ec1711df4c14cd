package consumer

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// makeStream makes the stream as logbraid does.
func makeStream(t testing.TB, s *server.Server) jetstream.Stream {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), nats.Timeout(guard))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	st, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "LOGS", Subjects: []string{"logs.>"}, Discard: jetstream.DiscardNew, MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// store publishes and waits until the stream has it.
func (s *sender) store(seqs ...uint64) {
	s.t.Helper()
	if _, err := s.nc.RequestMsg(s.message(seqs...), guard); err != nil {
		s.t.Fatal(err)
	}
}

func TestStream(t *testing.T) {
	s := startServer(t, nil)
	st := makeStream(t, s)
	w1, w2 := newSender(t, s, "w1"), newSender(t, s, "w2")
	w2.blocks = true
	w1.store(1, 2)
	w1.store(1, 2) // its acknowledgement was lost
	w2.store(1)
	w1.store(span(2, 4)...) // cut elsewhere by whoever drains a dead worker's buffer
	w2.store(4)             // 2 and 3 are nowhere

	live := start(t, s, Config{Stream: "LOGS"})
	all := start(t, s, Config{Stream: "LOGS", Sequence: 1})
	middle := start(t, s, Config{Stream: "LOGS", Sequence: 4})
	w1.store(5)
	history := []string{"w1 1", "w1 2", "w2 1", "w1 3", "w1 4", "w2 gap 2-3 missed 2 dropped 0", "w2 4", "w1 5"}
	read(t, all, history...)
	read(t, live, "w1 5")
	read(t, middle, "w1 2", "w1 3", "w1 4", "w2 4", "w1 5")

	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	if err := st.Purge(ctx, jetstream.WithPurgeSequence(4)); err != nil {
		t.Fatal(err)
	}
	read(t, start(t, s, Config{Stream: "LOGS", Sequence: 2}), "removed 2-3", "w1 2", "w1 3", "w1 4", "w2 4", "w1 5")
	w1.store(6)
	read(t, live, "w1 6")
}

// A reader loses nothing by being slow, and what the stream removes before it was read is told.
func TestPurgedUnderTheReader(t *testing.T) {
	s := startServer(t, nil)
	st := makeStream(t, s)
	c := start(t, s, Config{Stream: "LOGS", Sequence: 1})
	w := newSender(t, s, "w1")
	w.store(1)
	read(t, c, "w1 1")
	for n := uint64(2); n <= 500; n++ {
		w.store(n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	if err := st.Purge(ctx, jetstream.WithPurgeSequence(400)); err != nil {
		t.Fatal(err)
	}
	received, missed := uint64(1), uint64(0)
	for rec, err := range c.Records(ctx) {
		if gap, ok := err.(*Gap); ok {
			missed += gap.Missed
		} else if err != nil {
			t.Fatal(err)
		} else {
			received++
		}
		if rec.Seq == 500 {
			break
		}
	}
	if received+missed != 500 || missed < 300 {
		t.Errorf("%d received, %d missed", received, missed)
	}
}

// From a time: exactly the records from then on, though one batch holds older ones as well, and a worker's clock is
// ahead of the broker's.
func TestSince(t *testing.T) {
	s := startServer(t, nil)
	makeStream(t, s)
	now := time.Now()
	w1, w2 := newSender(t, s, "w1"), newSender(t, s, "w2")
	w1.at, w2.at = now, now.Add(30*time.Second)
	w1.store(span(1, 10)...) // record n is n ms later
	w2.store(1, 2)
	w1.store(11)
	read(t, start(t, s, Config{Stream: "LOGS", Since: now.Add(7 * time.Millisecond)}), "w1 7", "w1 8", "w1 9", "w1 10", "w2 1", "w2 2", "w1 11")
	read(t, start(t, s, Config{Stream: "LOGS", Since: now.Add(30*time.Second + 2*time.Millisecond)}), "w2 2")
}

func TestDurable(t *testing.T) {
	s := startServer(t, nil)
	st := makeStream(t, s)
	w := newSender(t, s, "w1")
	w.store(1, 2)
	cfg := Config{Stream: "LOGS", Sequence: 1, Durable: "errors"}
	first := start(t, s, cfg)
	w.store(3, 4)
	w.store(5, 6)
	read(t, first, "w1 1", "w1 2", "w1 3", "w1 4", "w1 5") // it takes 6 as well, but not the end of it
	first.Close()
	w.store(7, 8)
	second := start(t, s, cfg)
	read(t, second, "w1 5", "w1 6", "w1 7", "w1 8")

	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	w.store(9)
	w.store(10)
	if err := st.Purge(ctx, jetstream.WithPurgeSequence(6)); err != nil {
		t.Fatal(err)
	}
	second.Close()
	read(t, start(t, s, cfg), "w1 10")

	cfg.Filter.Workers = []string{"w9"}
	if _, err := Start(ctx, Config{NATS: first.config().NATS, Stream: "LOGS", Durable: "errors", Filter: cfg.Filter}); err == nil || !strings.Contains(err.Error(), "take another name") {
		t.Errorf("a consumer of another subject: %v", err)
	}
}

func (c *Consumer) config() Config { return c.source.(*stream).cfg }

// A process that was killed did not give its message back: it comes again before anything newer.
func TestDurableAfterKill(t *testing.T) {
	s := startServer(t, nil)
	makeStream(t, s)
	w := newSender(t, s, "w1")
	cfg := Config{Stream: "LOGS", Sequence: 1, Durable: "errors"}
	w.store(1, 2)
	w.store(3, 4)
	first := start(t, s, cfg)
	read(t, first, "w1 1", "w1 2", "w1 3")
	f := first.source.(*stream)
	f.nc.Close() // as far as the broker can see
	read(t, start(t, s, cfg), "w1 3", "w1 4")
}

func TestStreamGroup(t *testing.T) {
	s := startServer(t, nil)
	makeStream(t, s)
	cfg := Config{Stream: "LOGS", Sequence: 1, Group: "g"}
	a, b := start(t, s, cfg), start(t, s, cfg)
	w := newSender(t, s, "w1")
	for n := uint64(1); n <= 40; n++ {
		w.store(n)
	}
	seen := make(chan string, 100)
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	for name, c := range map[string]*Consumer{"a": a, "b": b} {
		go func() {
			for rec, err := range c.Records(ctx) {
				seen <- name + " " + describe(rec, err)
			}
		}()
	}
	got := make(map[string]bool)
	for len(got) < 40 {
		select {
		case what := <-seen:
			if _, what, _ := strings.Cut(what, " "); !strings.HasPrefix(what, "w1 ") || strings.Contains(what, "gap") {
				t.Fatal(what)
			} else {
				got[what] = true
			}
		case <-ctx.Done():
			t.Fatalf("%d of 40", len(got))
		}
	}
}

// The stream may be made after its readers.
func TestStreamComesLater(t *testing.T) {
	s := startServer(t, nil)
	started := make(chan *Consumer)
	go func() { started <- start(t, s, Config{Stream: "LOGS", Sequence: 1}) }()
	w := newSender(t, s, "w1")
	makeStream(t, s)
	w.store(1)
	read(t, <-started, "w1 1")
}
