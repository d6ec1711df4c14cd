package consumer

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

const sample = `{"time":"2026-11-21T10:00:00.123456789Z","level":"warn","logger":"etl.load","msg":"slow \"query\"","ms":812.5,"rows":120,"big":1e3,"ok":true,"took":1500000000,"wait":"1.5s","at":"2026-11-21T10:00:00Z","request":{"status":200,"a.b":{"c":"d"}},"x.y":"dotted","null":null,"error":"EOF","stack":"a\nb","caller":"m.go:1","app":"etl","worker":"w3","run":"4fK9xQ2LmP","seq":4211}`

func sampleRecord() Record {
	var d reader
	return d.record(&part{from: &run{id: record.Identity{App: "etl", Worker: "w3", Run: "4fK9xQ2LmP"}}}, []byte(sample))
}

func TestRecord(t *testing.T) {
	r := sampleRecord()
	if r.Level != record.Warn || r.Logger != "etl.load" || r.Seq != 4211 || !r.Time.Equal(time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC)) {
		t.Errorf("%+v", r)
	}
	if r.Msg() != `slow "query"` || r.Err() != "EOF" || r.Stack() != "a\nb" || r.Caller() != "m.go:1" {
		t.Errorf("%q %q %q %q", r.Msg(), r.Err(), r.Stack(), r.Caller())
	}
	check := func(what string, got any, ok bool, want any) {
		t.Helper()
		if !ok && want != nil || ok && got != want {
			t.Errorf("%s: %v, %t, want %v", what, got, ok, want)
		}
	}
	i := func(key string, want any) { t.Helper(); v, ok := r.Int(key); check("Int "+key, v, ok, want) }
	i("rows", int64(120))
	i("big", int64(1000))
	i("ms", nil)
	i("msg", nil)
	i("request.status", int64(200))
	f := func(key string, want any) { t.Helper(); v, ok := r.Float(key); check("Float "+key, v, ok, want) }
	f("ms", 812.5)
	f("rows", 120.0)
	f("null", nil)
	f("nothing", nil)
	str := func(key string, want any) { t.Helper(); v, ok := r.Str(key); check("Str "+key, v, ok, want) }
	str("x.y", "dotted")
	str("request.a.b.c", "d")
	str("rows", nil)
	str("request.nothing", nil)
	b, ok := r.Bool("ok")
	check("Bool", b, ok, true)
	if _, ok := r.Bool("rows"); ok {
		t.Error("a number is no bool")
	}
	for _, key := range []string{"took", "wait"} {
		d, ok := r.Duration(key)
		check("Duration "+key, d, ok, 1500*time.Millisecond)
	}
	at, ok := r.Timestamp("at")
	check("Timestamp", at, ok, time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC))
	var v struct {
		Rows    int
		Request struct{ Status int }
	}
	if err := r.Decode(&v); err != nil || v.Rows != 120 || v.Request.Status != 200 {
		t.Errorf("%+v, %v", v, err)
	}
	var keys []string
	for key := range r.Fields() {
		keys = append(keys, key)
	}
	if !slices.Equal(keys, []string{"ms", "rows", "big", "ok", "took", "wait", "at", "request", "x.y", "null"}) {
		t.Errorf("%v", keys)
	}
	other := r.Clone()
	if r.Line[2] = 'X'; string(other.Line) != sample {
		t.Error("a clone is not its own")
	}
}

