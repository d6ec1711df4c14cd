package checker

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// pieces are what payloads are made of: much plain text, and what has broken log files before.
var pieces = []string{
	"plain text that a program might well log ", "row loaded from a table of customers ", "0123456789abcdef",
	"\n", "\r\n", "\"}\n{\"level\":\"error\",", "\\", "\"", "\x00", "\x1b[2J", "\x1b]8;;http://example.com\x07", "\u009b31m",
	"\u202e", "\u2066", "\u2028", "\u2029", "\ufeff", "äöü ß", "日本語", "🪢", "%n %s ${jndi:ldap://x}", "\t", "</script>",
}

// Payload is the value of the field "pad" of the record with this id: a text of about size bytes that follows from the id
// alone. size 0 gives the empty text, for records without a payload.
func Payload(id string, size int) string {
	if size <= 0 {
		return ""
	}
	h := fnv.New64a()
	h.Write([]byte(id))
	x := h.Sum64() | 1
	var b strings.Builder
	b.WriteString(strconv.Itoa(size))
	b.WriteByte(':')
	for b.Len() < size {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b.WriteString(pieces[x%uint64(len(pieces))])
	}
	return b.String()
}

// payloadOK says whether pad is the payload of id. The size stands at its beginning.
func payloadOK(id, pad string) bool {
	if pad == "" {
		return true
	}
	digits, _, ok := strings.Cut(pad, ":")
	if !ok {
		return false
	}
	size, err := strconv.Atoi(digits)
	return err == nil && size < 1<<28 && pad == Payload(id, size)
}
