package record

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
)

// An Identity says who wrote a record. App and Worker stay the same over restarts; Run is one
// life of a publisher.
type Identity struct {
	App    string
	Worker string
	Run    string
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// RunLen is the length of what [NewRun] returns.
const RunLen = 10

// NewRun returns a new run id, 10 base62 characters (59 bits) from crypto/rand: it is never
// reused (I1) without anybody keeping a list.
func NewRun() string {
	var id [RunLen]byte
	for n := 0; ; {
		var random [2 * RunLen]byte
		rand.Read(random[:]) // never fails (crypto/rand, Go 1.24)
		for _, b := range random {
			if b >= 62*4 { // would favour the first characters
				continue
			}
			id[n] = base62[b%62]
			if n++; n == len(id) {
				return string(id[:])
			}
		}
	}
}

// validRun reports whether s can stand in a header: 1 to 64 letters, digits, '-' or '_'.
func validRun(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return true
}

func tokenByte(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '-' || c == '_'
}

const upperHex = "0123456789ABCDEF"

// Token makes s safe as one token of a NATS subject. Letters, digits, '-' and '_' stand for
// themselves, every other byte becomes %XX, and the empty string is a lone '%'.
// [Untoken] reverses it.
func Token(s string) string {
	if s == "" {
		return "%"
	}
	n := 0
	for i := range len(s) {
		if !tokenByte(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if c := s[i]; tokenByte(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}

// Untoken reverses [Token]. It accepts only what Token makes: if two tokens meant one name, a
// worker could speak for another under a subject that the broker lets it use.
func Untoken(s string) (string, error) {
	if s == "%" {
		return "", nil
	}
	if s == "" {
		return "", errors.New("decode token: empty")
	}
	if !strings.Contains(s, "%") {
		for i := range len(s) {
			if !tokenByte(s[i]) {
				return "", fmt.Errorf("decode token: %q holds a character that must be escaped", clip(s, 64))
			}
		}
		return s, nil
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if i+2 >= len(s) {
				return "", fmt.Errorf("decode token: %q ends inside an escape", clip(s, 64))
			}
			hi, lo := strings.IndexByte(upperHex, s[i+1]), strings.IndexByte(upperHex, s[i+2])
			if hi < 0 || lo < 0 {
				return "", fmt.Errorf("decode token: %q holds a bad escape", clip(s, 64))
			}
			c = byte(hi<<4 | lo)
			if tokenByte(c) {
				return "", fmt.Errorf("decode token: %q escapes a character that needs none", clip(s, 64))
			}
			i += 2
		} else if !tokenByte(c) {
			return "", fmt.Errorf("decode token: %q holds a character that must be escaped", clip(s, 64))
		}
		b = append(b, c)
	}
	return string(b), nil
}

// Subject returns the subject that a worker publishes to: prefix.app.worker, the names as tokens.
func Subject(prefix, app, worker string) string {
	return prefix + "." + Token(app) + "." + Token(worker)
}

// ParseSubject takes a subject made by [Subject] apart.
func ParseSubject(prefix, subject string) (app, worker string, err error) {
	rest, ok := strings.CutPrefix(subject, prefix+".")
	if !ok {
		return "", "", fmt.Errorf("parse subject: %q is not under %q", clip(subject, 128), prefix)
	}
	a, w, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(w, ".") {
		return "", "", fmt.Errorf("parse subject: %q is not %s.APP.WORKER", clip(subject, 128), prefix)
	}
	if app, err = Untoken(a); err != nil {
		return "", "", fmt.Errorf("parse subject: app: %w", err)
	}
	if worker, err = Untoken(w); err != nil {
		return "", "", fmt.Errorf("parse subject: worker: %w", err)
	}
	return app, worker, nil
}

// AppendTail appends the constant part of the end of every line of a run, to be followed by
// [AppendEnd]: ,"app":"etl","worker":"w3","run":"4fK9xQ2LmP","seq":
func AppendTail(dst []byte, id Identity) []byte {
	dst = append(dst, `,"app":`...)
	dst = AppendString(dst, id.App)
	dst = append(dst, `,"worker":`...)
	dst = AppendString(dst, id.Worker)
	dst = append(dst, `,"run":`...)
	dst = AppendString(dst, id.Run)
	return append(dst, `,"seq":`...)
}

// AppendEnd appends seq and closes the line, with its newline. At most [EndLen] bytes.
func AppendEnd(dst []byte, seq uint64) []byte {
	dst = appendUint(dst, seq)
	return append(dst, '}', '\n')
}

// LenEnd is how many bytes [AppendEnd] appends for this seq.
func LenEnd(seq uint64) int { return digitCount(seq) + len("}\n") }

// EndLen is the most that [AppendEnd] appends: 20 digits, a brace, a newline.
const EndLen = 22
