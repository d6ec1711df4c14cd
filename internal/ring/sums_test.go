package ring

import (
	"math/rand/v2"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// The checksum made in steps is that of the whole: it is what intact computes from the file.
func TestSumsAreOfTheWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	tail := record.AppendTail(nil, testID)
	s := newSums(tail)
	for n := range 600 {
		body := make([]byte, n)
		for i := range body {
			body[i] = byte(random.Uint32())
		}
		seq := random.Uint64()>>random.IntN(64) | 1
		var e ending
		line := append(append(append([]byte(nil), body...), tail...), e.of(seq)...)
		b := e.slot(slot{seq: seq, len: uint32(len(line))}, 7, s.untilSeq(body))
		if !intact(b, line, 7) {
			t.Fatalf("body of %d bytes, seq %d: not what the whole makes", n, seq)
		}
		line[random.IntN(len(line))] ^= 1
		if intact(b, line, 7) {
			t.Fatalf("body of %d bytes, seq %d: a damaged line passes", n, seq)
		}
	}
}
