package record

import (
	"hash/crc32"
	"runtime"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC-32C (Castagnoli, as in RFC 3720) of p.
//
// It is made for what no near cache holds any more: batches that come from elsewhere, what is about to be written. hash/crc32 reads
// three places in turns, some kilobytes in all, and a processor that fetches ahead has hardly begun with them when they end. So
// what is summed next is fetched first, as many lines of the cache at once as the processor can: 17 GB/s in place of 6
// (BenchmarkChecksum), at the price of a quarter where everything is near.
func Checksum(p []byte) (sum uint32) {
	for len(p) > 0 {
		var n int
		sum, n = sumNext(sum, p)
		p = p[n:]
	}
	return sum
}

// sumNext adds the first bytes of p to a sum, and returns how many they were. They are in the cache then, for
// whoever wants to look at them as well.
func sumNext(sum uint32, p []byte) (uint32, int) {
	p = p[:min(summedAtOnce, len(p))]
	fetch(p)
	return crc32.Update(sum, castagnoli, p), len(p)
}

// summedAtOnce is what hash/crc32 goes through in one go on amd64 (castagnoliK2 there), three times 1,344 bytes.
const summedAtOnce = 3 * 1344

const cacheLine = 64 // bytes; of most processors

func fetch(p []byte) {
	var read byte
	for i := 0; i < len(p); i += cacheLine {
		read ^= p[i]
	}
	runtime.KeepAlive(read)
}

// JoinChecksums returns the checksum of two texts that stand one behind the other, by the checksum of each and the length of the
// second, in about a microsecond whatever the length.
//
// A CRC is the remainder of a division of polynomials over two elements. n bytes that follow multiply what stands before by
// x^8n, so its remainder by that of x^8n.
func JoinChecksums(first, second uint32, n int) uint32 {
	if first == 0 {
		return second
	}
	power := uint32(1 << 31) // x^0: the coefficients are in the bits from the highest down
	for i := 3; n > 0; i, n = i+1, n>>1 {
		if n&1 != 0 {
			power = multiply(power, powers[i%len(powers)])
		}
	}
	return multiply(power, first) ^ second
}

// powers are the remainders of x^(2^i). They come again: x^(2^31) is x^(2^0), since the order of x divides 2^31 - 1.
var powers = func() (p [31]uint32) {
	p[0] = 1 << 30
	for i := 1; i < len(p); i++ {
		p[i] = multiply(p[i-1], p[i-1])
	}
	return p
}()

// multiply multiplies two remainders.
func multiply(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a>>31 != 0 {
			product ^= b
		}
		// Times x, which moves the coefficients down.
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= crc32.Castagnoli
		}
	}
	return product
}
