package collector

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/pkg/record"
)

// What the stream stored while no collector was there is written by the next, once, foreign records too; and what
// is in the log, and on the disk, does not stay in the stream.
func TestStreamToFile(t *testing.T) {
	r := newStreamRig(t)
	c := r.collector()
	p := r.publisher(t, "etl", "w1")
	p.log(30, record.Info, "l", "a")
	r.batch(p, 1, 10)
	r.put("logs.etl.x", "", []byte("hello"))
	r.written(c, p, 10)
	closeNow(t, c)

	r.batch(p, 11, 20)
	r.batch(p, 11, 20) // its acknowledgement was lost
	r.put("logs.etl.x", "", []byte("hello again"))
	last := r.batch(p, 21, 30)
	c = r.collector()
	r.written(c, p, 30)
	r.until("the stream is freed", func() bool { return r.info().State.FirstSeq == last && c.Stats().Stream.Committed == last })
	s := c.Stats()
	if s.Delivery != "stream" || s.Stream == nil || s.Stream.Name != "LOGS" || s.Stream.Committed != last || s.Stream.Trouble != nil || s.Duplicates != 10 {
		t.Errorf("stats %+v, stream %+v", s, s.Stream)
	}
	r.until("nothing is pending", func() bool { s := c.Stats().Stream; return s.Pending == 0 && s.Last == last })
	closeNow(t, c)
	r.whole(p, 30)

	// Started again there is nothing new, and foreign records are there once.
	c = r.collector()
	if err := c.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	closeNow(t, c)
	r.whole(p, 30)
	if n := strings.Count(r.read(), `"foreign":true`); n != 2 {
		t.Errorf("%d foreign records, want 2:\n%s", n, r.read())
	}
	if strings.Contains(r.read(), "not as the log left it") {
		t.Errorf("a stream that is as it was left is complained of:\n%s", r.read())
	}
}

// What is in the log but not forced to the disk stays in the stream: after a power cut it would be nowhere else.
func TestStreamPurgesBehindTheSync(t *testing.T) {
	r := newStreamRig(t)
	r.cfg.FSync = "24h"
	c := r.collector()
	p := r.publisher(t, "etl", "w1")
	p.log(40, record.Info, "l", "a")
	for first := uint64(1); first <= 30; first += 10 {
		r.batch(p, first, first+9)
	}
	r.written(c, p, 30)
	var aged time.Time
	if err := c.writer.source.(*stream).free(t.Context(), &aged); err != nil {
		t.Fatal(err)
	}
	if first := r.info().State.FirstSeq; first != 1 {
		t.Errorf("what is not synced is purged up to %d", first)
	}
	closeNow(t, c)
	r.cfg.FSync = "10ms"
	c = r.collector()
	last := r.batch(p, 31, 40)
	r.until("what is synced is freed", func() bool { return r.info().State.FirstSeq == last })
	closeNow(t, c)
	r.whole(p, 40)
}

// Every crowd of bytes asks for one sync, and wakes whoever frees.
func TestStreamCrowd(t *testing.T) {
	syncs := 0
	s := &stream{crowd: 1000, crowded: make(chan struct{}, 1), hasten: func() { syncs++ }}
	for i, want := range []struct{ syncs, woken int }{{0, 0}, {0, 0}, {1, 1}, {1, 1}, {1, 1}, {2, 1}} {
		g := &group{source: &logfile.Source{}, messages: []message{{}}}
		g.tally.bytes = 400
		s.committed(g)
		if syncs != want.syncs || len(s.crowded) != want.woken {
			t.Errorf("commit %d: %d syncs, %d woken; want %+v", i, syncs, len(s.crowded), want)
		}
	}
}

