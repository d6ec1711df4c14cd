package checker

import (
	"bytes"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// Format is how a destination writes its lines.
type Format int

const (
	JSON Format = iota
	Text
)

// A Destination is one log: a path, with its rotated generations beside it, and what belongs into it.
type Destination struct {
	Path   string
	Files  []string // its files in the order of writing, where somebody else has renamed them; nil: the generations of Path
	Format Format
	// Select says which accepted records belong here; nil means all. With a Select the seqs of a run have holes by design, so
	// they are not accounted for.
	Select func(Entry) bool
	// Dropped is how many records of a run its publisher counted as dropped, where a test knows it from counters; nil, or
	// false, leaves the ledger's last line, and failing that what the log itself tells.
	Dropped func(run string) (uint64, bool)
	// LossTold accepts records that are missing when a "records lost" record counts them: for faults that destroy what no
	// setting promised to keep.
	LossTold bool
}

// seqLimit bounds the memory that a forged seq can make the checker use.
const seqLimit = 1 << 32

// Check reads a destination and compares it with what was accepted. The error is about reading; what is wrong with the log is
// in the report.
func Check(accepted *Accepted, d Destination) (*Report, error) {
	files, err := d.Files, error(nil)
	if files == nil {
		if files, err = Generations(d.Path); err != nil {
			return nil, err
		}
	}
	c := &check{
		accepted: accepted, d: d,
		report:  &Report{Path: d.Path, Files: len(files), Counts: map[Kind]int{}, told: map[Kind]int{}, PerWorker: map[string]int{}},
		runs:    map[string]*runState{},
		sources: map[string]*sourceState{},
	}
	for _, file := range files {
		if err := eachLine(file, c.line); err != nil {
			return nil, err
		}
	}
	c.complete()
	c.account()
	c.report.Runs = len(c.runs)
	return c.report, nil
}

type check struct {
	accepted *Accepted
	d        Destination
	report   *Report
	runs     map[string]*runState
	sources  map[string]*sourceState
	scratch  []member
}

// runState is what the lines of one run have shown so far.
type runState struct {
	seen          bits
	last          uint64
	lines         uint64
	dropped, lost uint64 // told in the stream
	gaps          []gap  // what is told as lost
}

// gap is what a "records lost" record says: count of the seqs first to last, the others were dropped.
type gap struct{ first, last, count uint64 }

type sourceState struct{ goroutines map[int]*goroutineState }

type goroutineState struct {
	seen    bits
	last    int
	started bool // the record behind the ledger's last is there
}

func (c *check) line(at position, line []byte, whole bool) {
	c.report.Lines++
	if !whole {
		c.report.add(Torn, at, "no newline after %.60q", line)
		return
	}
	if bytes.IndexByte(line, 0) >= 0 {
		c.report.add(Torn, at, "NUL in %.60q", line)
		return
	}
	if c.d.Format == Text {
		c.textLine(at, line)
		return
	}
	c.jsonLine(at, line)
}

func (c *check) jsonLine(at position, line []byte) {
	all, err := members(c.scratch[:0], line)
	if err != nil {
		c.report.add(Invalid, at, "%v: %.80q", err, line)
		return
	}
	c.scratch = all
	r := record{all: all}
	if err := r.decode(); err != nil {
		c.report.add(Keys, at, "%v: %.120q", err, line)
		return
	}
	c.report.PerWorker[r.worker]++
	if !c.inRun(at, &r) {
		return
	}
	id := r.text("id")
	source, g, n, ok := splitID(id)
	if !ok || c.accepted.sources[source] == nil {
		c.other(at, &r, id)
		return
	}
	s := c.accepted.sources[source]
	if s.run && r.run != source {
		c.report.add(Altered, at, "record %s in run %s", id, r.run)
		return
	}
	if e, ok := c.take(at, s, g, n); ok {
		if e.Level != r.level || e.Logger != r.logger {
			c.report.add(Altered, at, "record %s: level %s, logger %q; logged as %s, %q", id, r.level, r.logger, e.Level, e.Logger)
		}
		if e.ID() != id || !payloadOK(id, r.text("pad")) {
			c.report.add(Altered, at, "record %s: payload %.80q", id, r.text("pad"))
		}
	}
}

// inRun checks a line's place in its run.
func (c *check) inRun(at position, r *record) bool {
	run := c.runs[r.run]
	if run == nil {
		run = &runState{}
		c.runs[r.run] = run
	}
	switch {
	case r.seq >= seqLimit:
		c.report.add(Keys, at, "run %s: seq %d is out of reason", r.run, r.seq)
		return false
	case !run.seen.add(r.seq):
		c.report.Seqs.Twice++
		c.report.add(Duplicate, at, "run %s: seq %d again, after %d", r.run, r.seq, run.last)
		return false
	}
	run.lines++
	if r.seq < run.last {
		c.report.Seqs.Disorder++
		c.report.add(Disorder, at, "run %s: seq %d after %d", r.run, r.seq, run.last)
	}
	run.last = max(run.last, r.seq)
	return true
}

// other deals with lines that no ledger knows: the product's own, foreign ones, those of programs without a ledger.
func (c *check) other(at position, r *record, id string) {
	if id != "" && c.accepted.Sources() > 0 {
		c.report.add(Unknown, at, "record %q", id)
		return
	}
	if string(r.member("foreign")) == "true" {
		c.report.Foreign++
		return
	}
	c.report.Other++
	if r.logger != "logbraid" {
		return
	}
	count, ok := r.number("count")
	switch r.msg {
	case "records dropped":
		if !ok {
			c.report.add(Keys, at, "records dropped, without a count")
		}
		c.report.Dropped += count
		c.runs[r.run].dropped += count
	case "records lost":
		of := r.text("lost_run")
		if !ok || of == "" {
			c.report.add(Keys, at, "records lost, without count and lost_run")
			return
		}
		c.report.GapLost += count
		if c.runs[of] == nil {
			c.runs[of] = &runState{}
		}
		c.runs[of].lost += count
		first, ok1 := r.number("first")
		last, ok2 := r.number("last")
		if !ok1 || !ok2 || first < 1 || last < first || last >= seqLimit || count > last-first+1 {
			c.report.add(Keys, at, "records lost, %d from %d to %d", count, first, last)
			return
		}
		c.runs[of].gaps = append(c.runs[of].gaps, gap{first, last, count})
	}
}

// take notes that the n-th record of a goroutine stands here. ok is false for one whose call had not returned: of that one the
// ledger says nothing.
func (c *check) take(at position, s *source, g, n int) (e Entry, ok bool) {
	state := c.goroutine(s.name, g)
	known := len(s.goroutines[g])
	id := s.name + "." + strconv.Itoa(g) + "." + strconv.Itoa(n)
	switch {
	case n > known+1 || n == known+1 && s.ended:
		c.report.add(Unknown, at, "record %s; the goroutine's last was %d", id, known)
		return e, false
	case !state.seen.add(uint64(n)):
		c.report.add(Duplicate, at, "record %s again, after %d", id, state.last)
		return e, false
	}
	if n < state.last {
		c.report.add(Disorder, at, "record %s after %d", id, state.last)
	}
	state.last = max(state.last, n)
	c.report.Records++
	if n == known+1 {
		state.started = true
		c.report.Started++
		return e, false
	}
	e = c.accepted.at(s, g, n)
	if c.d.Select != nil && !c.d.Select(e) {
		c.report.add(Misrouted, at, "record %s, level %s, logger %q", id, e.Level, e.Logger)
	}
	return e, true
}

func (c *check) goroutine(source string, g int) *goroutineState {
	s := c.sources[source]
	if s == nil {
		s = &sourceState{goroutines: map[int]*goroutineState{}}
		c.sources[source] = s
	}
	if s.goroutines[g] == nil {
		s.goroutines[g] = &goroutineState{}
	}
	return s.goroutines[g]
}

// complete looks for accepted records that are not there.
func (c *check) complete() {
	for _, name := range sorted(c.accepted.sources) {
		s := c.accepted.sources[name]
		missing, example := c.missing(s)
		told := c.toldDropped(s)
		if c.d.LossTold && c.runs[name] != nil {
			told += c.runs[name].lost
		}
		if missing > told {
			c.report.addMany(Lost, int(missing-told), nil, "%s of %s: %d of its records are absent, %d are counted as dropped; the first is %s", name, s.worker, missing, told, example)
		}
	}
}

func (c *check) missing(s *source) (n uint64, example string) {
	for g := range s.goroutines {
		state := c.goroutine(s.name, g)
		for i := range s.goroutines[g] {
			if state.seen.has(uint64(i + 1)) {
				continue
			}
			e := c.accepted.at(s, g, i+1)
			if c.d.Select != nil && !c.d.Select(e) {
				continue
			}
			if n++; n == 1 {
				example = e.ID()
			}
		}
	}
	return n, example
}

// toldDropped is how many records of a run are known to have been dropped, from the best source there is.
func (c *check) toldDropped(s *source) uint64 {
	if c.d.Dropped != nil {
		if n, ok := c.d.Dropped(s.name); ok {
			return n
		}
	}
	if s.ended {
		return s.dropped
	}
	if run := c.runs[s.name]; run != nil {
		return run.dropped
	}
	return 0
}

// account holds the seqs that a run lacks against what the log tells about them (I9).
func (c *check) account() {
	if c.d.Select != nil || c.d.Format == Text {
		return
	}
	for _, name := range sorted(c.runs) {
		run := c.runs[name]
		s := c.accepted.sources[name]
		holes, known := run.last-run.lines, run.dropped
		for _, g := range run.gaps {
			if g.last > run.last { // behind the last line only this record tells of them
				holes += min(g.count, g.last-max(g.first-1, run.last))
			}
		}
		c.report.Seqs.Absent += holes
		c.report.Seqs.Unexplained += holes - min(holes, run.dropped)
		if s != nil {
			known = max(known, c.toldDropped(s))
		}
		if holes > known+run.lost || holes < run.dropped+run.lost {
			c.report.add(Accounting, nil, "run %s: %d seqs up to %d are absent; %d are told as dropped, %d as lost", name, holes, run.last, known, run.lost)
		}
		if run.lost > 0 && !c.d.LossTold {
			c.report.add(Accounting, nil, "run %s: %d records told as lost", name, run.lost)
		}
		if s == nil || !s.ended {
			continue
		}
		if run.dropped > s.dropped {
			c.report.add(Accounting, nil, "run %s: %d dropped are told, its publisher counted %d", name, run.dropped, s.dropped)
		}
		if s.logged != run.lines+s.dropped+run.lost {
			c.report.add(Accounting, nil, "run %s: logged %d is not written %d + dropped %d + lost %d", name, s.logged, run.lines, s.dropped, run.lost)
		}
	}
}

func splitID(id string) (source string, g, n int, ok bool) {
	p := strings.Split(id, ".")
	if len(p) != 3 || p[0] == "" {
		return "", 0, 0, false
	}
	g, err1 := strconv.Atoi(p[1])
	n, err2 := strconv.Atoi(p[2])
	return p[0], g, n, err1 == nil && err2 == nil && g >= 0 && n >= 1
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// textHead is how a text line begins; the checker knows no more of the format than this.
var (
	textHead = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (TRACE|DEBUG|INFO|WARN|ERROR|FATAL|PANIC) +([^ ]*)\[([^\]]*)\] `)
	textID   = regexp.MustCompile(` id=([^ ."]+\.\d+\.\d+)(?: |$)`)
)

func (c *check) textLine(at position, line []byte) {
	for _, r := range string(line) {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfffd {
			c.report.add(Invalid, at, "%q in %.80q", r, line)
			return
		}
	}
	head := textHead.FindSubmatch(line)
	if head == nil {
		c.report.add(Invalid, at, "not a text line: %.80q", line)
		return
	}
	c.report.PerWorker[string(head[3])]++
	m := textID.FindSubmatch(line)
	if m == nil {
		c.report.Other++
		return
	}
	source, g, n, ok := splitID(string(m[1]))
	s := c.accepted.sources[source]
	if !ok || s == nil {
		c.report.add(Unknown, at, "record %q", m[1])
		return
	}
	if e, ok := c.take(at, s, g, n); ok {
		if !strings.EqualFold(e.Level, string(head[1])) || e.Logger != string(head[2]) || s.worker != string(head[3]) {
			c.report.add(Altered, at, "record %s: %s; logged as %s %s[%s]", m[1], head[0], e.Level, e.Logger, s.worker)
		}
	}
}

var _ fmt.Stringer = position{}
