package collector

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/record"
)

// hangs is after how long a test believes that something will never happen; no slow machine may reach it.
const hangs = 2 * time.Minute

// broker is a real NATS server in this process.
type broker struct {
	url string
	nc  *nats.Conn // the publishers'
}

func newServer(t testing.TB, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(hangs) {
		t.Fatal("the server does not get ready")
	}
	return s
}

func startBroker(t testing.TB) *broker {
	t.Helper()
	s := newServer(t, -1)
	nc, err := nats.Connect(s.ClientURL(), nats.Timeout(hangs))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return &broker{url: s.ClientURL(), nc: nc}
}

// start starts a collector, which is closed with the test if the test does not close it.
func (b *broker) start(t testing.TB, cfg Config) *Collector {
	t.Helper()
	cfg.NATS = natsconn.Config{URL: b.url}
	ctx, cancel := context.WithTimeout(context.Background(), hangs)
	defer cancel()
	c, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hangs)
		defer cancel()
		_ = c.Close(ctx)
	})
	return c
}

func closeNow(t testing.TB, c *Collector) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangs)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// request sends any message and returns the answer.
func (b *broker) request(t testing.TB, subject, header string, payload []byte) record.Ack {
	t.Helper()
	m := &nats.Msg{Subject: subject, Data: payload, Header: nats.Header{record.HeaderName: {header}}}
	reply, err := b.nc.RequestMsg(m, hangs)
	if err != nil {
		t.Fatalf("request on %s: %v", subject, err)
	}
	a, err := record.ParseAck(reply.Data)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// publish sends a message that nobody answers.
func (b *broker) publish(t testing.TB, subject, payload string) {
	t.Helper()
	if err := b.nc.Publish(subject, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

// publisher makes the batches of one run by the rules of the wire format.
type publisher struct {
	t       testing.TB
	broker  *broker
	id      record.Identity
	subject string
	lines   [][]byte // by seq-1; nil: dropped
	acked   uint64
}

func (b *broker) publisher(t testing.TB, app, worker string) *publisher {
	id := record.Identity{App: app, Worker: worker, Run: record.NewRun()}
	return &publisher{t: t, broker: b, id: id, subject: record.Subject("logs", app, worker)}
}

// log adds n records.
func (p *publisher) log(n int, level record.Level, logger, msg string) {
	for range n {
		seq := uint64(len(p.lines) + 1)
		p.lines = append(p.lines, makeLine(p.id, seq, level, logger, fmt.Sprintf("%s %d", msg, seq)))
	}
}

func makeLine(id record.Identity, seq uint64, level record.Level, logger, msg string) []byte {
	l := record.GetLine()
	defer l.Free()
	l.Start(time.Date(2026, 11, 21, 10, 0, 0, int(seq), time.UTC), level, logger, msg)
	line := append([]byte(nil), l.Finish(maxRecord)...)
	line = record.AppendTail(line, id)
	return record.AppendEnd(line, seq)
}

// drop uses up n seqs.
func (p *publisher) drop(n int) { p.lines = append(p.lines, make([][]byte, n)...) }

// batch makes the batch of the records with seqs from first to last.
func (p *publisher) batch(first, last uint64) (record.Batch, []byte) {
	b := record.Batch{Run: p.id.Run}
	var payload []byte
	dropped := uint64(0)
	for i, line := range p.lines[:last] {
		seq := uint64(i + 1)
		switch {
		case line == nil:
			dropped++
		case seq >= first:
			if b.Count++; b.First == 0 {
				b.First, b.Oldest = seq, seq
			}
			b.Last, b.Dropped = seq, dropped
			payload = append(payload, line...)
		}
	}
	b.CRC = record.Checksum(payload)
	return b, payload
}

func header(b record.Batch) string { return string(b.AppendHeader(nil)) }

// send sends everything that is not acknowledged as one batch.
func (p *publisher) send() record.Ack {
	p.t.Helper()
	b, payload := p.batch(p.acked+1, uint64(len(p.lines)))
	a := p.broker.request(p.t, p.subject, header(b), payload)
	if a.Kind == record.AckCommitted {
		p.acked = a.Seq
	}
	return a
}

// end sends the closing statement.
func (p *publisher) end() record.Ack {
	p.t.Helper()
	last := uint64(len(p.lines))
	b := record.Batch{Run: p.id.Run, First: last + 1, Last: last, Oldest: last + 1, End: true}
	for _, line := range p.lines {
		if line == nil {
			b.Dropped++
		}
	}
	return p.broker.request(p.t, p.subject, header(b), nil)
}
