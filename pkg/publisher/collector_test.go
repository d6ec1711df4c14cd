package publisher_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
	"github.com/logbraid/logbraid/tests/freeport"
)

// limit is how long a test waits for what must happen: a guard against hanging, which no slow machine may reach.
const limit = 2 * time.Minute

// broker is a real nats-server on loopback, on a port that a successor takes up.
type broker struct {
	t    testing.TB
	port int
	srv  *server.Server
	max  int32

	store string // of JetStream; "": without
}

func startBroker(t testing.TB) *broker {
	t.Helper()
	b := &broker{t: t, port: freeport.Get(t)}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *broker) start() {
	b.t.Helper()
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: b.port, NoSigs: true, NoLog: true, MaxPayload: b.max,
		JetStream: b.store != "", StoreDir: b.store,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(limit) {
		b.t.Fatal("the broker does not start")
	}
	b.srv = srv
}

func (b *broker) stop() {
	b.srv.Shutdown()
	b.srv.WaitForShutdown()
}

func (b *broker) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", b.port) }

// A fate is what the collector does with a message.
type fate int

const (
	commit fate = iota
	loseAck
	loseMessage
	want
	reject
)

// fakeCollector follows docs/wire.md and keeps what it took: an implementation of
// its own, so that it does not share the real one's mistakes.
type fakeCollector struct {
	t    testing.TB
	nc   *nats.Conn
	fate func(n int, b record.Batch, payload []byte) fate // n counts messages from 1

	mu       sync.Mutex
	changed  *sync.Cond
	messages int
	batches  []record.Batch // all that arrived
	runs     map[string]*fakeRun
}

type fakeRun struct {
	subject             string
	lines               []string
	seqs                []uint64
	last, dropped, lost uint64
	ended               bool
}

// collect starts a collector; f may be nil.
func collect(t testing.TB, b *broker, f func(n int, b record.Batch, payload []byte) fate) *fakeCollector {
	t.Helper()
	c := &fakeCollector{t: t, fate: f, runs: map[string]*fakeRun{}}
	c.changed = sync.NewCond(&c.mu)
	nc, err := nats.Connect(b.url(), nats.Timeout(limit), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	c.nc = nc
	t.Cleanup(nc.Close)
	if _, err := nc.Subscribe("logs.>", c.take); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *fakeCollector) take(m *nats.Msg) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.changed.Broadcast()
	c.messages++
	answer := func(a record.Ack) {
		if err := m.Respond(record.AppendAck(nil, a)); err != nil {
			c.t.Logf("answer: %v", err)
		}
	}
	b, err := record.ParseBatch(m.Header.Get(record.HeaderName))
	if err != nil {
		c.t.Errorf("header %q: %v", m.Header.Get(record.HeaderName), err)
		return
	}
	c.batches = append(c.batches, b)
	app, worker, err := record.ParseSubject("logs", m.Subject)
	if err != nil {
		c.t.Error(err)
		return
	}
	lines := m.Data
	if b.Enc == "s2" {
		if lines, err = s2.Decode(nil, m.Data); err != nil {
			c.t.Errorf("batch %+v: %v", b, err)
		}
	}
	if err := b.Check(lines, record.AppendTail(nil, record.Identity{App: app, Worker: worker, Run: b.Run})); err != nil {
		c.t.Errorf("batch %+v: %v", b, err)
	}
	act := commit
	if c.fate != nil {
		act = c.fate(c.messages, b, m.Data)
	}
	switch act {
	case loseMessage:
		return
	case reject:
		answer(record.Ack{Kind: record.AckReject, Run: b.Run, Reason: "the test says so"})
		return
	}
	r := c.runs[b.Run]
	if r == nil {
		r = &fakeRun{subject: m.Subject}
		c.runs[b.Run] = r
	}
	if act == want {
		answer(record.Ack{Kind: record.AckWant, Run: b.Run, Seq: r.last + 1})
		return
	}
	if b.Last > r.last || b.End && b.Last >= r.last {
		before := b.Dropped // drops before the batch's first record
		if !b.End {
			before -= b.Last - b.First + 1 - uint64(b.Count)
		}
		away := int64(b.First-1-r.last) - int64(before-r.dropped)
		if b.First <= r.last {
			away = 0 // an older copy had a part of it
		}
		if away < 0 {
			c.t.Errorf("batch %+v after last %d, dropped %d: the numbers contradict each other", b, r.last, r.dropped)
		}
		if away > 0 && b.Oldest < b.First { // ADR 5
			answer(record.Ack{Kind: record.AckWant, Run: b.Run, Seq: r.last + 1})
			return
		}
		r.lost += uint64(max(away, 0))
		for l := range bytes.Lines(lines) {
			t, _ := record.ScanTail(l)
			if t.Seq > r.last {
				r.lines = append(r.lines, string(l))
				r.seqs = append(r.seqs, t.Seq)
			}
		}
		r.last, r.dropped = b.Last, b.Dropped
		r.ended = r.ended || b.End
	}
	if act != loseAck {
		answer(record.Ack{Kind: record.AckCommitted, Run: b.Run, Seq: r.last})
	}
}

