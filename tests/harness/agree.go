//go:build unix

package harness

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/logbraid/logbraid/internal/verify"
	"github.com/logbraid/logbraid/tests/checker"
)

// Agree holds what "collector verify" says of a destination against what the checker has said of it: two programs that share no
// code read the same files. Check does it for every log; a test that uses the checker on its own calls it, too. Of a
// destination with a filter, and of text, verify can say nothing.
func Agree(t T, d checker.Destination, report *checker.Report) {
	t.Helper()
	if d.Select != nil || d.Format != checker.JSON {
		return
	}
	files, err := d.Files, error(nil)
	if files == nil {
		if files, err = checker.Generations(d.Path); err != nil {
			t.Fatalf("verify: %v", err)
		}
	}
	size := int64(0)
	for _, name := range files {
		if info, err := os.Stat(name); err == nil {
			size += info.Size()
		}
	}
	full := size < 8<<20 // every line parsed; a large log's lines are looked at from both ends
	v, err := verify.Files(context.Background(), files, verify.Options{Full: full})
	if err != nil {
		t.Fatalf("verify %s: %v", d.Path, err)
	}
	if wrong := Disagreement(v, report, full); wrong != "" {
		t.Errorf("%s: collector verify and the checker disagree: %s", d.Path, wrong)
	}
}

// Disagreement says in what they differ; "" when they agree.
func Disagreement(v *verify.Report, report *checker.Report, full bool) string {
	var wrong []string
	differ := func(what string, v, c any) {
		wrong = append(wrong, fmt.Sprintf("%s %v, not %v", what, v, c))
	}
	// A line that is no record is torn for verify; the checker has more words for it.
	broken := report.Counts[checker.Torn] + report.Counts[checker.Invalid]
	if (v.Torn > 0) != (broken > 0) && (full || v.Torn > 0) {
		differ("torn lines", v.Torn, broken)
	}
	if v.Lines != uint64(report.Lines) {
		differ("lines", v.Lines, report.Lines)
	}
	if broken+report.Counts[checker.Keys] > 0 { // which run they belonged to is a matter of opinion
		return strings.Join(wrong, "; ")
	}
	s := report.Seqs
	if len(v.Runs) != report.Runs {
		differ("runs", len(v.Runs), report.Runs)
	}
	if v.Missing != s.Absent {
		differ("missing", v.Missing, s.Absent)
	}
	if v.Lost != s.Unexplained {
		differ("lost", v.Lost, s.Unexplained)
	}
	if v.Duplicates != uint64(s.Twice) {
		differ("twice", v.Duplicates, s.Twice)
	}
	// Verify takes files in any order, so it knows an order within each only.
	if v.Disorder > 0 && s.Disorder == 0 || v.Disorder == 0 && s.Disorder > 0 && report.Files == 1 {
		differ("out of order", v.Disorder, s.Disorder)
	}
	if ok := s.Unexplained == 0 && s.Twice == 0 && v.Disorder == 0; v.OK != ok {
		differ("the verdict is", v.OK, ok)
	}
	return strings.Join(wrong, "; ")
}
