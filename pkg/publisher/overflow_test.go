package publisher

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/record"
)

// harness is an overflow without a sender: the test is the sender.
type harness struct {
	*overflow
	t       *testing.T
	closing chan struct{}
}

func newHarness(t *testing.T, mode Overflow) *harness {
	t.Helper()
	return newHarnessWith(t, Config{Overflow: mode, BlockTimeout: 5 * time.Second})
}

func newHarnessWith(t *testing.T, cfg Config) *harness {
	t.Helper()
	r, err := ring.New(64<<10, record.Identity{App: "etl", Worker: "w3", Run: "4fK9xQ2LmP"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	closing := make(chan struct{})
	cfg.Diagnostics = slog.New(slog.DiscardHandler)
	o := newOverflow(r, cfg, closing)
	return &harness{overflow: o, t: t, closing: closing}
}

func (h *harness) log(level record.Level) error {
	l := record.GetLine()
	defer l.Free()
	l.Start(time.Now(), level, "test", "m")
	l.Str("pad", strings.Repeat("x", 800))
	return h.put(level, l.Finish(4<<10))
}

// fill leaves no room, not even for a short record.
func (h *harness) fill() {
	h.t.Helper()
	for _, size := range []int{800, 1} {
		for {
			l := record.GetLine()
			l.Start(time.Now(), record.Warn, "test", "m")
			l.Str("pad", strings.Repeat("x", size))
			_, err := h.ring.Append(l.Finish(4<<10), 100)
			l.Free()
			if errors.Is(err, ring.ErrFull) {
				break
			}
			if err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

// ack is an acknowledgement of the n oldest records, and what the sender does then.
func (h *harness) ack(n int) {
	if _, b, ok := h.ring.Next(1<<20, n); ok {
		h.ring.Release(b.Last)
	}
	h.progressed()
	h.tell()
}

// messages are those of the publisher's own records in the ring.
func (h *harness) messages() (own []string) {
	for {
		p, b, ok := h.ring.Next(1<<20, 1)
		if !ok {
			return own
		}
		r, err := record.Parse(p)
		if err != nil {
			h.t.Fatal(err)
		}
		if r.Logger == record.OwnLogger {
			count, _ := r.Field("count")
			if count == nil {
				count, _ = r.Field("dropped")
			}
			own = append(own, r.Msg+" "+string(count))
		}
		h.ring.Release(b.Last)
	}
}

// In an outage one call waits for the whole BLOCK_TIMEOUT; those that stand
// behind it do not wait longer, and later ones not at all.
func TestBlockTimeoutOncePerOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Block)
		h.fill()
		start := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := h.log(record.Info); err != nil {
					t.Error(err)
				}
				if d := time.Since(start); d != 5*time.Second {
					t.Errorf("a call waited %v", d)
				}
			})
		}
		synctest.Wait()
		wg.Wait()
		before := time.Now()
		for range 100 {
			if err := h.log(record.Info); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(before); d != 0 {
			t.Errorf("later calls waited %v", d)
		}
		s := h.ring.Stats()
		if s.Drops() != 110 || s.Dropped[record.Info][ring.Timeout] != 10 || s.Dropped[record.Info][ring.Full] != 100 {
			t.Errorf("%+v", s)
		}
		// The next outage has a wait of its own.
		for h.ring.Stats().Held > 0 {
			h.ack(10)
		}
		h.ack(1)
		h.fill()
		before = time.Now()
		_ = h.log(record.Info)
		if d := time.Since(before); d != 5*time.Second {
			t.Errorf("in the next outage a call waited %v", d)
		}
	})
}

// As long as something is acknowledged now and then, nothing is dropped: calls
// are slowed down to what the collector takes.
func TestBlockIsBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Block)
		h.fill()
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(4 * time.Second):
					h.ack(2)
				}
			}
		}()
		for range 20 {
			start := time.Now()
			if err := h.log(record.Debug); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("a call waited %v", d)
			}
		}
		close(stop)
		if s := h.ring.Stats(); s.Drops() != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Nobody waits longer than BLOCK_TIMEOUT, also where others are served first.
func TestBlockBoundsEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Block)
		h.fill()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				start := time.Now()
				if err := h.log(record.Warn); err != nil {
					t.Error(err)
				}
				if d := time.Since(start); d > 5*time.Second {
					t.Errorf("a call waited %v", d)
				}
			})
		}
		for range 6 {
			time.Sleep(900 * time.Millisecond) // virtual
			h.ack(2)
		}
		wg.Wait()
		if s := h.ring.Stats(); s.Drops() == 0 || s.Drops() > 5 {
			t.Errorf("%+v", s)
		}
	})
}

