package consumer

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/record"
)

// guard only keeps a broken test from hanging.
const guard = 2 * time.Minute

// startServer runs a NATS server on loopback until the test ends.
func startServer(t testing.TB, change func(*server.Options)) *server.Server {
	t.Helper()
	opts := &server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()}
	if change != nil {
		change(opts)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(guard) {
		t.Fatal("server is not ready")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// A sender speaks the wire format by hand, whatever the numbers.
type sender struct {
	t       testing.TB
	nc      *nats.Conn
	id      record.Identity
	dropped uint64
	oldest  uint64 // 0: the batch's first
	at      time.Time
	blocks  bool // its messages carry blocks
}

func newSender(t testing.TB, s *server.Server, worker string) *sender {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), nats.Timeout(guard))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return &sender{t: t, nc: nc, id: record.Identity{App: "etl", Worker: worker, Run: record.NewRun()}, at: time.Now()}
}

// line is one record: the seq is also its field n.
func (s *sender) line(seq uint64) []byte {
	l := record.GetLine()
	defer l.Free()
	level := record.Info
	if seq%5 == 0 {
		level = record.Error
	}
	l.Start(s.at.Add(time.Duration(seq)*time.Millisecond), level, fmt.Sprintf("etl.part%d", seq%3), "row\n"+fmt.Sprint(seq))
	l.Uint("n", seq)
	line := append([]byte(nil), l.Finish(1<<20)...)
	return record.AppendEnd(record.AppendTail(line, s.id), seq)
}

// message is a batch of the given seqs, as a message.
func (s *sender) message(seqs ...uint64) *nats.Msg {
	var payload []byte
	for _, n := range seqs {
		payload = append(payload, s.line(n)...)
	}
	b := record.Batch{Run: s.id.Run, First: seqs[0], Last: seqs[len(seqs)-1], Count: len(seqs), Dropped: s.dropped, Oldest: s.oldest}
	if b.Oldest == 0 {
		b.Oldest = b.First
	}
	b.CRC = record.Checksum(payload)
	m := nats.NewMsg(record.Subject("logs", s.id.App, s.id.Worker))
	m.Data = payload
	if s.blocks {
		b.Enc, m.Data = record.S2, s2.Encode(nil, payload)
	}
	m.Header.Set(record.HeaderName, string(b.AppendHeader(nil)))
	return m
}

func (s *sender) send(seqs ...uint64) { s.t.Helper(); s.publish(s.message(seqs...)) }

func (s *sender) end(last uint64) { s.t.Helper(); s.publish(s.endMessage(last)) }

func (s *sender) endMessage(last uint64) *nats.Msg {
	b := record.Batch{Run: s.id.Run, First: last + 1, Last: last, Dropped: s.dropped, Oldest: last + 1, CRC: record.Checksum(nil), End: true}
	m := nats.NewMsg(record.Subject("logs", s.id.App, s.id.Worker))
	m.Header.Set(record.HeaderName, string(b.AppendHeader(nil)))
	return m
}

func (s *sender) publish(m *nats.Msg) {
	s.t.Helper()
	if err := s.nc.PublishMsg(m); err != nil {
		s.t.Fatal(err)
	}
	if err := s.nc.FlushTimeout(guard); err != nil {
		s.t.Fatal(err)
	}
}

func span(first, last uint64) (seqs []uint64) {
	for n := first; n <= last; n++ {
		seqs = append(seqs, n)
	}
	return seqs
}

func start(t testing.TB, s *server.Server, cfg Config) *Consumer {
	t.Helper()
	cfg.NATS = natsconn.Config{URL: s.ClientURL()}
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	c, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// read takes so many items, records as their seqs and news as text, and compares.
func read(t testing.TB, c *Consumer, want ...string) {
	t.Helper()
	if got := take(t, c, len(want)); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("read:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func take(t testing.TB, c *Consumer, n int) (got []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	if n == 0 {
		return nil
	}
	for rec, err := range c.Records(ctx) {
		got = append(got, describe(rec, err))
		if len(got) == n {
			return got
		}
	}
	t.Errorf("the iteration ended: %v", ctx.Err())
	return got
}

func describe(rec Record, err error) string {
	switch e := err.(type) {
	case nil:
		return fmt.Sprintf("%s %d", rec.Worker, rec.Seq)
	case *Gap:
		return fmt.Sprintf("%s gap %d-%d missed %d dropped %d", e.Worker, e.First, e.Last, e.Missed, e.Dropped)
	case *Rejected:
		return "rejected " + e.Subject
	case *Removed:
		return fmt.Sprintf("removed %d-%d", e.First, e.Last)
	}
	return err.Error()
}
