package publisher

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/pkg/record"
)

// A capture is the least that a publisher needs on the other side: a broker in this process, and a
// subscriber that keeps what comes and acknowledges it.
type capture struct {
	mu    sync.Mutex
	lines [][]byte
	last  map[string]uint64 // seq, by run
	held  chan struct{}     // nil, or closed when the subscriber may begin
}

// newCapture starts a publisher with a capture behind it.
func newCapture(t testing.TB, cfg Config) (*Publisher, *capture) {
	t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.Timeout(2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)

	c := &capture{last: map[string]uint64{}}
	if _, err := nc.Subscribe("logs.>", c.take); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	cfg.Conn.InProcess = s
	cfg.CloseTimeout = cmp.Or(cfg.CloseTimeout, 2*time.Minute)
	if cfg.App == "" {
		cfg.App, cfg.Worker = "etl", "w1"
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	return p, c
}

func (c *capture) take(m *nats.Msg) {
	b, err := record.ParseBatch(m.Header.Get(record.HeaderName))
	if err != nil {
		return
	}
	c.mu.Lock()
	held := c.held
	c.mu.Unlock()
	if held != nil {
		<-held
	}
	c.mu.Lock()
	for line := range bytes.Lines(m.Data) {
		// On a slow machine a batch comes again before its answer has arrived.
		if tail, ok := record.ScanTail(line); !ok || tail.Seq > c.last[b.Run] {
			c.lines, c.last[b.Run] = append(c.lines, bytes.Clone(line)), tail.Seq
		}
	}
	c.mu.Unlock()
	_ = m.Respond(record.AppendAck(nil, record.Ack{Kind: record.AckCommitted, Run: b.Run, Seq: b.Last}))
}

// hold keeps the subscriber from taking anything for d: what has arrived then, somebody has waited for.
func (c *capture) hold(d time.Duration) { time.AfterFunc(d, c.holdUntil()) }

// holdUntil keeps the subscriber from taking anything until release is called.
func (c *capture) holdUntil() (release func()) {
	held := make(chan struct{})
	c.mu.Lock()
	c.held = held
	c.mu.Unlock()
	return func() { close(held) }
}

// arrived returns the records that are here now, decoded by encoding/json.
func (c *capture) arrived(t testing.TB) []map[string]any {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []map[string]any
	for _, line := range c.lines {
		if err := record.Valid(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			t.Errorf("not a valid line: %v\n%s", err, line)
		}
		m := make(map[string]any)
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, m)
	}
	return all
}

// records flushes p and returns what has arrived since the last call.
func (c *capture) records(t testing.TB, p *Publisher) []map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	all := c.arrived(t)
	c.mu.Lock()
	c.lines = nil
	c.mu.Unlock()
	return all
}

// one is records where exactly one is expected.
func (c *capture) one(t testing.TB, p *Publisher) map[string]any {
	t.Helper()
	all := c.records(t, p)
	if len(all) != 1 {
		t.Fatalf("%d records, want 1: %v", len(all), all)
	}
	return all[0]
}

// has checks keys of a record; a nil value means that the key must not be there.
func has(t testing.TB, r map[string]any, want map[string]any) {
	t.Helper()
	for k, v := range want {
		got, ok := r[k]
		if n, isNumber := got.(json.Number); isNumber {
			got = n.String()
		}
		switch {
		case v == nil && ok:
			t.Errorf("%s is %v, want none: %v", k, got, r)
		case v != nil && got != v:
			t.Errorf("%s is %v, want %v: %v", k, got, v, r)
		}
	}
}
