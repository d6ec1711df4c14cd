package record

import "unicode/utf8"

// The scanner reads JSON (RFC 8259) in place. Its functions take the position of a value's first
// byte and return the position behind it, and what is wrong, "" if nothing is. It is strict:
// valid UTF-8, no control characters in strings, no leading zeros.

const maxDepth = 200

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// scanString wants b[i] to be the opening quote.
func scanString(b []byte, i int) (int, string) {
	i++
	for {
		i = plainEnd(b, i)
		if i == len(b) {
			return i, "string without end"
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, ""
		case c == '\\':
			n := escapeLen(b, i)
			if n == 0 {
				return i, "bad escape in string"
			}
			i += n
		case c < ' ':
			return i, "control character in string"
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				return i, "invalid UTF-8"
			}
			i += n
		}
	}
}

// escapeLen returns the length of the escape at b[i], a backslash; 0 if it is none.
func escapeLen(b []byte, i int) int {
	if i+1 >= len(b) {
		return 0
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b, i+2); ok {
			return 6
		}
	}
	return 0
}

// hex4 reads the four hex digits at b[i:].
func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	var r rune
	for _, c := range b[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func digits(b []byte, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}

func scanNumber(b []byte, i int) (int, string) {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	default:
		n := digits(b, i)
		if n == i {
			return i, "bad number"
		}
		i = n
	}
	if i < len(b) && b[i] == '.' {
		n := digits(b, i+1)
		if n == i+1 {
			return n, "bad number"
		}
		i = n
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		n := digits(b, i)
		if n == i {
			return n, "bad number"
		}
		i = n
	}
	return i, ""
}

func scanLiteral(b []byte, i int, lit string) (int, string) {
	if len(b)-i < len(lit) || string(b[i:i+len(lit)]) != lit {
		return i, "not a JSON value"
	}
	return i + len(lit), ""
}

// scanValue reads any value. Objects and arrays may be nested depth deep.
func scanValue(b []byte, i, depth int) (int, string) {
	if i >= len(b) {
		return i, "value missing"
	}
	switch b[i] {
	case '"':
		return scanString(b, i)
	case 't':
		return scanLiteral(b, i, "true")
	case 'f':
		return scanLiteral(b, i, "false")
	case 'n':
		return scanLiteral(b, i, "null")
	case '{', '[':
		if depth <= 0 {
			return i, "nested too deep"
		}
		return scanNested(b, i, depth)
	}
	return scanNumber(b, i)
}

// scanNested reads the object or array that begins at b[i].
func scanNested(b []byte, i, depth int) (int, string) {
	object := b[i] == '{'
	end := b[i] + 2 // ASCII: '{'+2 == '}', '['+2 == ']'
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == end {
		return i + 1, ""
	}
	for {
		var bad string
		if object {
			if i >= len(b) || b[i] != '"' {
				return i, "key missing"
			}
			if i, bad = scanString(b, i); bad != "" {
				return i, bad
			}
			if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
				return i, "colon missing"
			}
			i = skipSpace(b, i+1)
		}
		if i, bad = scanValue(b, i, depth-1); bad != "" {
			return i, bad
		}
		if i = skipSpace(b, i); i >= len(b) {
			return i, "object or array without end"
		}
		switch b[i] {
		case ',':
			i = skipSpace(b, i+1)
		case end:
			return i + 1, ""
		default:
			return i, "comma missing"
		}
	}
}

// appendUnescaped appends the text that s, a JSON string without its quotes, stands for. A lone
// surrogate becomes U+FFFD, as in encoding/json.
func appendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c != '\\' || i+1 >= len(s) {
			dst = append(dst, c)
			i++
			continue
		}
		c = s[i+1]
		i += 2
		switch c {
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'u':
			r, _ := hex4(s, i)
			i += 4
			if 0xd800 <= r && r < 0xdc00 && i+6 <= len(s) && s[i] == '\\' && s[i+1] == 'u' {
				if r2, ok := hex4(s, i+2); ok && 0xdc00 <= r2 && r2 < 0xe000 {
					r = (r-0xd800)<<10 | (r2 - 0xdc00) + 0x10000
					i += 6
				}
			}
			dst = utf8.AppendRune(dst, r)
			continue
		}
		dst = append(dst, c)
	}
	return dst
}
