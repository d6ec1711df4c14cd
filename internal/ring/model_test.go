package ring

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/logbraid/logbraid/pkg/record"
)

// The ring against a slice: the same calls have the same results.
func TestModel(t *testing.T) {
	type held struct {
		seq  uint64
		line []byte
	}
	rapid.Check(t, func(t *rapid.T) {
		r, err := New(minCapacity, testID)
		if err != nil {
			t.Fatal(err)
		}
		r.sums = true
		var (
			model                       []held
			seq, drops, rejected, taken uint64
			droppedAt                   = map[uint64]uint64{} // seq -> drops before it
		)
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				b := []byte(`{"m":"` + strings.Repeat("y", rapid.IntRange(0, 4000).Draw(t, "size")) + `"`)
				share := rapid.SampledFrom([]int{70, 90, 100}).Draw(t, "share")
				got, err := r.Append(b, share)
				if errors.Is(err, ErrFull) {
					if len(model) == 0 {
						t.Fatal("an empty ring is full")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				seq++
				taken++
				droppedAt[seq] = drops
				if got != seq {
					t.Fatalf("seq %d, want %d", got, seq)
				}
				model = append(model, held{seq, line(b, seq)})
			},
			"drop": func(t *rapid.T) {
				got, err := r.Drop(record.Info, Full)
				seq++
				drops++
				if err != nil || got != seq {
					t.Fatalf("drop: %d, %v, want %d", got, err, seq)
				}
			},
			"release": func(t *rapid.T) {
				last := rapid.Uint64Range(0, seq+1).Draw(t, "last")
				n := r.Release(last)
				for len(model) > 0 && model[0].seq <= last {
					model = model[1:]
					n--
				}
				if n != 0 {
					t.Fatalf("released %d too many", n)
				}
			},
			"discard": func(t *rapid.T) {
				if len(model) == 0 {
					t.Skip("empty")
				}
				r.Discard()
				model = model[1:]
				rejected++
			},
			"next": func(t *rapid.T) {
				maxBytes := rapid.IntRange(1, 20_000).Draw(t, "bytes")
				maxRecords := rapid.IntRange(1, 10).Draw(t, "records")
				skip := rapid.IntRange(0, 3).Draw(t, "skip")
				p, b, ok := r.NextBehind(skip, maxBytes, maxRecords)
				if ok != (len(model) > skip) {
					t.Fatalf("ok %v, %d records held", ok, len(model))
				}
				if !ok {
					return
				}
				n := b.Count
				if n < 1 || n > maxRecords || len(p) > maxBytes && n > 1 {
					t.Fatalf("%d records, %d bytes", n, len(p))
				}
				var want []byte
				rest := model[skip:]
				for _, h := range rest[:n] {
					want = append(want, h.line...)
				}
				if n < len(rest) && n < maxRecords && len(p)+len(rest[n].line) <= maxBytes {
					// The one behind does not lie behind.
					at := func(n int) uint32 { return decodeSlot(r.slot(r.headCell.load() + uint64(skip+n))).off }
					if at(n) > at(n-1) {
						t.Fatalf("%d records, %d bytes, and one more would fit", n, len(p))
					}
				}
				last := rest[n-1].seq
				if !bytes.Equal(p, want) || b.First != rest[0].seq || b.Oldest != model[0].seq || b.Last != last ||
					b.Dropped != droppedAt[last]+rejected {
					t.Fatalf("batch %+v", b)
				}
			},
			"reopen": func(t *rapid.T) {
				// What a process that dies now leaves behind.
				o, damage, err := load(bytes.NewReader(bytes.Clone(r.mem)), int64(len(r.mem)))
				if err != nil || damage.Any() {
					t.Fatalf("%v, %v", err, damage)
				}
				if o.Stats() != r.Stats() {
					t.Fatalf("stats %+v, want %+v", o.Stats(), r.Stats())
				}
				_ = r.Close()
				r = o
				r.sums = true
			},
			"": func(t *rapid.T) {
				s := r.Stats()
				if s.Held != uint64(len(model)) || s.Last != seq || s.Admitted != taken || s.Drops() != drops+rejected {
					t.Fatalf("stats %+v", s)
				}
				if f := r.Fill(); f < 0 || f > 100 {
					t.Fatalf("%d percent full", f)
				}
			},
		})
	})
}
