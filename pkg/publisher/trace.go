package publisher

import (
	"bytes"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

// A joiner puts together the lines of one stack trace, among lines that are records of their own.
// It sees a stream line by line. A line that may begin a trace opens a block, and the block's state
// decides line by line whether it goes on. A block may turn out not to be one: what only looked like
// a trace is given out as the lines that it was, in order.
type joiner struct {
	max int // bytes of text beyond which a block is given out in parts
	out traceSink

	state state
	text  []byte // the block's lines, each with its newline
	ends  []int  // where each of them ends in text
	kept  int    // how many of them belong for certain; 0: it may not be a trace at all
	part  int
	head  string       // the line that says what happened
	level record.Level // how bad it is
	at    time.Time    // when the first line came
	keep  bool         // set by a state: this line and those before it belong
	over  bool         // set by a state: this line is the last
}

// A traceSink takes what a joiner gives out.
type traceSink interface {
	// plain takes a line that stands alone, or part number part of an endless one. Never empty.
	plain(line []byte, part int, at time.Time)
	trace(t trace)
}

// A trace is a block of lines that belong together.
type trace struct {
	head  string
	text  []byte // without the last newline; the sink's during the call only
	level record.Level
	part  int // 0: all of it
	at    time.Time
}

// A state looks at the line after those of the block so far and returns the state for the next
// one. Nil means that the line does not belong.
type state func(j *joiner, line []byte) state

// maxUnproven bounds how many lines may wait to be proven part of a trace.
const maxUnproven = 64

// open reports whether lines are held back, and so wait for what follows.
func (j *joiner) open() bool { return j.state != nil }

// add takes the next line of the stream.
func (j *joiner) add(line []byte, part int, at time.Time) {
	if part > 0 {
		j.close()
		j.plain(line, part, at)
		return
	}
	if j.state != nil {
		next := j.state(j, line)
		if next != nil {
			j.push(line, next)
			return
		}
		j.close()
		j.add(line, 0, at)
		return
	}
	j.level, j.head = record.Error, ""
	if next := begin(j, line); next != nil {
		j.at = at
		j.push(line, next)
		return
	}
	j.keep = false
	j.plain(line, 0, at)
}

func (j *joiner) plain(line []byte, part int, at time.Time) {
	if len(bytes.TrimSpace(line)) > 0 {
		j.out.plain(line, part, at)
	}
}

// push makes line the block's last.
func (j *joiner) push(line []byte, next state) {
	j.state = next
	j.text = append(append(j.text, line...), '\n')
	j.ends = append(j.ends, len(j.text))
	if j.keep {
		j.keep, j.kept = false, len(j.ends)
	}
	switch {
	case j.over, j.kept == 0 && (len(j.ends) > maxUnproven || len(j.text) > j.max):
		j.close()
	case j.kept == len(j.ends) && len(j.text) > j.max:
		j.part++
		j.give(len(j.text))
		j.text, j.ends, j.kept = j.text[:0], j.ends[:0], 0
	}
}

// close ends the block: what belongs is given out as one, and the rest starts afresh.
func (j *joiner) close() {
	if j.state == nil {
		return
	}
	j.state, j.over, j.keep = nil, false, false
	// What follows is held in other buffers: the rest may open a block of its own.
	text, ends, kept, part, at := j.text, j.ends, j.kept, j.part, j.at
	j.text, j.ends = nil, nil
	from := 0
	switch {
	case kept > 0:
		from = ends[kept-1]
		if part > 0 {
			j.part++
		}
		j.text = text
		j.give(from)
		j.text = nil
	case part == 0 && len(ends) > 0:
		kept, from = 1, ends[0]
		j.plain(text[:from-1], 0, at)
	}
	j.kept, j.part = 0, 0
	for _, end := range ends[kept:] {
		j.add(text[from:end-1], 0, at)
		from = end
	}
	if j.state == nil {
		j.text, j.ends = text[:0], ends[:0]
	}
}

// give gives out the first n bytes of the block.
func (j *joiner) give(n int) {
	text := j.text[:n-1]
	if j.head == "" { // the trace broke off before it said what happened
		first, _, _ := bytes.Cut(text, []byte("\n"))
		j.head = string(first)
	}
	j.out.trace(trace{head: j.head, text: text, level: j.level, part: j.part, at: j.at})
}

// begin returns the state after a first line that may begin a trace, or nil.
func begin(j *joiner, line []byte) state {
	if len(line) == 0 || line[0] == '{' {
		return nil
	}
	for _, start := range [...]func(*joiner, []byte) state{beginPython, beginGo, beginJava} {
		if next := start(j, line); next != nil {
			return next
		}
	}
	return nil
}

func hasPrefix(line []byte, prefix string) bool {
	return len(line) >= len(prefix) && string(line[:len(prefix)]) == prefix
}

func hasSuffix(line []byte, suffix string) bool {
	return len(line) >= len(suffix) && string(line[len(line)-len(suffix):]) == suffix
}

func indented(line []byte) bool { return len(line) > 0 && (line[0] == ' ' || line[0] == '\t') }

func blank(line []byte) bool { return len(bytes.TrimSpace(line)) == 0 }
