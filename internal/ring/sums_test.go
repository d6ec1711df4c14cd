package ring

import (
	"bytes"
	"hash/crc32"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// What is made while appending is what intact computes from the file.
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
		if !r.intact(ordinal) {
			t.Fatalf("body of %d bytes, seq %d: not what the whole makes", n, seq)
		}
		s := decodeSlot(b)
		r.data[s.off+random.Uint32N(s.len)] ^= 1
		if r.intact(ordinal) {
			t.Fatalf("body of %d bytes, seq %d: a damaged line passes", n, seq)
		}
		r.Release(seq)
	}
}

// TestDigest damages bodies as memory, disks and lost pages do: no two of the results have the same digest. (Of the 32 bits that a
// record's sum keeps, chance alone would make some alike.)
func TestDigest(t *testing.T) {
	text := []byte(`{"time":"2026-11-21T10:00:00.123456789Z","level":"info","logger":"etl.load","msg":"row loaded","rows":120,"path":"/var/lib/etl/2026/11/21/part-000017.parquet","seconds":0.0625,"ok":true,"note":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`)
	zero := make([]byte, 300)
	for _, kind := range []struct {
		name string
		body []byte
	}{{"text", text}, {"zeros", zero}} {
		t.Run(kind.name, func(t *testing.T) {
			seen := map[uint64][]byte{}
			add := func(p []byte) {
				d := digest(p)
				if other, ok := seen[d]; ok && !bytes.Equal(other, p) {
					t.Fatalf("%x:\n%q\n%q", d, other, p)
				}
				seen[d] = bytes.Clone(p)
			}
			for n := range len(kind.body) + 1 { // and every length
				p := bytes.Clone(kind.body[:n])
				add(p)
				for i := range p {
					for bit := range 8 {
						p[i] ^= 1 << bit
						add(p)
						p[i] ^= 1 << bit
					}
					if rest := p[i:]; len(rest) > 0 {
						kept := bytes.Clone(rest)
						clear(rest) // the end is not there
						add(p)
						copy(rest, kept)
					}
				}
				for i := 0; i+16 <= n; i += 8 { // words in another order
					swapped := bytes.Clone(p)
					copy(swapped[i:i+8], p[i+8:i+16])
					copy(swapped[i+8:i+16], p[i:i+8])
					add(swapped)
				}
			}
			if len(seen) < 1000 {
				t.Errorf("only %d bodies compared", len(seen))
			}
		})
	}
}

// Each bit of the body and of the slot changes about half of a record's sum.
func TestSumDependsOnEachBit(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	body := make([]byte, 203)
	for i := range body {
		body[i] = byte(random.Uint32())
	}
	s := slot{seq: 4211, off: 1 << 20, len: 281}
	sum := func() uint32 { return s.sum(digest(body), 4200) }
	whole := sum()
	changed, cases := 0, 0
	compare := func(what string, got uint32) {
		n := bits.OnesCount32(got ^ whole)
		if changed, cases = changed+n, cases+1; n < 3 {
			t.Errorf("%s: %d bits of the sum change", what, n)
		}
	}
	for i := range body {
		for bit := range 8 {
			body[i] ^= 1 << bit
			compare("body", sum())
			body[i] ^= 1 << bit
		}
	}
	for bit := range 64 {
		s.seq ^= 1 << bit
		compare("seq", sum())
		s.seq ^= 1 << bit
	}
	for bit := range 32 {
		s.off ^= 1 << bit
		compare("offset", sum())
		s.off ^= 1 << bit
		s.len ^= 1 << bit
		compare("length", sum())
		s.len ^= 1 << bit
		compare("ordinal", s.sum(digest(body), 4200^1<<bit))
	}
	if mean := float64(changed) / float64(cases); mean < 15 || mean > 17 {
		t.Errorf("%.1f of 32 bits change", mean)
	}
}

func BenchmarkDigest(b *testing.B) {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	p := bytes.Repeat([]byte("0123456789"), 20)
	for _, by := range []struct {
		name string
		sum  func([]byte) uint64
	}{{"digest", digest}, {"crc", func(p []byte) uint64 { return uint64(crc32.Checksum(p, castagnoli)) }}} {
		b.Run(by.name, func(b *testing.B) {
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				by.sum(p)
			}
		})
	}
}