// Under load neither the sync nor what follows from it waits for its time.
func TestStreamFreedBeforeItsTime(t *testing.T) {
	r := newStreamRig(t)
	r.cfg.FSync = "24h"
	c := r.collector()
	s := c.writer.source.(*stream)
	s.mu.Lock()
	s.crowd = 1000 // about four records
	s.mu.Unlock()
	p := r.publisher(t, "etl", "w1")
	p.log(40, record.Info, "l", "a")
	var last uint64
	for first := uint64(1); first <= 30; first += 10 {
		last = r.batch(p, first, first+9)
	}
	r.until("what was committed is freed", func() bool { return r.info().State.FirstSeq == last })
	closeNow(t, c)
	r.whole(p, 30)
}

// A gap is told at once: nobody can be asked, whatever the header says of the oldest record held.
func TestStreamGapIsToldAtOnce(t *testing.T) {
	r := newStreamRig(t)
	c := r.collector()
	p := r.publisher(t, "etl", "w1")
	p.log(10, record.Info, "l", "a")
	b, payload := p.batch(6, 10)
	b.Oldest = 1
	r.put(p.subject, header(b), payload)
	r.written(c, p, 5)
	s := c.Stats()
	if s.Lost != 5 || s.Wanted != 0 {
		t.Errorf("stats %+v", s)
	}
	if !strings.Contains(r.read(), record.MsgLost) {
		t.Errorf("not told:\n%s", r.read())
	}
}

// The broker is restarted under a collector that goes on.
func TestStreamBrokerRestarts(t *testing.T) {
	r := newStreamRig(t)
	c := r.collector()
	p := r.publisher(t, "etl", "w1")
	for i := range uint64(5) {
		p.log(10, record.Info, "l", "a")
		r.batch(p, 10*i+1, 10*i+10)
		r.down()
		r.up()
	}
	r.written(c, p, 50)
	closeNow(t, c)
	r.whole(p, 50)
	if strings.Contains(r.read(), "not as the log left it") {
		t.Errorf("complained:\n%s", r.read())
	}
}

// I8, with a collector that is there and with one that was not.
func TestStreamIsNotTheOne(t *testing.T) {
	for _, tt := range []struct {
		name   string
		reason string
		do     func(r *streamRig)
		lost   uint64 // of the records 21 to 30, which were in the stream and not in the log
		away   bool   // only with a collector that is away
	}{
		{"deleted", "deleted and made anew", func(r *streamRig) {
			if err := r.js.DeleteStream(r.t.Context(), "LOGS"); err != nil {
				r.t.Fatal(err)
			}
		}, 10, false},
		{"deleted and made anew by the operator", "deleted and made anew", func(r *streamRig) {
			config := r.info().Config
			if err := r.js.DeleteStream(r.t.Context(), "LOGS"); err != nil {
				r.t.Fatal(err)
			}
			if err := r.make(config); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // the collector was faster
				r.t.Fatal(err)
			}
		}, 10, false},
		{"purged", "purged before", func(r *streamRig) {
			st, err := r.js.Stream(r.t.Context(), "LOGS")
			if err == nil {
				err = st.Purge(r.t.Context())
			}
			if err != nil {
				r.t.Fatal(err)
			}
		}, 10, true},
	} {
		for _, away := range []bool{true, false} {
			if !away && tt.away {
				continue // what it has read cannot be purged from under it
			}
			t.Run(fmt.Sprintf("%s away=%v", tt.name, away), func(t *testing.T) {
				r := newStreamRig(t)
				c := r.collector()
				p := r.publisher(t, "etl", "w1")
				p.log(60, record.Info, "l", "a")
				r.batch(p, 1, 10)
				r.batch(p, 11, 20)
				r.written(c, p, 20)
				lost, from := uint64(0), uint64(21)
				if away {
					closeNow(t, c)
					r.batch(p, 21, 30)
					lost, from = tt.lost, 31
					tt.do(r)
					c = r.collector()
				} else {
					tt.do(r)
				}
				for first := from; first < 60; first += 10 {
					r.batch(p, first, min(first+9, 60))
				}
				r.written(c, p, 60-lost)
				s := c.Stats()
				if s.Lost != lost || s.Written != 60-lost {
					t.Errorf("%+v, want %d lost", s.Totals, lost)
				}
				closeNow(t, c)
				if text := r.read(); !strings.Contains(text, "not as the log left it") || !strings.Contains(text, tt.reason) {
					t.Errorf("not told:\n%s", text)
				}
				if lost == 0 {
					r.whole(p, 60)
				}
			})
		}
	}
}

