package collector

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/pkg/record"
)

// benchBatch is a full batch of records as they come in practice: 250 bytes, 80 of them message, three
// fields, eight loggers, one in ten a warning.
func benchBatch(b *testing.B) (*publisher, record.Batch, []byte) {
	b.Helper()
	p := newPublisher("etl", "w1")
	size := 0
	for size < 250<<10 {
		seq := uint64(len(p.lines) + 1)
		level := record.Info
		if seq%10 == 0 {
			level = record.Warn
		}
		l := record.GetLine()
		l.Start(time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC), level, fmt.Sprint("etl.load", seq/4%8), strings.Repeat("m", 80))
		l.Int("rows", int64(seq))
		l.Str("file", "orders.csv")
		l.Bool("ok", true)
		line := record.AppendEnd(record.AppendTail(append([]byte(nil), l.Finish(maxRecord)...), p.id), seq)
		l.Free()
		p.lines = append(p.lines, line)
		size += len(line)
	}
	batch, payload := p.batch(1, uint64(len(p.lines)))
	return p, batch, payload
}

func perRecord(b *testing.B, records int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(records), "ns/record")
}

func BenchmarkCheck(b *testing.B) {
	p, batch, payload := benchBatch(b)
	tail := record.AppendTail(nil, p.id)
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if err := batch.Check(payload, tail); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, batch.Count)
}

// BenchmarkWriter is the whole way from the queue to the files, checkpoint and answer included.
func BenchmarkWriter(b *testing.B) {
	for _, c := range []struct {
		name string
		urls []string
	}{
		{"opaque", []string{"json://DIR/a.jsonl"}},
		{"level", []string{"json://DIR/a.jsonl?level=warn"}},
		{"two routes", []string{"json://DIR/a.jsonl?level=info", "json://DIR/b.jsonl?logger=etl.load1"}},
		{"by logger", []string{"json://DIR/{logger}.jsonl"}},
		{"text", []string{"file://DIR/a.log"}},
		{"json, text and console", []string{"json://DIR/a.jsonl", "file://DIR/a.log", "console://stderr?level=warn"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRigWith(b, Config{Dir: b.TempDir(), Handlers: rotated(c.urls), FSync: "never", ConsoleErr: io.Discard, fs: logfile.OS()})
			p, batch, payload := benchBatch(b)
			m := message{subject: p.subject, reply: "r", header: header(batch), batch: true, data: payload}
			b.SetBytes(int64(len(payload)))
			for b.Loop() {
				r.queue.push(m)
				r.step()
				r.table.runs[p.id.Run].now = progress{} // so that the same batch is new again
				r.out.take()
			}
			perRecord(b, batch.Count)
			if s := r.stats(); s.Rejected > 0 || s.Duplicates > 0 || s.Failures > 0 {
				b.Fatalf("%+v", s)
			}
		})
	}
}

// rotated keeps the files of a long benchmark small.
func rotated(urls []string) []string {
	var out []string
	for _, url := range urls {
		if !strings.HasPrefix(url, "console") {
			sep := "?"
			if strings.Contains(url, "?") {
				sep = "&"
			}
			url += sep + "rotate=64MiB&keep=1"
		}
		out = append(out, url)
	}
	return out
}

func BenchmarkRoute(b *testing.B) {
	r := &router{}
	r.add(record.Filter{}, discard{})
	r.add(record.Filter{Level: record.Warn}, discard{})
	r.add(record.Filter{Loggers: []string{"etl.load1", "trades.*"}}, discard{})
	p, batch, payload := benchBatch(b)
	from := &run{id: p.id, routes: r.wanted("etl", "w1")}
	g := &group{}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := r.route(g, piece{lines: payload}, batch.Count, from); err != nil {
			b.Fatal(err)
		}
	}
	perRecord(b, batch.Count)
}

type discard struct{ *console }

func (discard) take(*group, piece, int, *run) error { return nil }

// BenchmarkSmallBatch is the cost of a record that comes alone.
func BenchmarkSmallBatch(b *testing.B) {
	r := newRigWith(b, Config{Dir: b.TempDir(), Handlers: rotated([]string{"json://DIR/a.jsonl"}), FSync: "never", fs: logfile.OS()})
	p := newPublisher("etl", "w1")
	p.log(1, record.Info, "l", "m")
	batch, payload := p.batch(1, 1)
	m := message{subject: p.subject, reply: "r", header: header(batch), batch: true, data: payload}
	for b.Loop() {
		r.queue.push(m)
		r.step()
		r.table.runs[p.id.Run].now = progress{}
		r.out.take()
	}
}
