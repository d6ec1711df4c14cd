package checker

import (
	"fmt"
	"sort"
	"strings"
)

// A Kind names what is wrong; the package comment explains each.
type Kind string

const (
	Torn       Kind = "torn"
	Invalid    Kind = "invalid"
	Keys       Kind = "keys"
	Unknown    Kind = "unknown"
	Altered    Kind = "altered"
	Misrouted  Kind = "misrouted"
	Duplicate  Kind = "duplicate"
	Disorder   Kind = "disorder"
	Lost       Kind = "lost"
	Accounting Kind = "accounting"
)

// shown is how many problems of a kind are described; all are counted.
const shown = 5

// A Report says what a destination holds and what is wrong with it.
type Report struct {
	Path      string
	Files     int
	Lines     int
	Records   int // lines with an id of a ledger
	Started   int // of those, records whose call had not returned, or not yet noted it, when their worker died
	Foreign   int // lines marked as foreign
	Other     int // lines of the collector and of programs without a ledger
	Runs      int
	Dropped   uint64 // told by "records dropped" records
	GapLost   uint64 // told by "records lost" records
	Seqs      Seqs   // what the seqs of all runs show, whoever tells what about them
	Counts    map[Kind]int
	Problems  []string // the first few of each kind
	PerWorker map[string]int

	told map[Kind]int // how many were described, or would have been
}

// Seqs are figures of a JSON log alone, without ledgers: what another program that reads the files must find, too.
type Seqs struct {
	Absent      uint64 // up to the last of each run, or what is told as lost behind that
	Unexplained uint64 // of these, more than their run's "records dropped" records tell
	Twice       int
	Disorder    int
}

func (r *Report) add(kind Kind, at fmt.Stringer, format string, args ...any) {
	r.addMany(kind, 1, at, format, args...)
}

// addMany describes n problems at once.
func (r *Report) addMany(kind Kind, n int, at fmt.Stringer, format string, args ...any) {
	r.Counts[kind] += n
	r.told[kind]++
	if r.told[kind] <= shown {
		where := ""
		if at != nil {
			where = at.String() + ": "
		}
		r.Problems = append(r.Problems, fmt.Sprintf("%s: %s%s", kind, where, fmt.Sprintf(format, args...)))
	}
}

// Err is nil for a log that is what was promised, and otherwise lists the problems.
func (r *Report) Err() error {
	if len(r.Counts) == 0 {
		return nil
	}
	var counts []string
	for kind, n := range r.Counts {
		counts = append(counts, fmt.Sprintf("%d %s", n, kind))
	}
	sort.Strings(counts)
	return fmt.Errorf("%s: %s\n\t%s", r.Path, strings.Join(counts, ", "), strings.Join(r.Problems, "\n\t"))
}

// String is one line of figures.
func (r *Report) String() string {
	return fmt.Sprintf("%s: %d lines in %d files, %d records of ledgers (%d not yet noted), %d foreign, %d others, %d runs, told: %d dropped, %d lost; problems: %d",
		r.Path, r.Lines, r.Files, r.Records, r.Started, r.Foreign, r.Other, r.Runs, r.Dropped, r.GapLost, r.problems())
}

func (r *Report) problems() int {
	n := 0
	for _, c := range r.Counts {
		n += c
	}
	return n
}
