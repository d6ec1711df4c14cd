package record

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
)

// A fieldScanner goes through the top level of one object.
type fieldScanner struct {
	b   []byte
	i   int    // behind the last field
	bad string // what is wrong at i, "" if nothing is
	n   int    // fields read
}

// next returns the next field, its key raw and without quotes, its value raw. It returns false
// at the end of the object, with i behind the brace, or where something is wrong.
func (s *fieldScanner) next() (key, value []byte, ok bool) {
	b, i := s.b, s.i
	if s.n == 0 {
		if i = skipSpace(b, i); i >= len(b) || b[i] != '{' {
			return s.stop(i, "not a JSON object")
		}
		if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
			return s.stop(i+1, "")
		}
	} else {
		if i = skipSpace(b, i); i >= len(b) {
			return s.stop(i, "object without end")
		}
		switch b[i] {
		case '}':
			return s.stop(i+1, "")
		case ',':
			i = skipSpace(b, i+1)
		default:
			return s.stop(i, "comma missing")
		}
	}
	if i >= len(b) || b[i] != '"' {
		return s.stop(i, "key missing")
	}
	end, bad := scanString(b, i)
	if bad != "" {
		return s.stop(end, bad)
	}
	key = b[i+1 : end-1]
	if i = skipSpace(b, end); i >= len(b) || b[i] != ':' {
		return s.stop(i, "colon missing")
	}
	i = skipSpace(b, i+1)
	if end, bad = scanValue(b, i, maxDepth-1); bad != "" {
		return s.stop(end, bad)
	}
	s.i = end
	s.n++
	return key, b[i:end], true
}

func (s *fieldScanner) stop(i int, bad string) (key, value []byte, ok bool) {
	s.i, s.bad = i, bad
	return nil, nil, false
}

// Fields yields the top-level keys of a line, raw and without quotes, with their raw values. It
// stops where the line is not valid JSON. Both alias line.
func Fields(line []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		s := fieldScanner{b: line}
		for {
			k, v, ok := s.next()
			if !ok || !yield(k, v) {
				return
			}
		}
	}
}

// Valid reports what is wrong with a line, given without its newline: it must be one JSON object
// in UTF-8, with no newline in it, no key twice at its top level, nested at most 200 deep.
func Valid(line []byte) error {
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		return fmt.Errorf("check line: newline at byte %d", i)
	}
	if len(line) == 0 || line[0] != '{' {
		return errors.New("check line: not a JSON object")
	}
	s := fieldScanner{b: line}
	var keys keySet
	for {
		k, _, ok := s.next()
		if !ok {
			break
		}
		if !keys.add(k) {
			return fmt.Errorf("check line: key %q twice", clip(string(plainKey(k)), 64))
		}
	}
	if s.bad == "" && s.i != len(line) {
		s.bad = "something follows the object"
	}
	if s.bad != "" {
		return fmt.Errorf("check line: %s at byte %d", s.bad, s.i)
	}
	return nil
}

// plainKey returns a key as text: unescaped where it has an escape, otherwise itself.
func plainKey(k []byte) []byte {
	if bytes.IndexByte(k, '\\') < 0 {
		return k
	}
	return appendUnescaped(nil, k)
}

// A keySet finds a key that comes twice. A few keys need no memory of their own.
type keySet struct {
	few  [16][]byte
	n    int
	many map[string]struct{}
}

// add takes a key as it stands between its quotes, and reports false if it was there before.
func (s *keySet) add(k []byte) bool {
	k = plainKey(k)
	if s.many == nil {
		for _, other := range s.few[:s.n] {
			if string(other) == string(k) {
				return false
			}
		}
		if s.n < len(s.few) {
			s.few[s.n] = k
			s.n++
			return true
		}
		s.many = make(map[string]struct{}, 4*len(s.few))
		for _, other := range s.few {
			s.many[string(other)] = struct{}{}
		}
	}
	if _, ok := s.many[string(k)]; ok {
		return false
	}
	s.many[string(k)] = struct{}{}
	return true
}
