package publisher_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
	"github.com/logbraid/logbraid/tests/freeport"
)

// storing is a broker with JetStream, with the means to look into its streams.
type storing struct {
	*broker
	js jetstream.JetStream
}

func startStoring(t *testing.T) *storing {
	t.Helper()
	b := &broker{t: t, port: freeport.Get(t), store: t.TempDir()}
	b.start()
	t.Cleanup(func() { b.stop() })
	nc, err := nats.Connect(b.url(), nats.Timeout(limit), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &storing{b, js}
}

func (s *storing) stream(name string, most int64) jetstream.Stream {
	s.t.Helper()
	// Behind a deletion the server tidies the store's directories away, and a stream that is made meanwhile fails once.
	const storeFailed = 10049
	for ctx := within(s.t, limit); ; {
		st, err := s.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: name, Subjects: []string{"logs.>"}, Discard: jetstream.DiscardNew, MaxBytes: most,
		})
		var api *jetstream.APIError
		switch {
		case err == nil:
			return st
		case !errors.As(err, &api) || api.ErrorCode != storeFailed:
			s.t.Fatal(err)
		}
	}
}

// read has a collector take what the stream holds.
func (s *storing) read(name string) *fakeCollector {
	s.t.Helper()
	c := &fakeCollector{t: s.t, runs: map[string]*fakeRun{}}
	c.changed = sync.NewCond(&c.mu)
	c.feed(s, name)
	return c
}

func (c *fakeCollector) feed(s *storing, name string) (last uint64) {
	c.t.Helper()
	st, err := s.js.Stream(within(c.t, limit), name)
	if err != nil {
		c.t.Fatal(err)
	}
	state := st.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq; seq++ {
		m, err := st.GetMsg(within(c.t, limit), seq)
		if err != nil {
			c.t.Fatal(err)
		}
		c.take(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	}
	return state.LastSeq
}

func streamed(b *storing) publisher.Config {
	cfg := config(b.broker)
	cfg.Delivery = "stream"
	publisher.SetAckTimeout(&cfg, 100*time.Millisecond)
	return cfg
}

// The stream acknowledges, the broker is restarted under load, and the end of the run is in the stream as well.
func TestStreamTakesEveryRecord(t *testing.T) {
	b := startStoring(t)
	b.stream("LOGS", -1)
	p := open(t, streamed(b))
	l := p.Named("l")
	for i := range 3000 {
		l.Info(fmt.Sprint(i))
		if i%1000 == 500 {
			b.stop()
			b.start()
		}
	}
	if err := p.Flush(within(t, limit)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, p)
	if r := b.read("LOGS").check(p); len(r.lines) != 3000 {
		t.Errorf("%d records are stored", len(r.lines))
	}
}

// Without a stream the publisher waits, and says so; a stream of another name that takes its subjects is not taken
// for its own.
func TestStreamIsAwaited(t *testing.T) {
	for _, other := range []bool{false, true} {
		t.Run(fmt.Sprint("other=", other), func(t *testing.T) {
			b := startStoring(t)
			if other {
				b.stream("OTHER", -1)
			}
			cfg := streamed(b)
			diagnostics := new(lockedBuffer)
			cfg.Diagnostics = slog.New(slog.NewTextHandler(diagnostics, nil))
			p := open(t, cfg)
			p.Named("l").Info("0")
			said := "there is no stream yet"
			if other {
				said = "expected stream does not match"
			}
			for end := time.Now().Add(limit); !strings.Contains(diagnostics.String(), said); {
				if time.Now().After(end) {
					t.Fatalf("not said: %s", diagnostics)
				}
				time.Sleep(time.Millisecond)
			}
			if s := p.Stats(); s.Acked != 0 {
				t.Fatalf("stats %+v", s)
			}
			if other {
				if err := b.js.DeleteStream(within(t, limit), "OTHER"); err != nil {
					t.Fatal(err)
				}
			}
			b.stream("LOGS", -1)
			mustClose(t, p)
			b.read("LOGS").check(p)
			if strings.Count(diagnostics.String(), said) != 1 {
				t.Errorf("said more than once: %s", diagnostics)
			}
		})
	}
}

// A full stream holds the publisher back; nothing is dropped, and when there is room again it all arrives.
func TestStreamIsFull(t *testing.T) {
	b := startStoring(t)
	st := b.stream("LOGS", 100_000)
	cfg := streamed(b)
	cfg.Batch = 10_000
	cfg.BlockTimeout = 10 * time.Minute
	cfg.Buffer = 128 << 10
	cfg.MaxRecord = 2000
	diagnostics := new(lockedBuffer)
	cfg.Diagnostics = slog.New(slog.NewTextHandler(diagnostics, nil))
	p := open(t, cfg)
	done := make(chan struct{})
	const n = 1000
	go func() {
		defer close(done)
		l := p.Named("l")
		for i := range n {
			l.Info(fmt.Sprint(i), publisher.String("filler", strings.Repeat("x", 500)))
		}
	}()
	c := &fakeCollector{t: t, runs: map[string]*fakeRun{}}
	c.changed = sync.NewCond(&c.mu)
	full := false
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %+v", p.Stats())
		}
		full = full || strings.Contains(diagnostics.String(), "no room")
		if !full {
			continue
		}
		last := c.feed(b, "LOGS")
		if err := st.Purge(within(t, limit), jetstream.WithPurgeSequence(last+1)); err != nil {
			t.Fatal(err)
		}
		if s := p.Stats(); s.Buffered == 0 && s.Logged >= n {
			break
		}
	}
	<-done
	mustClose(t, p)
	c.feed(b, "LOGS")
	if r := c.check(p); len(r.lines) != n || r.dropped != 0 {
		t.Errorf("%d records, %d dropped", len(r.lines), r.dropped)
	}
	if n := strings.Count(diagnostics.String(), "no room"); n != 1 {
		t.Errorf("said %d times:\n%s", n, diagnostics)
	}
	if !strings.Contains(diagnostics.String(), "takes records again") {
		t.Errorf("its end is not said:\n%s", diagnostics)
	}
}

