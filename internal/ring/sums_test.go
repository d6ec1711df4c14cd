package ring

import (
	"math/rand/v2"
	"testing"
)

// The checksum made in steps is that of the whole: it is what intact computes from the file.
func TestSumsAreOfTheWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	r := createIn(t, t.TempDir())
	defer func() { _ = r.Remove() }()
	for n := range 600 {
		body := make([]byte, n)
		for i := range body {
			body[i] = byte(random.Uint32())
		}
		r.dropped = random.Uint64() >> random.IntN(64) / 2
		seq := mustAppend(t, r, body)
		ordinal := r.headCell.load()
		b := r.slot(ordinal)
		if !intact(b, r.data, ordinal) {
			t.Fatalf("body of %d bytes, seq %d: not what the whole makes", n, seq)
		}
		s := decodeSlot(b)
		r.data[s.off+random.Uint32N(s.len)] ^= 1
		if intact(b, r.data, ordinal) {
			t.Fatalf("body of %d bytes, seq %d: a damaged line passes", n, seq)
		}
		r.Release(seq)
	}
}
