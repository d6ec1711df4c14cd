package record

import (
	"encoding/binary"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// appendWord appends a name or a value: as it is if that leaves no doubt where it ends, in
// quotes otherwise.
func appendWord(dst, s []byte) []byte {
	if bareWord(s) {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	dst = appendShown(dst, s, true)
	return append(dst, '"')
}

func bareWord(s []byte) bool {
	switch n := len(s); {
	case n >= 8:
		i := 0
		for i+8 <= n && bare(binary.LittleEndian.Uint64(s[i:])) {
			i += 8
		}
		if i+8 > n && bare(binary.LittleEndian.Uint64(s[n-8:])) {
			return true
		}
	case n >= 4:
		if bare(uint64(binary.LittleEndian.Uint32(s)) | uint64(binary.LittleEndian.Uint32(s[n-4:]))<<32) {
			return true
		}
	}
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(s[i:])
			if r == utf8.RuneError || !strconv.IsPrint(r) || isMark(r) {
				return false
			}
			i += n
			continue
		}
		if !bareByte[c] {
			return false
		}
		i++
	}
	return len(s) > 0
}

// bare reports whether all of the eight bytes of x are in bareByte. Without their top bits no addition carries from one
// byte into the next, so each byte tells by its own top bit whether it is at least so much, or other than zero.
func bare(x uint64) bool {
	low := x &^ eachHigh
	bad := x | (low + eachOne) | // from 0x80 on; DEL
		^(low + eachOne*(0x80-'!')) | // spaces and controls
		^((low ^ eachOne*'"') + eachOne*0x7f) |
		^((low ^ eachOne*'=') + eachOne*0x7f) |
		(low+eachOne*(0x80-'['))&^(low+eachOne*(0x80-'^')) // [ \ ]
	return bad&eachHigh == 0
}

// bareByte are the ASCII bytes that may stand in a word without quotes.
var bareByte = func() (bare [utf8.RuneSelf]bool) {
	for c := byte('!'); c < 0x7f; c++ {
		bare[c] = c != '"' && c != '\\' && c != '=' && c != '[' && c != ']'
	}
	return bare
}()

// maxMarks is how many combining marks one character may carry before they are escaped: with
// more, text climbs over the lines above it.
const maxMarks = 4

// appendShown appends s with everything that is not printable escaped; inside quotes, those and
// the backslash too.
func appendShown(dst, s []byte, quoted bool) []byte {
	marks := 0
	for i := 0; i < len(s); {
		if n := plainEnd(s, i); n > i {
			dst = append(dst, s[i:n]...)
			i, marks = n, 0
			continue
		}
		if c := s[i]; c == '"' || c == '\\' {
			if quoted {
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
			i++
			marks = 0
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if marks++; !isMark(r) {
			marks = 0
		}
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, '\\', 'x', lowerHex[s[i]>>4], lowerHex[s[i]&15])
		case marks > maxMarks || !shown(r):
			dst = appendRuneEscape(dst, r)
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return dst
}

// shown reports whether r stands for itself: what is printable by strconv.IsPrint, and the spaces
// and private characters that it leaves out. What remains are controls, format characters (bidi,
// zero-width, tags), separators of lines and paragraphs, and what is not assigned.
func shown(r rune) bool {
	return strconv.IsPrint(r) || unicode.In(r, unicode.Zs, unicode.Co)
}

// isMark reports whether r combines with the character before it.
func isMark(r rune) bool {
	return r >= 0x300 && unicode.In(r, unicode.Mn, unicode.Me)
}

func appendRuneEscape(dst []byte, r rune) []byte {
	switch {
	case r == '\n':
		return append(dst, '\\', 'n')
	case r == '\r':
		return append(dst, '\\', 'r')
	case r == '\t':
		return append(dst, '\\', 't')
	case r < 0x80:
		return append(dst, '\\', 'x', lowerHex[r>>4], lowerHex[r&15])
	case r < 0x10000:
		return appendUnicodeEscape(dst, r)
	}
	dst = append(dst, '\\', 'U', '0', '0')
	for shift := 20; shift >= 0; shift -= 4 {
		dst = append(dst, lowerHex[r>>shift&15])
	}
	return dst
}
