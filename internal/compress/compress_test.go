package compress

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestEncode(t *testing.T) {
	random := make([]byte, 100_000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	text := []byte(strings.Repeat("2026-11-28T10:00:00Z INFO row loaded\n", 5000))
	for i := range text { // no two lines alike
		if text[i] == ':' {
			text[i] = byte('a' + rand.IntN(26))
		}
	}
	for _, tt := range []struct {
		name  string
		p     []byte
		worth bool
	}{
		{"empty", nil, false},
		{"short", text[:worthIt-1], false},
		{"long enough", text[:worthIt], true},
		{"text", text, true},
		{"random", random, false},
		{"more than anybody decodes", bytes.Repeat([]byte("a"), 1<<20), false},
		{"too much", bytes.Repeat(text, MaxSize/len(text)+1), false},
	} {
		for _, dst := range [][]byte{nil, make([]byte, 7), make([]byte, 0, 2<<20)} {
			block, worth := Encode(dst, tt.p)
			if worth != tt.worth {
				t.Errorf("%s: worth it: %v", tt.name, worth)
			}
			if !worth {
				continue
			}
			if size, err := Size(block); size != len(tt.p) || err != nil {
				t.Errorf("%s: size %d, %v", tt.name, size, err)
			}
			for _, dst := range [][]byte{nil, make([]byte, 0, len(tt.p)), make([]byte, 3)} {
				if p, err := Decode(dst, block); err != nil || !bytes.Equal(p, tt.p) {
					t.Errorf("%s: %d bytes, %v", tt.name, len(p), err)
				}
			}
			if _, err := Decode(nil, block[:len(block)-1]); err == nil {
				t.Errorf("%s: a torn block was decoded", tt.name)
			}
		}
	}
}

// A few bytes may not make the one who decodes them work as if they were many, or take as much memory.
func TestSizeIsBounded(t *testing.T) {
	for _, claimed := range []uint64{1 << 62, 1 << 32, 1<<32 - 1, MaxSize + 1, 55 * maxRatio} {
		block := append(binary.AppendUvarint(nil, claimed), make([]byte, 50)...)
		if n, err := Size(block); err == nil {
			t.Errorf("%d bytes pass as %d", len(block), n)
		}
		if _, err := Decode(nil, block); err == nil {
			t.Errorf("%d bytes that claim to be %d were decoded", len(block), claimed)
		}
	}
	if _, err := Size(nil); err == nil {
		t.Error("nothing passes as a block")
	}
}

func FuzzDecode(f *testing.F) {
	block, _ := Encode(nil, []byte(strings.Repeat("row loaded\n", 200)))
	f.Add(block)
	f.Add([]byte{0})
	f.Add([]byte("\xff\xff\xff\x1f\x00"))
	f.Fuzz(func(t *testing.T, block []byte) {
		size, err := Size(block)
		p, decodeErr := Decode(nil, block)
		if decodeErr == nil && (err != nil || len(p) != size || size > MaxSize || size/maxRatio > len(block)) {
			t.Errorf("%d bytes became %d; size %d, %v", len(block), len(p), size, err)
		}
	})
}
