package record

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
	"unsafe"
)

// AppendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD. Besides what JSON asks
// for, it escapes what a terminal or an editor would act on: DEL, the C1 controls, the line
// separators U+2028 and U+2029, the bidi marks and U+FEFF.
func AppendString(dst []byte, s string) []byte { return appendQuoted(dst, bytesOf(s)) }

// bytesOf returns the bytes of s, which must not be written to, without a copy.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

func appendQuoted(dst, s []byte) []byte {
	if i := plainEnd(s, 0); i < len(s) {
		dst = appendEscapes(append(dst, '"'), s, i)
		return append(dst, '"')
	}
	at, end := len(dst)+1, len(dst)+1+len(s)
	dst = slices.Grow(dst, len(s)+2)[:end+1]
	dst[at-1], dst[end] = '"', '"'
	copy(dst[at:], s)
	return dst
}

const (
	eachOne  = 0x0101010101010101
	eachHigh = 0x8080808080808080
)

// special marks the top bits of those of the eight bytes of x that are not plain: printable ASCII
// other than '"' and '\\'. The bit is set in the byte, or in DEL plus one; a subtraction from a
// byte below space borrows, so does one from a byte made zero by an exclusive or. A carry goes
// into the next higher byte and comes from a marked one only, so the lowest mark is always true.
func special(x uint64) uint64 {
	quote := x ^ eachOne*'"'
	slash := x ^ eachOne*'\\'
	return (x | (x + eachOne) | (x - eachOne*' ') | (quote - eachOne) | (slash - eachOne)) & eachHigh
}

// plainEnd returns the first position from i on that holds no plain byte.
func plainEnd(s []byte, i int) int {
	switch n := len(s) - i; {
	case n >= 8:
		// A name in a line ends soon; a message is long, and mostly all of it is plain.
		if marks := special(binary.LittleEndian.Uint64(s[i:])); marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
		for i += 8; i+32 <= len(s); i += 32 {
			p := s[i : i+32]
			if special(binary.LittleEndian.Uint64(p))|special(binary.LittleEndian.Uint64(p[8:]))|
				special(binary.LittleEndian.Uint64(p[16:]))|special(binary.LittleEndian.Uint64(p[24:])) != 0 {
				break
			}
		}
		for ; i+8 <= len(s); i += 8 {
			if marks := special(binary.LittleEndian.Uint64(s[i:])); marks != 0 {
				return i + bits.TrailingZeros64(marks)/8
			}
		}
		// The rest, less than eight bytes, together with plain ones before it.
		if i == len(s) || special(binary.LittleEndian.Uint64(s[len(s)-8:])) == 0 {
			return len(s)
		}
	case n >= 4:
		x := uint64(binary.LittleEndian.Uint32(s[i:])) | uint64(binary.LittleEndian.Uint32(s[len(s)-4:]))<<32
		if special(x) == 0 {
			return len(s)
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

const lowerHex = "0123456789abcdef"

// appendEscapes appends s, which is plain up to i, as it stands between the quotes of a JSON string.
func appendEscapes(dst, s []byte, i int) []byte {
	start := 0
	for ; i < len(s); i = plainEnd(s, i) {
		for i < len(s) && s[i] >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\ufffd"...)
				start = i + n
			} else if actsOnScreen(r) {
				dst = append(dst, s[start:i]...)
				dst = appendUnicodeEscape(dst, r)
				start = i + n
			}
			i += n
		}
		if i == len(s) {
			break
		}
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c == 0x7f {
			dst = append(dst, s[start:i]...)
			dst = appendASCIIEscape(dst, c)
			i++
			start = i
		}
	}
	return append(dst, s[start:]...)
}

func appendASCIIEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	}
	return append(dst, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
}

// appendUnicodeEscape appends \uXXXX; r is below U+10000, as all that actsOnScreen knows is.
func appendUnicodeEscape(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', lowerHex[r>>12&15], lowerHex[r>>8&15], lowerHex[r>>4&15], lowerHex[r&15])
}

// actsOnScreen reports whether r, not ASCII, does something to the text around it when shown:
// C1 controls (U+009B begins an escape sequence), line separators, bidi marks, the BOM.
func actsOnScreen(r rune) bool {
	switch {
	case r <= 0x9f:
		return true
	case r < 0x200e:
		return r == 0x061c
	}
	return r <= 0x200f || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 || r == 0xfeff
}
