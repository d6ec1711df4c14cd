package publisher

import (
	"bytes"
	"unicode/utf8"
)

// A lineSplitter cuts a stream of bytes into lines, however the stream was cut into pieces. A line
// that is too long for a record is given out in parts, so that an endless one neither fills the
// memory nor is lost.
type lineSplitter struct {
	max int // bytes of a record
	// terminal: a lone carriage return means that what follows overwrites the line, as progress
	// bars do. Only what a terminal would show in the end is the line.
	terminal bool

	buf  []byte // the line so far
	part int    // how many parts of it were given out
}

// feed cuts p. take gets each line without its end, and the part's number, 0 for a whole line. The
// bytes are take's only during the call.
func (s *lineSplitter) feed(p []byte, take func(line []byte, part int)) {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.hold(p, take)
			return
		}
		if s.idle() && i <= s.limit(p) {
			s.end(p[:i], take)
		} else {
			s.hold(p[:i], take)
			s.end(s.buf, take)
			s.buf = s.buf[:0]
		}
		p = p[i+1:]
	}
}

// rest gives out what has no newline behind it.
func (s *lineSplitter) rest(take func(line []byte, part int)) {
	if !s.idle() {
		s.end(s.buf, take)
		s.buf = s.buf[:0]
	}
}

func (s *lineSplitter) idle() bool { return len(s.buf) == 0 && s.part == 0 }

// limit returns how long the line may get that begins with line. Half of a record leaves room for
// what JSON has to escape; but a line that is JSON already is one record or none.
func (s *lineSplitter) limit(line []byte) int {
	if s.part == 0 && len(line) > 0 && line[0] == '{' {
		return s.max
	}
	return s.max / 2
}

// hold adds p, which holds no newline, to the line so far.
func (s *lineSplitter) hold(p []byte, take func(line []byte, part int)) {
	for len(p) > 0 {
		n := min(len(p), s.max)
		overwrites := s.terminal &&
			(bytes.IndexByte(p[:n], '\r') >= 0 || len(s.buf) > 0 && s.buf[len(s.buf)-1] == '\r')
		s.buf = append(s.buf, p[:n]...)
		p = p[n:]
		if overwrites {
			s.buf = append(s.buf[:0], shown(s.buf)...)
		}
		for len(s.buf) > s.limit(s.buf) {
			s.part++
			cut := runeStart(s.buf, s.max/2)
			take(s.buf[:cut], s.part)
			s.buf = append(s.buf[:0], s.buf[cut:]...)
		}
	}
}

// end gives out a line that is complete, or the last part of one.
func (s *lineSplitter) end(line []byte, take func(line []byte, part int)) {
	line = bytes.TrimRight(line, "\r")
	if s.terminal {
		line = shown(line)
	}
	part := 0
	if s.part > 0 {
		part, s.part = s.part+1, 0
	}
	take(line, part)
}

// shown returns what stands behind the last carriage return that something stands behind.
func shown(line []byte) []byte {
	i := bytes.LastIndexByte(bytes.TrimRight(line, "\r"), '\r')
	return line[i+1:]
}

// runeStart returns n, or a little less where n is in the middle of a character.
func runeStart(b []byte, n int) int {
	for i := n; i > 0 && i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			return i
		}
	}
	return n
}
