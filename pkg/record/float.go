package record

import (
	"math"
	"strconv"
)

// appendFloat writes what encoding/json writes, and strings for what it refuses.
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"+Inf"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Inf"`...)
	}
	abs := math.Abs(f)
	if bits == 64 {
		if n, ok := micros(abs); ok {
			if f < 0 {
				dst = append(dst, '-')
			}
			return appendMicros(dst, n)
		}
	}
	format := byte('f')
	if abs != 0 && (bits == 64 && (abs < 1e-6 || abs >= 1e21) || bits == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21)) {
		format = 'e'
	}
	dst = strconv.AppendFloat(dst, f, format, -1, bits)
	if n := len(dst); format == 'e' && n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-09 to e-9
		dst = dst[:n-1]
	}
	return dst
}

// micros reports whether f is the nearest float64 to n millionths. Most numbers that people log are: seconds,
// prices, percentages. n has at most 15 digits, and of all decimals that short only one is nearest to f (IEEE 754
// binary64 keeps 15), so it is also the shortest that strconv would find, in a third of the time. Zero is left
// out: it may have a sign.
func micros(f float64) (n uint64, ok bool) {
	if f < 1e-6 || f >= 1e9 {
		return 0, false
	}
	n = uint64(f*1e6 + 0.5)
	return n, float64(n)/1e6 == f // n and 1e6 are exact, so the quotient is the nearest
}

func appendMicros(dst []byte, n uint64) []byte {
	dst = appendUint(dst, n/1e6)
	frac := n % 1e6
	if frac == 0 {
		return dst
	}
	at := len(dst)
	dst = append(dst, ".000000"...)
	putUint(dst[at+1:], frac)
	end := len(dst)
	for dst[end-1] == '0' {
		end--
	}
	return dst[:end]
}
