package collector

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/pkg/record"
)

// TestOrient is I8 case by case: where to read on in a stream that is, or is not, the one that the log knows.
func TestOrient(t *testing.T) {
	born, stored := time.Unix(1_800_000_000, 1).UTC(), time.Unix(1_800_000_100, 2).UTC()
	at := logfile.Source{Stream: "LOGS", Created: born, Seq: 100, Time: stored}
	as := func(f func(b *bearing)) bearing {
		b := bearing{at: at, name: "LOGS", created: born, first: 90, last: 200, stored: stored}
		f(&b)
		return b
	}
	for _, tt := range []struct {
		name   string
		b      bearing
		seq    uint64
		told   bool
		missed uint64
	}{
		{"the first time", as(func(b *bearing) { b.at = logfile.Source{} }), 90, false, 0},
		{"as it was left", as(func(b *bearing) {}), 101, false, 0},
		{"nothing new", as(func(b *bearing) { b.last = 100 }), 101, false, 0},
		{"all read, all purged", as(func(b *bearing) { b.first, b.last, b.stored = 101, 100, time.Time{} }), 101, false, 0},
		{"purged as far as it was read", as(func(b *bearing) { b.first, b.stored = 101, time.Time{} }), 101, false, 0},
		{"purged before it was read", as(func(b *bearing) { b.first, b.stored = 151, time.Time{} }), 151, true, 50},
		{"purged wholly before it was read", as(func(b *bearing) { b.first, b.stored = 201, time.Time{} }), 201, true, 100},
		{"another stream", as(func(b *bearing) { b.name = "OTHER" }), 90, true, 0},
		{"made anew", as(func(b *bearing) { b.created = born.Add(1) }), 90, true, 0},
		{"made anew and empty", as(func(b *bearing) { b.created, b.first, b.last = born.Add(1), 1, 0 }), 1, true, 0},
		{"lost its end", as(func(b *bearing) { b.last, b.stored = 99, time.Time{} }), 90, true, 0},
		{"lost everything", as(func(b *bearing) { b.first, b.last, b.stored = 1, 0, time.Time{} }), 1, true, 0},
		{"numbers used again", as(func(b *bearing) { b.stored = stored.Add(1) }), 90, true, 0},
		{"the known message is gone", as(func(b *bearing) { b.stored = time.Time{} }), 90, true, 0},
		{"told, nothing read since", as(func(b *bearing) { b.at.Seq, b.at.Time, b.stored = 89, time.Time{}, time.Time{} }), 90, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if f := orient(tt.b); f.seq != tt.seq || (f.reason != "") != tt.told || f.missed != tt.missed {
				t.Errorf("%+v, want to read from %d, told %v, %d missed", f, tt.seq, tt.told, tt.missed)
			}
		})
	}
}

// replacing lets a test do something right before the collector makes a consumer that reads.
type replacing struct {
	jetstream.JetStream
	before func()
}

func (r replacing) CreateConsumer(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	if !cfg.HeadersOnly {
		r.before()
	}
	return r.JetStream.CreateConsumer(ctx, stream, cfg)
}

// A stream that is made anew after the collector has looked at it is not read from where the log left the old one.
func TestStreamReplacedBehindTheLook(t *testing.T) {
	r := newStreamRig(t)
	c := r.collector()
	p := r.publisher(t, "etl", "w1")
	p.log(80, record.Info, "l", "a")
	for first := uint64(1); first <= 30; first += 10 {
		r.batch(p, first, first+9)
	}
	r.written(c, p, 30)
	closeNow(t, c)

	looked, replaced := make(chan bool), make(chan bool)
	goOn := sync.OnceFunc(func() { close(replaced) })
	defer goOn()
	var once sync.Once
	r.cfg.js = func(js jetstream.JetStream) jetstream.JetStream {
		return replacing{js, func() { once.Do(func() { looked <- true; <-replaced }) }}
	}
	c = r.collector()
	<-looked
	config := r.info().Config
	if err := r.js.DeleteStream(t.Context(), "LOGS"); err != nil {
		t.Fatal(err)
	}
	if err := r.make(config); err != nil {
		t.Fatal(err)
	}
	for first := uint64(31); first <= 80; first += 10 {
		r.batch(p, first, first+9)
	}
	goOn()
	r.written(c, p, 80)
	closeNow(t, c)
	r.whole(p, 80)
	if text := r.read(); !strings.Contains(text, "deleted and made anew") {
		t.Errorf("not told:\n%s", text)
	}
}