// Damage takes the end of the stream, and new messages get the numbers of those that the log knows: nothing of
// them is skipped, nothing is written twice, and nothing is purged that is not in the log.
func TestStreamGivesNumbersTwice(t *testing.T) {
	for _, longer := range []bool{false, true} {
		t.Run(fmt.Sprint("longer=", longer), func(t *testing.T) {
			r := newStreamRig(t)
			r.cfg.Stream.Keep = "1h" // all of it stays
			c := r.collector()
			p := r.publisher(t, "etl", "w1")
			p.log(100, record.Info, "l", "a")
			for first := uint64(1); first <= 40; first += 10 {
				r.batch(p, first, first+9)
			}
			r.written(c, p, 40)
			closeNow(t, c)
			// The broker comes back without the last two.
			r.down()
			r.cutStore(2)
			r.up()
			last := uint64(50)
			if longer {
				last = 90
			}
			for first := uint64(41); first < last; first += 10 {
				r.batch(p, first, first+9)
			}
			c = r.collector()
			if err := c.CatchUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			closeNow(t, c)
			r.whole(p, last) // caught up is written
			if text := r.read(); !strings.Contains(text, "not as the log left it") {
				t.Errorf("not told:\n%s", text)
			}
		})
	}
}

// A commit that fails takes the reading back to the checkpoint.
func TestStreamRewinds(t *testing.T) {
	r := newStreamRig(t)
	fs := &faultFS{FS: logfile.OS(), lazy: true}
	r.cfg.fs = fs
	c := r.collector()
	p := r.publisher(t, "etl", "w1")
	p.log(100, record.Info, "l", "a")
	r.batch(p, 1, 10)
	r.written(c, p, 10)
	fs.breakWith(errors.New("no space left"))
	for first := uint64(11); first <= 100; first += 10 {
		r.batch(p, first, first+9)
		r.put("logs.etl.x", "", []byte("hello"))
	}
	r.until("the collector stalls", func() bool { return c.Stats().Stalled != nil })
	fs.mend()
	if err := c.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	closeNow(t, c)
	r.whole(p, 100)
	if n := strings.Count(r.read(), `"foreign":true`); n != 9 {
		t.Errorf("%d foreign records, want 9", n)
	}
}

// A stream that could lose records is refused, with the reason; one that is ours follows the settings.
func TestStreamSettings(t *testing.T) {
	r := newStreamRig(t)
	bad := jetstream.StreamConfig{Name: "LOGS", Subjects: []string{"logs.>"}, MaxAge: time.Hour}
	if _, err := r.js.CreateStream(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	r.cfg.NATS.URL = r.url
	_, err := Start(t.Context(), r.cfg)
	var refused *RefusedStreamError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "max age") || !strings.Contains(err.Error(), "discards old") {
		t.Fatalf("start: %v", err)
	}
	if err := r.js.DeleteStream(t.Context(), "LOGS"); err != nil {
		t.Fatal(err)
	}
	r.cfg.Stream.MaxBytes = 10 << 20
	closeNow(t, r.collector())
	if c := r.info().Config; c.MaxBytes != 10<<20 || c.Discard != jetstream.DiscardNew || c.Storage != jetstream.FileStorage || c.MaxAge != 0 {
		t.Errorf("made %+v", c)
	}
	r.cfg.Stream.MaxBytes, r.cfg.Stream.Compression = 20<<20, "s2"
	closeNow(t, r.collector())
	if c := r.info().Config; c.MaxBytes != 20<<20 || c.Compression != jetstream.S2Compression {
		t.Errorf("not changed: %+v", c)
	}
	// An operator's stream keeps what the operator gave it.
	if err := r.js.DeleteStream(t.Context(), "LOGS"); err != nil {
		t.Fatal(err)
	}
	if err := r.make(jetstream.StreamConfig{Name: "LOGS", Subjects: []string{"logs.>", "other.>"}, Discard: jetstream.DiscardNew, MaxBytes: 5 << 20}); err != nil {
		t.Fatal(err)
	}
	c := r.collector()
	if got := r.info().Config.MaxBytes; got != 5<<20 {
		t.Errorf("room became %d", got)
	}
	// What others have in it is neither read nor purged.
	p := r.publisher(t, "etl", "w1")
	p.log(20, record.Info, "l", "a")
	theirs := r.put("other.x", "", []byte("not ours"))
	r.batch(p, 1, 10)
	r.batch(p, 11, 20)
	r.written(c, p, 20)
	r.until("ours are freed", func() bool { return r.info().State.Msgs == 2 })
	if first := r.info().State.FirstSeq; first != theirs {
		t.Errorf("the stream begins at %d, not with another's message %d", first, theirs)
	}
	if strings.Contains(r.read(), "not ours") {
		t.Error("another's message is in the log")
	}
	// Somebody makes it dangerous while we read it: told, not ignored.
	config := r.info().Config
	config.MaxAge = time.Hour
	if _, err := r.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	r.until("it is told", func() bool { return strings.Contains(r.read(), "the stream may lose records") })
}