// barrier returns when the collector has taken all that the broker has.
func (c *fakeCollector) barrier() {
	c.t.Helper()
	taken := make(chan struct{})
	if err := errors.Join(c.nc.FlushTimeout(limit), c.nc.Barrier(func() { close(taken) })); err != nil {
		c.t.Fatal(err)
	}
	<-taken
}

// await waits until ok, which may look at everything.
func (c *fakeCollector) await(what string, ok func() bool) {
	c.t.Helper()
	end := time.Now().Add(limit)
	timer := time.AfterFunc(limit, func() {
		c.mu.Lock() // not between the look at the clock and the wait
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for !ok() {
		if !time.Now().Before(end) {
			c.t.Fatalf("waited in vain: %s", what)
		}
		c.changed.Wait()
	}
}

func (c *fakeCollector) run(id record.Identity) *fakeRun {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.runs[id.Run]
	if r == nil {
		return &fakeRun{}
	}
	return r
}

// check proves I1, I4 and I9 for a run that was closed: seqs in order, none twice,
// none away that was not counted.
func (c *fakeCollector) check(p *publisher.Publisher) *fakeRun {
	c.t.Helper()
	r := c.run(p.Identity())
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := 1; i < len(r.seqs); i++ {
		if r.seqs[i] <= r.seqs[i-1] {
			c.t.Fatalf("seq %d after %d", r.seqs[i], r.seqs[i-1])
		}
	}
	s := p.Stats()
	if s.Logged != s.Acked+s.Dropped+s.Buffered {
		c.t.Errorf("I9 at the publisher: %+v", s)
	}
	if !r.ended || r.last != s.Logged || r.dropped != s.Dropped || r.lost != 0 || uint64(len(r.lines)) != r.last-r.dropped {
		c.t.Errorf("I9 at the collector: %d lines, last %d, dropped %d, lost %d, ended %v; the publisher says %+v",
			len(r.lines), r.last, r.dropped, r.lost, r.ended, s)
	}
	return r
}

// told sums up the records that tell of drops.
func (r *fakeRun) told(t testing.TB) (count uint64, records int) {
	t.Helper()
	for _, l := range r.lines {
		rec, err := record.Parse([]byte(strings.TrimSuffix(l, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		if rec.Logger == record.OwnLogger && rec.Msg == record.MsgDropped {
			n, _ := rec.Field("count")
			var k uint64
			if _, err := fmt.Sscan(string(n), &k); err != nil {
				t.Fatal(err)
			}
			count += k
			records++
		}
	}
	return count, records
}

// config is one with which tests do not wait long.
func config(b *broker) publisher.Config {
	return publisher.Config{
		App: "etl", Worker: "w 3", Conn: publisher.Connection{URL: b.url()},
		Levels: "trace", CloseTimeout: limit,
	}
}
