package record

import (
	"bytes"
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

func TestJoinChecksums(t *testing.T) {
	p := make([]byte, 70_000)
	for i := range p {
		p[i] = byte(i * i >> 3)
	}
	for _, n := range []int{0, 1, 2, 7, 255, 256, 4096, 65_535, 65_536, 69_999, 70_000} {
		for _, first := range [][]byte{nil, {0}, {0, 0, 0, 0}, []byte("123456789"), p} {
			want := Checksum(append(bytes.Clone(first), p[:n]...))
			if got := JoinChecksums(Checksum(first), Checksum(p[:n]), n); got != want {
				t.Errorf("%d bytes behind %d: %08x, not %08x", n, len(first), got, want)
			}
		}
	}
}

// The table of powers goes round: x^(2^31) is x. So it is enough for any length.
func TestPowersComeAgain(t *testing.T) {
	last := powers[len(powers)-1]
	if got := multiply(last, last); got != powers[0] {
		t.Errorf("%08x follows the last power, not %08x", got, powers[0])
	}
}

func BenchmarkJoinChecksums(b *testing.B) {
	for b.Loop() {
		JoinChecksums(0xe3069283, 0x12345678, 1<<20-1)
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
