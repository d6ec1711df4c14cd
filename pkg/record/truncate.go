package record

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// Truncate appends line, with or without its newline, cut so that it takes at most max bytes.
//
// The longest values are cut first, down to a common length, and end in U+2026; one that is not a
// string becomes the beginning of its JSON, as a string. If that is not enough, whole fields go,
// those with the longest names first. Time, level and the identity tail are kept, and
// "truncated":true and "original_length" are added: the bytes that the line had without its
// tail. A line that is no JSON object becomes the msg of one. The same line and max always give
// the same result.
//
// There is a floor: a max that leaves fewer than 512 bytes beside the tail is taken as 512 bytes
// and the tail. Into that every line can be cut, whatever it is; a shorter one is left as it is.
func Truncate(dst, line []byte, max int) []byte {
	if len(line) <= max || len(line) <= minBody {
		return append(dst, line...)
	}
	end := len(line)
	if line[end-1] == '\n' {
		end--
	}
	first := skipSpace(line, 0)
	after, bad := scanValue(line[:end], first, maxDepth)
	if bad != "" || line[first] != '{' || skipSpace(line[:end], after) != end {
		body := appendQuoted([]byte(`{"msg":`), line[:end])
		dst = cutBody(dst, body, max-len(line[end:])-1)
		return append(append(dst, '}'), line[end:]...)
	}
	if t, ok := ScanTail(line); ok {
		return append(cutTo(dst, line[:t.Start], max-len(line[t.Start:])), line[t.Start:]...)
	}
	// Spaces between the brace and the newline are no part of a tail.
	dst = cutTo(dst, line[:after-1], max-len(line[end:])-1)
	return append(append(dst, '}'), line[end:]...)
}

// cutTo appends body, cut if it does not fit.
func cutTo(dst, body []byte, limit int) []byte {
	if len(body) <= max(limit, minBody) {
		return append(dst, body...)
	}
	return cutBody(dst, body, limit)
}

const (
	// minValue is the length below which a value is not cut.
	minValue = 24
	// maxTime is the longest time that is never cut: ours takes 32 bytes, and a
	// "time" that somebody else wrote is not one because it is called so.
	maxTime = 40
)

type bodyField struct {
	key, value []byte
	name       string // of a key of ours, empty for any other
	rank       int    // the lower, the sooner the field goes
	gone       bool
}

// The ranks of fields.
const (
	rankUser   = iota // a user's
	rankAgain         // one with a key of ours that stood before
	rankOurs          // one of ours. Under their plain names all of them fit into minBody
	rankAlways        // time and level
)

// cutBody appends body, cut to limit bytes, at least minBody.
func cutBody(dst, body []byte, limit int) []byte {
	limit = max(limit, minBody)
	original := uint64(len(body))
	var fields []bodyField
	var seen [16]string // the names of ours that stood already
	names := seen[:0]
	for k, v := range Fields(body) { // up to where the closing brace is missing
		f := bodyField{key: k, value: v}
		switch name := string(plainKey(k)); name {
		case "truncated":
			continue
		case "original_length":
			if n, err := strconv.ParseUint(string(v), 10, 64); err == nil {
				original = n
			}
			continue
		default:
			if !reserved(name) {
				break
			}
			f.name, f.rank = name, rankOurs
			if slices.Contains(names, name) {
				f.rank = rankAgain
			} else if names = append(names, name); name == "time" || name == "level" {
				f.rank = rankAlways
			}
		}
		fields = append(fields, f)
	}
	mark := strconv.AppendUint([]byte(`"truncated":true,"original_length":`), original, 10)
	room := limit - len(mark) - 1

	// What there is at least: every name, and of each value what is not cut.
	least := 0
	for _, f := range fields {
		least += f.cost(minValue)
	}
	if least > room {
		order := make([]int, 0, len(fields))
		for i, f := range fields {
			if f.rank < rankAlways {
				order = append(order, i)
			}
		}
		slices.SortStableFunc(order, func(a, b int) int {
			if n := fields[a].rank - fields[b].rank; n != 0 {
				return n
			}
			if n := len(fields[b].key) - len(fields[a].key); n != 0 {
				return n
			}
			return b - a
		})
		for _, i := range order {
			if least <= room {
				break
			}
			least -= fields[i].cost(minValue)
			fields[i].gone = true
		}
	}

	// The common length to which the long values are cut: the shorter a value, the sooner it is
	// known to fit whole, and what it leaves over is shared out among the longer ones.
	var lens []int
	for _, f := range fields {
		if f.gone {
			continue
		}
		room -= len(f.key) + len(`,"":`)
		if f.fixed() {
			room -= len(f.value)
		} else {
			lens = append(lens, len(f.value))
		}
	}
	slices.Sort(lens)
	length := minValue
	for i, n := range lens {
		if share := room / (len(lens) - i); n > share {
			length = max(share, minValue)
			break
		}
		room -= n
		length = n
	}

	dst = append(dst, '{')
	for _, f := range fields {
		if f.gone {
			continue
		}
		dst = append(dst, '"')
		dst = append(dst, f.key...)
		dst = append(dst, '"', ':')
		if f.fixed() || len(f.value) <= length {
			dst = append(dst, f.value...)
		} else {
			dst = appendCut(dst, f.value, length)
		}
		dst = append(dst, ',')
	}
	return append(dst, mark...)
}

// cost returns what the field takes with its value cut to length.
func (f bodyField) cost(length int) int {
	n := len(f.value)
	if !f.fixed() {
		n = min(n, length)
	}
	return n + len(f.key) + len(`,"":`)
}

// fixed reports whether the value is never cut.
func (f bodyField) fixed() bool { return f.name == "time" && len(f.value) <= maxTime }

// appendCut appends a value that is longer than length as a string of at most length bytes.
func appendCut(dst, value []byte, length int) []byte {
	if value[0] != '"' {
		value = appendQuoted(nil, value[:length])
	}
	room := length - len(`"…"`)
	i := 1
	for {
		n := unitLen(value, i)
		if i+n-1 > room || i+n >= len(value) {
			break
		}
		i += n
	}
	dst = append(dst, value[:i]...)
	return append(dst, `…"`...)
}

// unitLen returns the length of what must not be cut in two at b[i], inside a JSON string: an
// escape, a pair of escaped surrogates, a character.
func unitLen(b []byte, i int) int {
	if b[i] != '\\' {
		_, n := utf8.DecodeRune(b[i:])
		return n
	}
	n := escapeLen(b, i)
	if n == 6 {
		r, _ := hex4(b, i+2)
		if 0xd800 <= r && r < 0xdc00 && escapeLen(b, i+6) == 6 {
			return 12
		}
	}
	return max(n, 1)
}