// What a dead run left is cut into other batches than the run itself had sent: the stream must not take a longer
// one for the shorter that it has.
func TestStreamDrainCutsElsewhere(t *testing.T) {
	b := startStoring(t)
	st := b.stream("LOGS", -1)
	dir := t.TempDir()
	p := orphan(t, dir, "w1", 10)
	// The run had sent its first three records, and died before it heard of it.
	batch, payload := p.batch(1, 3)
	nc, err := nats.Connect(b.url(), nats.Timeout(limit))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	m := &nats.Msg{Subject: record.Subject("logs", "etl", "w1"), Data: payload, Header: nats.Header{
		record.HeaderName: {string(batch.AppendHeader(nil))},
		"Nats-Msg-Id":     {publisher.MessageID(batch)},
	}}
	if _, err := nc.RequestMsg(m, limit); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the drainer is killed before it removes the file, and comes again
		report, err := publisher.Drain(within(t, limit), publisher.DrainConfig{
			Dir: dir, Conn: publisher.Connection{URL: b.url()}, Delivery: "stream",
		})
		if err != nil || len(report.Runs) != 1 || report.Runs[0].Sent != 10 {
			t.Fatalf("%+v, %v", report, err)
		}
		p.again(t)
	}
	_, r := b.read("LOGS").only()
	if len(r.lines) != 10 || !r.ended || r.lost != 0 {
		t.Errorf("%d records, ended %v, lost %d", len(r.lines), r.ended, r.lost)
	}
	// The same batch is stored once: the three, the ten, the end.
	info, err := st.Info(within(t, limit))
	if err != nil || info.State.Msgs != 3 {
		t.Errorf("%d messages, %v", info.State.Msgs, err)
	}
}

// A PubAck does not say whose it is. One that comes late must not count for the buffer that is drained next.
func TestStreamLateAnswerOfAnotherBuffer(t *testing.T) {
	b := startBroker(t)
	nc, err := nats.Connect(b.url(), nats.Timeout(limit))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	dir := t.TempDir()
	first, second := orphan(t, dir, "w1", 3), orphan(t, dir, "w2", 3)
	const stored = `{"stream":"LOGS","seq":1}`
	var late []*nats.Msg
	lost := true
	var mu sync.Mutex
	var took []string
	done := make(chan struct{})
	end := sync.OnceFunc(func() { close(done) })
	sub, err := nc.Subscribe("logs.>", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		h, err := record.ParseBatch(m.Header.Get(record.HeaderName))
		if err != nil {
			t.Error(err)
		}
		if h.Run == second.id.Run && lost {
			// This one is lost on its way; what arrives at its sender are second answers to older messages.
			lost = false
			for _, m := range late {
				_ = m.Respond([]byte(stored))
			}
			return
		}
		if h.Run == first.id.Run {
			late = append(late, m)
		}
		took = append(took, fmt.Sprint(h.Run, h.First, h.End))
		_ = m.Respond([]byte(stored))
		if h.Run == second.id.Run && h.End {
			end()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := publisher.Drain(within(t, limit), publisher.DrainConfig{Dir: dir, Conn: publisher.Connection{URL: b.url()}, Delivery: "stream"}); err != nil {
		t.Fatal(err)
	}
	<-done
	mu.Lock()
	defer mu.Unlock()
	if want := fmt.Sprint(second.id.Run, 1, false); !slices.Contains(took, want) {
		t.Errorf("the second buffer's records were given up: %v", took)
	}
}

// ghost is a run that is over, and what it left.
type ghost struct {
	id    record.Identity
	path  string
	lines [][]byte
	file  []byte
}

// orphan makes the buffer file of a run that has died with n records in it.
func orphan(t testing.TB, dir, worker string, n int) *ghost {
	t.Helper()
	id := record.Identity{App: "etl", Worker: worker, Run: record.NewRun()}
	g := &ghost{id: id, path: filepath.Join(dir, ring.FileName(id))}
	r, err := ring.Create(g.path, 64<<10, id, "logs")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		l := record.GetLine()
		l.Start(time.Unix(1_800_000_000, 0), record.Info, "l", fmt.Sprint(i))
		body := bytes.Clone(l.Finish(4096))
		l.Free()
		if _, err := r.Append(body, 100); err != nil {
			t.Fatal(err)
		}
		g.lines = append(g.lines, record.AppendEnd(record.AppendTail(body, id), uint64(i+1)))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if g.file, err = os.ReadFile(g.path); err != nil {
		t.Fatal(err)
	}
	return g
}

// again puts the file back.
func (g *ghost) again(t testing.TB) {
	t.Helper()
	if err := os.WriteFile(g.path, g.file, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (g *ghost) batch(first, last uint64) (record.Batch, []byte) {
	b := record.Batch{Run: g.id.Run, First: first, Last: last, Count: int(last - first + 1), Oldest: first}
	payload := bytes.Join(g.lines[first-1:last], nil)
	b.CRC = record.Checksum(payload)
	return b, payload
}

// lockedBuffer is diagnostics that a test reads while they are written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
