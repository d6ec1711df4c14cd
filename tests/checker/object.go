package checker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// member is a top-level key with its raw value. Both alias the line.
type member struct{ key, value []byte }

// members splits a JSON object into its top-level members. encoding/json has the say on whether the line is JSON at all; the
// walk over a text that is known to be valid needs to know only strings and brackets.
func members(dst []member, line []byte) ([]member, error) {
	if !utf8.Valid(line) {
		return nil, fmt.Errorf("not UTF-8")
	}
	if !json.Valid(line) {
		var v any
		return nil, fmt.Errorf("not JSON: %w", json.Unmarshal(line, &v))
	}
	if len(line) == 0 || line[0] != '{' {
		return nil, fmt.Errorf("not an object, or not at the line's beginning")
	}
	for i := 1; line[i] != '}'; {
		if line[i] == ',' || line[i] == ' ' {
			i++
			continue
		}
		key := i
		i = stringEnd(line, i)
		m := member{key: line[key+1 : i-1]}
		for line[i] == ' ' || line[i] == ':' {
			i++
		}
		value := i
		i = valueEnd(line, i)
		m.value = line[value:i]
		for _, other := range dst {
			if bytes.Equal(other.key, m.key) {
				return nil, fmt.Errorf("key %q twice", m.key)
			}
		}
		dst = append(dst, m)
	}
	return dst, nil
}

// stringEnd is the offset behind the string that begins at i.
func stringEnd(line []byte, i int) int {
	for i++; line[i] != '"'; i++ {
		if line[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func valueEnd(line []byte, i int) int {
	depth := 0
	for ; ; i++ {
		switch line[i] {
		case '"':
			i = stringEnd(line, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
}

// record is a line's members, and those that the checker looks at, decoded.
type record struct {
	all                []member
	time               time.Time
	level, logger, msg string
	app, worker, run   string
	seq                uint64
}

func (r *record) member(key string) []byte {
	for _, m := range r.all {
		if string(m.key) == key {
			return m.value
		}
	}
	return nil
}

// text decodes a string member; absent and not a string give "".
func (r *record) text(key string) string {
	var s string
	if v := r.member(key); v != nil && json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s
}

// number decodes a member that counts something.
func (r *record) number(key string) (uint64, bool) {
	var n uint64
	v := r.member(key)
	return n, v != nil && json.Unmarshal(v, &n) == nil
}

var (
	opening = []string{"time", "level", "logger", "msg"}
	closing = []string{"app", "worker", "run", "seq"}
	levels  = map[string]bool{"trace": true, "debug": true, "info": true, "warn": true, "error": true, "fatal": true, "panic": true}
)

const timeLayout = "2006-01-02T15:04:05.000000000Z"

// decode fills r from r.all and says what the format requires and the line has not.
func (r *record) decode() error {
	n := len(r.all)
	if n < len(opening)+len(closing) {
		return fmt.Errorf("only %d keys", n)
	}
	for i, key := range opening {
		if string(r.all[i].key) != key {
			return fmt.Errorf("key %d is %q, not %q", i+1, r.all[i].key, key)
		}
	}
	for i, key := range closing {
		if at := n - len(closing) + i; string(r.all[at].key) != key {
			return fmt.Errorf("key %d is %q, not %q", at+1, r.all[at].key, key)
		}
	}
	when := ""
	texts := []struct {
		key string
		to  *string
	}{{"time", &when}, {"level", &r.level}, {"logger", &r.logger}, {"msg", &r.msg}, {"app", &r.app}, {"worker", &r.worker}, {"run", &r.run}}
	for _, t := range texts {
		v := r.member(t.key)
		if v[0] != '"' {
			return fmt.Errorf("%s is not a string: %.40s", t.key, v)
		}
		if err := json.Unmarshal(v, t.to); err != nil {
			return fmt.Errorf("%s: %w", t.key, err)
		}
	}
	if err := json.Unmarshal(r.member("seq"), &r.seq); err != nil {
		return fmt.Errorf("seq: %w", err)
	}
	var err error
	if r.time, err = time.Parse(timeLayout, when); err != nil || len(when) != len(timeLayout) {
		return fmt.Errorf("time %q", when)
	}
	switch {
	case !levels[r.level]:
		return fmt.Errorf("level %q", r.level)
	case r.app == "" || r.worker == "" || r.run == "":
		return fmt.Errorf("empty app, worker or run")
	case r.seq == 0:
		return fmt.Errorf("seq 0")
	}
	return nil
}
