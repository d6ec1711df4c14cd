package ring

import (
	"hash/crc32"
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
		body, slot := make([]byte, n), make([]byte, slotSize)
		for i := range body {
			body[i] = byte(random.Uint32())
		}
		for i := range slot {
			slot[i] = byte(random.Uint32())
		}
		ending := record.AppendEnd(nil, random.Uint64()>>random.IntN(64)|1)
		got := s.fromSeqLocked(s.untilSeq(body), ending, slot)
		whole := append(append(append(body, tail...), ending...), slot[:sumAt]...)
		if want := crc32.Checksum(whole, castagnoli); got != want {
			t.Fatalf("body of %d bytes: %08x, want %08x", n, got, want)
		}
	}
}
