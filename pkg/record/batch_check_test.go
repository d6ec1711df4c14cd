package record

import (
	"strings"
	"testing"
)

// Check looks at the lines piece by piece: wherever a piece ends, it sees each line once, and whole.
func TestCheckInPieces(t *testing.T) {
	add := func(p []byte, seq uint64, text int) []byte {
		return append(p, line(seq, func(l *Line) { l.Str("text", strings.Repeat("x", text)) })...)
	}
	short := len(add(nil, 1, 0))
	for off := -short - 2; off <= short+2; off++ {
		first := add(nil, 1, summedAtOnce-short+off) // so long that the piece ends somewhere in the second line, or beside it
		p := add(add(add(first, 2, 0), 3, 3*summedAtOnce), 4, 0)
		b := Batch{Run: testID.Run, First: 1, Last: 4, Count: 4, Oldest: 1, CRC: Checksum(p)}
		if err := b.Check(p, testTail); err != nil {
			t.Fatalf("the first line of %d bytes: %v", len(first), err)
		}
		for _, at := range []int{0, summedAtOnce - 1, summedAtOnce, len(p) - 1} {
			p[at] ^= 1
			if err := b.Check(p, testTail); err == nil || !strings.Contains(err.Error(), "crc") {
				t.Fatalf("byte %d is another: %v", at, err)
			}
			p[at] ^= 1
		}
		b.CRC = Checksum(p[:len(p)-1])
		if err := b.Check(p[:len(p)-1], testTail); err == nil || !strings.Contains(err.Error(), "line 4 has no newline") {
			t.Fatal(err)
		}
	}
}
