//go:build unix

package faults

import (
	"os"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// lossIsTold is the judgement on faults that destroy what no setting promised to keep: nothing is missing but what the log itself
// tells as lost, to the record, and the collector counts the same; 0D0R0T.
func lossIsTold(t *testing.T, ledgers string, logs []checker.Destination, stats harness.CollectorStats) {
	t.Helper()
	accepted, err := checker.ReadLedgers(ledgers)
	if err != nil {
		t.Fatal(err)
	}
	json := logs[0]
	json.LossTold = true // and then the checker holds logged = written + dropped + lost for each run
	report, err := checker.Check(accepted, json)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(report)
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	harness.Agree(t, json, report)
	if stats.Lost != report.GapLost || stats.Logged != stats.Written+stats.Lost || stats.Dropped != 0 {
		t.Errorf("the collector counts logged %d, written %d, dropped %d, lost %d; the log tells of %d", stats.Logged, stats.Written, stats.Dropped, stats.Lost, report.GapLost)
	}
	text, err := checker.Check(accepted, logs[1])
	if err != nil {
		t.Fatal(err)
	}
	for kind, n := range text.Counts {
		if kind != checker.Lost || uint64(n) > stats.Lost {
			t.Errorf("%d %s: %v", n, kind, text.Err())
		}
	}
}

// inLog reports whether the log has a text.
func inLog(t *testing.T, path, text string) bool {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(b), text)
}
