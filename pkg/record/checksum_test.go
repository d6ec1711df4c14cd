package record

import (
	"hash/crc32"
	"testing"
)

func TestChecksumIsCRC32C(t *testing.T) {
	if got := Checksum([]byte("123456789")); got != 0xe3069283 {
		t.Errorf("%08x: not the check value of CRC-32C", got)
	}
	p := make([]byte, 3*summedAtOnce+1)
	for i := range p {
		p[i] = byte(i * i >> 3)
	}
	for n := range len(p) + 1 {
		if got, want := Checksum(p[:n]), crc32.Checksum(p[:n], castagnoli); got != want {
			t.Fatalf("%d bytes: %08x, not %08x", n, got, want)
		}
	}
}

func BenchmarkChecksum(b *testing.B) {
	const batch = 1 << 20
	for _, memory := range []struct {
		name    string
		batches int
	}{{"near", 1}, {"far", 64}} {
		p := make([]byte, memory.batches*batch)
		for i := range p {
			p[i] = byte(i)
		}
		for _, by := range []struct {
			name string
			sum  func([]byte) uint32
		}{
			{"Checksum", Checksum},
			{"hash-crc32", func(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }},
		} {
			b.Run(memory.name+"/"+by.name, func(b *testing.B) {
				b.SetBytes(batch)
				at := 0
				for b.Loop() {
					by.sum(p[at : at+batch])
					at = (at + batch) % len(p)
				}
			})
		}
	}
}