// A call that waits rests until half of the buffer is free, but not for longer than a moment if there is room at all.
func TestBlockedCallRests(t *testing.T) {
	const all = 1 << 20
	for _, c := range []struct {
		name    string
		timeout time.Duration
		at      time.Duration // when there is an acknowledgement
		records int
		want    time.Duration // how long the call waits
	}{
		{"a little is freed at once", 5 * time.Second, time.Millisecond, 2, maxRest},
		{"a little is freed later", 5 * time.Second, maxRest + time.Millisecond, 2, maxRest + time.Millisecond},
		{"much is freed", 5 * time.Second, time.Millisecond, all, time.Millisecond},
		{"little time", 40 * time.Millisecond, time.Millisecond, 2, 10 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarnessWith(t, Config{Overflow: Block, BlockTimeout: c.timeout})
				h.fill()
				start := time.Now()
				time.AfterFunc(c.at, func() { h.ack(c.records) })
				if err := h.log(record.Info); err != nil {
					t.Fatal(err)
				}
				if d := time.Since(start); d != c.want {
					t.Errorf("the call waited %v, not %v", d, c.want)
				}
				if s := h.ring.Stats(); s.Drops() != 0 || h.shedding.Load() {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func TestBlockEndsWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Block)
		h.fill()
		start := time.Now()
		done := make(chan error)
		go func() { done <- h.log(record.Info) }()
		synctest.Wait()
		close(h.closing)
		if err := <-done; err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		h.ring.Seal()
		if err := h.log(record.Info); !errors.Is(err, ring.ErrSealed) {
			t.Errorf("after the end of the run: %v", err)
		}
	})
}

// Trace and debug go first, then info; warnings have the last part.
func TestShedsBySeverity(t *testing.T) {
	h := newHarness(t, Shed)
	kept := func(level record.Level, most int) {
		t.Helper()
		for range 100 {
			if err := h.log(level); err != nil {
				t.Fatal(err)
			}
		}
		if fill := h.ring.Fill(); fill > most || fill < most-5 {
			t.Errorf("%v fills the buffer to %d percent, want %d", level, fill, most)
		}
	}
	kept(record.Trace, 70)
	kept(record.Debug, 70)
	kept(record.Info, 90)
	kept(record.Warn, 100)
	before := h.ring.Stats().Held
	h.ack(3)
	for _, level := range []record.Level{record.Info, record.Debug, record.Error} {
		if err := h.log(level); err != nil {
			t.Fatal(err)
		}
	}
	// Three went, one was told of, and only the error came in.
	if held := h.ring.Stats().Held; held != before-3+1+1 {
		t.Errorf("held %d, before %d", held, before)
	}
}

func TestTellsAsSoonAsThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, Shed)
		h.fill()
		for range 7 {
			_ = h.log(record.Info)
		}
		h.tell()
		if _, b, _ := h.ring.Next(1<<20, 1000); b.Dropped != 0 {
			t.Error("told of drops in a full buffer")
		}
		h.ack(2) // room for one record
		for range 3 {
			_ = h.log(record.Info)
		}
		h.ack(2) // within the same second: not yet
		time.Sleep(2 * time.Second)
		h.ack(1)
		for h.ring.Fill() > recoveredAt {
			h.ack(1)
		}
		got := strings.Join(h.messages(), ", ")
		if want := "records dropped 7, records dropped 3, buffer recovered 10"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		if h.outage.active.Load() || !h.shedding.Load() {
			t.Error("the outage is not over, or mode shed is")
		}
		if count, _, _ := h.ring.Untold(); count != 0 {
			t.Errorf("%d untold", count)
		}
	})
}

// The run must not end with drops that nobody was told of, nor while a record is
// held that may come to be one.
func TestSealWaitsForTelling(t *testing.T) {
	h := newHarness(t, Shed)
	mustNotSeal := func(why string) {
		t.Helper()
		if h.seal() {
			t.Fatalf("sealed with %s", why)
		}
	}
	h.fill()
	_ = h.log(record.Info)
	mustNotSeal("untold drops")
	h.ack(5)
	if h.untold.count != 0 {
		t.Fatal("not told although there was room")
	}
	mustNotSeal("records held")
	for h.ring.Stats().Held > 0 {
		if _, b, ok := h.ring.Next(1<<20, 1); ok {
			h.ring.Release(b.Last)
		}
	}
	h.progressed()
	mustNotSeal("the end of the outage untold")
	h.tell()
	h.ack(1)
	if !h.seal() {
		t.Fatal("not sealed")
	}
	if err := h.log(record.Info); !errors.Is(err, ring.ErrSealed) {
		t.Errorf("after the end of the run: %v", err)
	}
}

// A log call that began before Close puts its record into the buffer when the
// sender has found it empty, and the collector rejects it.
func TestSealWaitsForRejection(t *testing.T) {
	h := newHarness(t, Block)
	if err := h.log(record.Error); err != nil {
		t.Fatal(err)
	}
	if h.seal() {
		t.Fatal("sealed with a record held")
	}
	_, b, _ := h.ring.Next(1<<20, 1)
	level, _ := h.ring.Discard()
	d := drops{count: 1, first: b.First, last: b.Last}
	d.levels[level], d.reasons[ring.Rejected] = 1, 1
	h.rejected(d)
	if h.seal() {
		t.Fatal("sealed with the rejection untold")
	}
	h.tell()
	if got := strings.Join(h.messages(), ", "); got != "records dropped 1, buffer recovered 1" {
		t.Errorf("told %q", got)
	}
	if !h.seal() {
		t.Fatal("not sealed")
	}
	if count, _, _ := h.ring.Untold(); count != 0 {
		t.Errorf("%d untold", count)
	}
}

func TestTooLongForTheBuffer(t *testing.T) {
	h := newHarness(t, Block)
	if err := h.put(record.Error, make([]byte, 65<<10)); err != nil {
		t.Fatal(err)
	}
	h.tell()
	if got := strings.Join(h.messages(), ", "); got != "records dropped 1, buffer recovered 1" {
		t.Errorf("told %q", got)
	}
}
