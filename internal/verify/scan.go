package verify

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"
	"sync"

	"github.com/logbraid/logbraid/pkg/record"
)

// A chunk is some whole lines of one stream, on their way from the reader, through one of the
// scanners, to the merging goroutine.
type chunk struct {
	stream int
	buf    []byte // whole lines; the last of a stream may lack its newline
	cut    string // why there is no more of it, if not for the end of the file

	lines    int
	other    int // valid lines that name no run
	segments []segment
	torn     []tornLine
	told     []toldLine
	lost     []lostLine
	scanned  chan struct{} // filled when a scanner is done with it
}

// A segment is lines of one run that follow each other in the chunk and in the run.
type segment struct {
	run         *run
	first, last uint64
}

type tornLine struct {
	line int // within the chunk, from 0
	what string
}

type toldLine struct {
	run *run
	told
}

// A lostLine is a "records lost" record, by which the collector tells that records of a run will
// never come. They may be the last of the run, or all of it: then nothing else in the files tells.
type lostLine struct {
	identity record.Tail // of the run that lost them
	told
}

// A registry finds runs by name. Scanners share it and keep what they found.
type registry struct {
	mu   sync.Mutex
	runs map[string]*run
}

func (g *registry) find(t record.Tail) *run {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.runs[string(t.Run)]
	if r == nil {
		r = &run{app: string(t.App), worker: string(t.Worker), id: string(t.Run)}
		g.runs[r.id] = r
	} else if r.app != string(t.App) || r.worker != string(t.Worker) {
		r.mixed = true
	}
	return r
}

// A scanner looks at chunks, one at a time. Most lines it takes for whole by their two ends: they
// begin as ours do, end with the identity that the line before ended with and a seq, and no
// second beginning is inside, as where a writer was interrupted and another went on. Lines that
// differ it reads in full.
type scanner struct {
	registry *registry
	full     bool
	known    map[string]*run // by tail
	tail     []byte          // of the line before
	run      *run
}

const (
	beginning = `{"time":"`
	toldMsg   = `,"msg":"` + record.MsgDropped + `"`
	lostMsg   = `,"msg":"` + record.MsgLost + `"`
)

func (s *scanner) scan(c *chunk) {
	c.lines, c.other = 0, 0
	c.segments, c.torn, c.told, c.lost = c.segments[:0], c.torn[:0], c.told[:0], c.lost[:0]
	var seg segment
	for p := c.buf; len(p) > 0; c.lines++ {
		line := p
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			line, p = p[:i], p[i+1:]
		} else {
			p = nil
			c.torn = append(c.torn, tornLine{c.lines, cmp.Or(c.cut, "no newline at the end")})
			continue
		}
		run, seq, ok := s.line(c, line)
		if !ok {
			continue
		}
		if run == seg.run && seq == seg.last+1 {
			seg.last = seq
			continue
		}
		if seg.run != nil {
			c.segments = append(c.segments, seg)
		}
		seg = segment{run, seq, seq}
	}
	if seg.run != nil {
		c.segments = append(c.segments, seg)
	}
	if c.cut != "" && (len(c.buf) == 0 || c.buf[len(c.buf)-1] == '\n') {
		c.torn = append(c.torn, tornLine{c.lines, c.cut})
	}
}

// line returns which record a line is. ok is false for one that is torn or names no run.
func (s *scanner) line(c *chunk, line []byte) (*run, uint64, bool) {
	seq, at := lastNumber(line)
	if at == 0 {
		s.stranger(c, line)
		return nil, 0, false
	}
	if s.run == nil || at < len(s.tail) || string(line[at-len(s.tail):at]) != string(s.tail) {
		t, ok := record.ScanTail(line)
		if !ok {
			s.stranger(c, line)
			return nil, 0, false
		}
		s.use(t, line[t.Start:at])
	}
	head, ok := record.ScanHead(line)
	if s.full || !ok || secondBeginning(line) {
		if err := record.Valid(line); err != nil {
			c.torn = append(c.torn, tornLine{c.lines, err.Error()})
			return nil, 0, false
		}
	}
	if ok && string(head.Logger) == record.OwnLogger {
		switch rest := line[head.Rest:]; {
		case bytes.HasPrefix(rest, []byte(toldMsg)):
			c.told = append(c.told, toldLine{s.run, readTold(line, interval{1, seq})})
		case bytes.HasPrefix(rest, []byte(lostMsg)):
			c.lose(line)
		}
	}
	return s.run, seq, true
}

// use makes t's run the one that is expected next.
func (s *scanner) use(t record.Tail, tail []byte) {
	s.tail = append(s.tail[:0], tail...)
	s.run = s.known[string(tail)]
	if s.run == nil {
		s.run = s.registry.find(t)
		s.known[string(tail)] = s.run
	}
}

// stranger looks at a line without our end: another's record, or a torn one.
func (s *scanner) stranger(c *chunk, line []byte) {
	if err := record.Valid(line); err != nil {
		c.torn = append(c.torn, tornLine{c.lines, err.Error()})
		return
	}
	c.other++
}

// lose reads a "records lost" record. One that does not say whose they were says nothing.
func (c *chunk) lose(line []byte) {
	var l lostLine
	for k, v := range record.Fields(line) {
		var text string
		switch string(k) {
		case "lost_app", "lost_worker", "lost_run":
			if json.Unmarshal(v, &text) != nil {
				return
			}
		}
		switch string(k) {
		case "lost_app":
			l.identity.App = []byte(text)
		case "lost_worker":
			l.identity.Worker = []byte(text)
		case "lost_run":
			l.identity.Run = []byte(text)
		}
	}
	if l.told = readTold(line, interval{}); len(l.identity.Run) > 0 && l.first > 0 && l.first <= l.last {
		c.lost = append(c.lost, l)
	}
}

// readTold reads how many records were dropped or lost, and between which seqs. What does not say
// where they were gives where they must have been.
func readTold(line []byte, where interval) told {
	t := told{interval: where}
	for k, v := range record.Fields(line) {
		n, err := strconv.ParseUint(string(v), 10, 64)
		if err != nil || n > maxSeq {
			continue
		}
		switch string(k) {
		case "count":
			t.count = n
		case "first":
			t.first = n
		case "last":
			t.last = n
		}
	}
	return t
}

// maxSeq is the highest seq that a header can carry.
const maxSeq = 1<<63 - 1

// lastNumber returns the seq before the closing brace, and where it begins; at is 0 if there is
// none.
func lastNumber(line []byte) (seq uint64, at int) {
	end := len(line) - 1
	if end < 1 || line[end] != '}' {
		return 0, 0
	}
	i := end
	for pow := uint64(1); i > 0 && '0' <= line[i-1] && line[i-1] <= '9'; pow *= 10 {
		if i--; end-i > 19 {
			return 0, 0
		}
		seq += uint64(line[i]-'0') * pow
	}
	if i == end || line[i] == '0' || seq > maxSeq {
		return 0, 0
	}
	return seq, i
}

// secondBeginning reports whether a record begins inside the line.
func secondBeginning(line []byte) bool {
	for i := 1; ; i++ {
		n := bytes.IndexByte(line[i:], '{')
		if n < 0 {
			return false
		}
		if i += n; bytes.HasPrefix(line[i:], []byte(beginning)) {
			return true
		}
	}
}