// What comes out of a tracker is exact, whatever a link drops, repeats and delays, and whatever the publisher sheds:
// records in order, each once, and for all others a count.
func TestTrackerModel(t *testing.T) {
	for seed := range uint64(1000) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		s := &sender{t: t, id: record.Identity{App: "etl", Worker: "w1", Run: record.NewRun()}, at: time.Unix(1e9, 0)}
		var got []uint64
		var missed, dropped, next uint64
		var read reader
		tr := newTracker("logs", record.Filter{}, false, func(p part) {
			if g, ok := p.news.(*Gap); ok {
				if g.First != next || g.Last < g.First || g.Missed+g.Dropped != g.Last-g.First+1 {
					t.Fatalf("seed %d: %v, want from %d", seed, g, next)
				}
				next = g.Last + 1
				missed += g.Missed
				dropped += g.Dropped
				return
			}
			if p.news != nil {
				t.Fatalf("seed %d: %v", seed, p.news)
			}
			c := Consumer{now: p, reader: read}
			for len(c.now.lines) > 0 {
				r, g := c.line()
				if g != nil {
					dropped += g.Dropped
					next = g.Last + 1
					continue
				}
				if r.Seq != next {
					t.Fatalf("seed %d: seq %d, want %d", seed, r.Seq, next)
				}
				got = append(got, r.Seq)
				next++
			}
		})
		next = 1
		// The publisher: some seqs are shed; batches; each is delivered, lost, repeated; a repetition may be cut elsewhere.
		var kept []uint64
		shed := uint64(0)
		drops := map[uint64]uint64{0: 0} // seqs dropped up to a seq
		const last = 60
		for n := uint64(1); n <= last; n++ {
			if n > 1 && rnd.IntN(5) == 0 {
				shed++
			} else {
				kept = append(kept, n)
			}
			drops[n] = shed
		}
		send := func(seqs []uint64) {
			s.dropped, s.blocks = drops[seqs[len(seqs)-1]], rnd.IntN(2) == 0
			m := s.message(seqs...)
			tr.take(messageOf(m.Subject, m.Header, m.Data, s.at))
		}
		for i := 0; i < len(kept); {
			j := min(len(kept), i+1+rnd.IntN(6))
			if i == 0 || rnd.IntN(4) > 0 {
				send(kept[i:j])
				for rnd.IntN(3) == 0 {
					k := rnd.IntN(i + 1)
					send(kept[k : k+1+rnd.IntN(j-k)])
				}
			}
			i = j
		}
		s.dropped = shed
		m := (&sender{id: s.id, dropped: shed}).endMessage(last)
		tr.take(messageOf(m.Subject, m.Header, m.Data, s.at))
		if next != last+1 || uint64(len(got))+missed+dropped != last || dropped != shed || missed != uint64(len(kept)-len(got)) {
			t.Fatalf("seed %d: %d received, %d missed, %d dropped (%d); up to %d", seed, len(got), missed, dropped, shed, next-1)
		}
	}
}

// Runs that come and go do not fill the memory.
func TestManyRuns(t *testing.T) {
	n := 0
	tr := newTracker("logs", record.Filter{}, false, func(part) { n++ })
	tr.most = 10
	for range 100 {
		s := &sender{t: t, id: record.Identity{App: "etl", Worker: "w1", Run: record.NewRun()}}
		m := s.message(1)
		tr.take(messageOf(m.Subject, m.Header, m.Data, s.at))
	}
	if n != 100 || len(tr.runs) != 10 || tr.order.Len() != 10 {
		t.Errorf("%d parts, %d runs", n, len(tr.runs))
	}
}

func FuzzAccess(f *testing.F) {
	f.Add([]byte(sample), "request.a.b.c")
	f.Fuzz(func(t *testing.T, line []byte, key string) {
		r := Record{Line: line}
		r.Get(key)
		r.Int(key)
		r.Duration(key)
		r.Bool(key)
		if s, ok := r.Str(key); ok && json.Valid(line) {
			var v any
			if raw, _ := r.Get(key); json.Unmarshal(raw, &v) != nil || v != s {
				t.Errorf("%q of %s: %q", key, line, s)
			}
		}
	})
}

func BenchmarkRecords(b *testing.B) {
	s := &sender{t: b, id: record.Identity{App: "etl", Worker: "w1", Run: record.NewRun()}, at: time.Now()}
	const n = 1000
	m := s.message(span(1, n)...)
	b.SetBytes(int64(len(m.Data)))
	b.ReportAllocs()
	for b.Loop() {
		q := newQueue(1 << 30)
		tr := newTracker("logs", record.Filter{}, false, q.push)
		tr.take(messageOf(m.Subject, m.Header, m.Data, s.at))
		q.end(ErrClosed)
		c := &Consumer{source: fromQueue{q}}
		seen := 0
		for _, err := range c.Records(context.Background()) {
			if err == nil {
				seen++
			}
		}
		if seen != n {
			b.Fatal(seen)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

type fromQueue struct{ *queue }

func (fromQueue) close() {}
