package collector

import (
	"testing"
	"time"

	"github.com/logbraid/logbraid/internal/logfile"
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