// What is kept for analysts stays, by size and by age.
func TestStreamKeeps(t *testing.T) {
	r := newStreamRig(t)
	r.cfg.Stream.Keep = "64KiB"
	c := r.collector()
	p := r.publisher(t, "etl", "w1")
	p.log(300, record.Info, "l", strings.Repeat("x", 1000))
	for first := uint64(1); first <= 300; first++ {
		r.batch(p, first, first)
	}
	r.written(c, p, 300)
	r.until("the rest is freed", func() bool { return r.info().State.Bytes < 80<<10 })
	if bytes := r.info().State.Bytes; bytes < 64<<10 {
		t.Errorf("only %d bytes are kept", bytes)
	}
	closeNow(t, c)

	r.cfg.Stream.Keep = "1h"
	c = r.collector()
	before := r.info().State.FirstSeq
	p.log(10, record.Info, "l", "young")
	r.batch(p, 301, 310)
	r.written(c, p, 310)
	looked := c.Stats().Commits
	r.until("it has been looked after", func() bool { s := c.Stats(); return s.Stream.Pending == 0 && s.Commits >= looked })
	st := c.writer.source.(*stream)
	if seq, err := st.firstSince(t.Context(), time.Now().Add(-time.Hour)); err != nil || seq > before {
		t.Errorf("what is an hour old begins at %d, %v", seq, err)
	}
	if seq, err := st.firstSince(t.Context(), time.Now().Add(time.Hour)); err != nil || seq != r.info().State.LastSeq+1 {
		t.Errorf("what is to come begins at %d, %v", seq, err)
	}
	closeNow(t, c)
	r.cfg.Stream.Keep = "1s"
	c = r.collector()
	defer closeNow(t, c)
	r.until("what has aged is freed", func() bool { return r.info().State.Msgs == 1 })
}

// What waits for the writer is bounded in bytes, however much the stream holds.
func TestStreamPrefetchIsBounded(t *testing.T) {
	r := newStreamRig(t)
	fs := &faultFS{FS: logfile.OS(), lazy: true}
	r.cfg.fs = fs
	c := r.collector()
	fs.breakWith(errors.New("no space left"))
	p := r.publisher(t, "etl", "w1")
	const n = 300
	p.log(n, record.Info, "l", strings.Repeat("x", 200<<10))
	for seq := range uint64(n) { // 60 MB; 40 may wait or be on their way
		r.batch(p, seq+1, seq+1)
	}
	r.until("as much is fetched as may be", func() bool { return c.Stats().QueuedBytes >= queueBytes/2 })
	if most := c.Stats().QueuedBytes; most > queueBytes+1<<20 {
		t.Errorf("%d bytes wait", most)
	}
	fs.mend()
	r.written(c, p, n)
	closeNow(t, c)
	r.whole(p, n)
}
