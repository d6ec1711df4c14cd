package verify

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// A Report says what of a log is there. Its JSON is what "collector verify --json" writes.
type Report struct {
	OK         bool   `json:"ok"`      // nothing lost, duplicated, out of order or torn
	Partial    bool   `json:"partial"` // seqs before a run's first were not missed
	Lines      uint64 `json:"lines"`
	Bytes      int64  `json:"bytes"` // unpacked
	Records    uint64 `json:"records"`
	Other      uint64 `json:"other"` // valid lines that name no run
	Missing    uint64 `json:"missing"`
	Dropped    uint64 `json:"dropped"`
	Lost       uint64 `json:"lost"`
	Duplicates uint64 `json:"duplicates"`
	Disorder   uint64 `json:"disorder"`
	Torn       uint64 `json:"torn"`
	Files      []File `json:"files"`
	Runs       []Run  `json:"runs"`
	TornLines  []Torn `json:"torn_lines,omitempty"` // the first 20
}

// A File is one of the files, in the order in which they were given.
type File struct {
	Name  string `json:"name"`
	Lines uint64 `json:"lines"`
	Bytes int64  `json:"bytes"` // unpacked
	Torn  uint64 `json:"torn"`
}

// A Run is one life of a publisher. Count = Last-First+1 - what is missing between them +
// Duplicates; a run that does not begin with 1 misses those before First as well, unless the log is
// Partial.
type Run struct {
	App        string  `json:"app"`
	Worker     string  `json:"worker"`
	Run        string  `json:"run"`
	First      uint64  `json:"first"` // 0 when there is no line of it: the collector tells that all are lost
	Last       uint64  `json:"last"`
	Count      uint64  `json:"count"`             // lines
	Missing    uint64  `json:"missing"`           // Dropped + Lost
	Dropped    uint64  `json:"dropped"`           // missing, and told by a "records dropped" record
	Lost       uint64  `json:"lost"`              // missing, and not told as dropped
	LostAtEnd  uint64  `json:"lost_at_end"`       // of these, those behind Last, of which only the collector's record tells
	Duplicates uint64  `json:"duplicates"`        // lines whose seq was there before
	Disorder   uint64  `json:"disorder"`          // lines behind a later one, and files that overlap
	Gaps       []Range `json:"gaps,omitempty"`    // the first 8
	Inexact    bool    `json:"inexact,omitempty"` // so many gaps that some late lines count as duplicates
}

// OK reports whether nothing is wrong with the run.
func (r Run) OK() bool { return r.Lost == 0 && r.Duplicates == 0 && r.Disorder == 0 }

// A Range is the seqs First to Last, both included.
type Range struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// A Torn line is one that is not a whole record.
type Torn struct {
	File string `json:"file"`
	Line uint64 `json:"line"` // from 1
	What string `json:"what"`
}

func (r *Report) torn(f *File, line uint64, what string) {
	f.Torn++
	r.Torn++
	if len(r.TornLines) < maxTorn {
		r.TornLines = append(r.TornLines, Torn{File: f.Name, Line: line, What: strings.TrimPrefix(what, "check line: ")})
	}
}

// finish draws the sums.
func (r *Report) finish(runs map[string]*run) {
	for _, f := range r.Files {
		r.Lines += f.Lines
		r.Bytes += f.Bytes
	}
	r.Runs = make([]Run, 0, len(runs))
	for _, run := range runs {
		if run.lines == 0 && len(run.lost) == 0 {
			continue // seen on torn lines only
		}
		s := run.report(r.Partial)
		r.Records += s.Count
		r.Missing += s.Missing
		r.Dropped += s.Dropped
		r.Lost += s.Lost
		r.Duplicates += s.Duplicates
		r.Disorder += s.Disorder
		r.Runs = append(r.Runs, s)
	}
	slices.SortFunc(r.Runs, func(a, b Run) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Worker, b.Worker), cmp.Compare(a.Run, b.Run))
	})
	r.OK = r.Lost == 0 && r.Duplicates == 0 && r.Disorder == 0 && r.Torn == 0
}

func (r *run) report(partial bool) Run {
	missing, dropped, gaps := r.missing(partial)
	atEnd, where := r.lostAtEnd()
	for _, in := range where {
		if len(gaps) < maxGaps {
			gaps = append(gaps, in)
		}
	}
	s := Run{
		App: r.app, Worker: r.worker, Run: r.id,
		First:      r.seen.first(),
		Last:       r.seen.last(),
		Count:      r.lines,
		Missing:    missing + atEnd,
		Dropped:    dropped,
		Lost:       missing - dropped + atEnd,
		LostAtEnd:  atEnd,
		Duplicates: r.duplicates,
		Disorder:   r.disorder + r.interleaved(),
		Inexact:    r.seen.closed > 0,
	}
	if r.mixed {
		s.Worker = "(several)"
	}
	for _, g := range gaps {
		s.Gaps = append(s.Gaps, Range{g.first, g.last})
	}
	return s
}

// WriteTable writes the report for people: a line per run, what is torn, and the verdict.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "APP\tWORKER\tRUN\tFIRST\tLAST\tLINES\tDROPPED\tLOST\tTWICE\tDISORDER\tGAPS")
	for _, s := range r.Runs {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n",
			name(s.App), name(s.Worker), name(s.Run), s.First, s.Last, s.Count, s.Dropped, s.Lost, s.Duplicates, s.Disorder, s.gaps())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, l := range r.TornLines {
		fmt.Fprintf(w, "%s:%d: torn: %s\n", name(l.File), l.Line, l.What)
	}
	if more := r.Torn - uint64(len(r.TornLines)); more > 0 {
		fmt.Fprintf(w, "and %d more torn lines\n", more)
	}
	_, err := fmt.Fprintln(w, r.verdict())
	return err
}

// name shows a name that came from a file: no file may draw on the terminal.
func name(s string) string {
	if q := strconv.Quote(s); len(q) != len(s)+2 || s == "" || strings.Contains(s, " ") {
		return q
	}
	return s
}

func (s Run) gaps() string {
	if len(s.Gaps) == 0 {
		return "-"
	}
	var b strings.Builder
	for i, g := range s.Gaps {
		if i > 0 {
			b.WriteByte(',')
		}
		if b.WriteString(strconv.FormatUint(g.First, 10)); g.Last > g.First {
			fmt.Fprintf(&b, "-%d", g.Last)
		}
		if i == 2 && len(s.Gaps) > 3 {
			b.WriteString(",...")
			break
		}
	}
	return b.String()
}

func (r *Report) verdict() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d records, %d runs, %d lines: ", r.Records, len(r.Runs), r.Lines)
	switch {
	case !r.OK:
		fmt.Fprintf(&b, "NOT whole: %d lost, %d twice, %d out of order, %d torn", r.Lost, r.Duplicates, r.Disorder, r.Torn)
	case r.Records == 0:
		b.WriteString("nothing to verify")
	default:
		b.WriteString("whole, in order, each once")
	}
	if r.Dropped > 0 {
		fmt.Fprintf(&b, "; %d dropped and told", r.Dropped)
	}
	if r.Other > 0 {
		fmt.Fprintf(&b, "; %d lines are not logbraid's", r.Other)
	}
	return b.String()
}
