package record

import "unicode/utf8"

// maxValueDepth is how deep a value may be nested. With maxGroups and the record's own braces it
// stays below maxDepth, so that whatever a Line makes is Valid.
const maxValueDepth = 100

// appendRaw appends JSON that came from elsewhere: without the spaces between its tokens, with
// what acts on a screen escaped. What is not valid JSON, or too deep, becomes a string.
func appendRaw(dst, raw []byte) []byte { return appendRawDepth(dst, raw, maxValueDepth) }

func appendRawDepth(dst, raw []byte, depth int) []byte {
	i := skipSpace(raw, 0)
	end, bad := scanValue(raw, i, depth)
	if bad != "" || skipSpace(raw, end) != len(raw) {
		return appendQuoted(dst, raw)
	}
	return appendCompact(dst, raw[i:end])
}

// appendCompact wants valid JSON.
func appendCompact(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		switch c := raw[i]; c {
		case ' ', '\t', '\r', '\n':
			i++
		case '"':
			end, _ := scanString(raw, i)
			dst = appendReescaped(dst, raw[i:end])
			i = end
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

// appendReescaped appends s, a JSON string with its quotes, and escapes what AppendString would.
func appendReescaped(dst, s []byte) []byte {
	start := 0
	for i := 1; i < len(s)-1; {
		i = plainEnd(s[:len(s)-1], i)
		if i == len(s)-1 {
			break
		}
		c := s[i]
		if c == '\\' {
			i += 2
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if c == 0x7f || n > 1 && actsOnScreen(r) {
			dst = append(dst, s[start:i]...)
			dst = appendUnicodeEscape(dst, r)
			start = i + n
		}
		i += n
	}
	return append(dst, s[start:]...)
}
