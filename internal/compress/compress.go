// Package compress encodes batches for their way: what a message carries is then not the lines themselves but an S2
// block of them (github.com/klauspost/compress/s2), and its header says so.
package compress

import (
	"fmt"

	"github.com/klauspost/compress/s2"
)

const (
	// MaxSize is the most bytes that a block may stand for.
	MaxSize = 8 << 20

	// maxRatio bounds how much work and memory a short message can make. Lines of a log, each with a time and a seq of its
	// own, come to ten, and to some hundreds where long messages are repeated.
	maxRatio = 1024

	// worthIt is the size in bytes below which a batch goes as it is: its message costs more than its bytes.
	worthIt = 1 << 10
)

// Encode returns p as a block, in the memory of dst if it is large enough, which must not overlap p. It reports false when
// p should go as it is: it is short, hardly gets shorter, or is not what Size lets pass.
func Encode(dst, p []byte) ([]byte, bool) {
	if len(p) < worthIt || len(p) > MaxSize {
		return dst, false
	}
	dst = s2.Encode(dst[:cap(dst)], p)
	return dst, len(dst) <= len(p)-len(p)/8 && len(p)/maxRatio <= len(dst)
}

// Size returns the size in bytes of what a block stands for, without decoding it. An error means that it is no block, or
// one that nobody decodes.
func Size(block []byte) (int, error) {
	n, err := s2.DecodedLen(block)
	switch {
	case err != nil:
		return 0, fmt.Errorf("decode batch: %w", err)
	case n > MaxSize || n/maxRatio > len(block):
		return 0, fmt.Errorf("decode batch: %d bytes that stand for %d", len(block), n)
	}
	return n, nil
}

// Decode returns what a block stands for, in the memory of dst if it is large enough, which must not overlap the block.
func Decode(dst, block []byte) ([]byte, error) {
	if _, err := Size(block); err != nil {
		return nil, err
	}
	p, err := s2.Decode(dst[:0], block)
	if err != nil {
		return nil, fmt.Errorf("decode batch: %w", err)
	}
	return p, nil
}
