//go:build unix

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/internal/verify"
	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// The program "collector verify" and the checker say the same of a real log, and of that log broken on purpose: exit code 3 where
// the checker finds a problem, and the same numbers. (Of every log of every other test, harness.Check compares them too.)
func TestVerifyAgreesWithTheChecker(t *testing.T) {
	program := filepath.Join(t.TempDir(), "collector")
	if err := harness.Build(program, "github.com/logbraid/logbraid/cmd/collector"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"external", "external stream"} {
		t.Run(name, func(t *testing.T) { verifyAgrees(t, program, arrangements[name]) })
	}
}

func verifyAgrees(t *testing.T, program string, arrange arrangement) {
	dir, ledgers := t.TempDir(), t.TempDir()
	handlers, logs := harness.Logs(dir)
	s := arrange(t, dir, handlers)
	var reports []harness.WorkerReport
	for _, name := range []string{"w1", "w2"} {
		reports = append(reports, harness.StartWorker(t, name, harness.WorkerSpec{Ledger: ledgers, Records: 500, Payload: 40}, s.worker(name)).Report())
	}
	s.stop()
	harness.Check(t, ledgers, logs...)
	text, err := os.ReadFile(logs[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	whole := slices.Collect(strings.Lines(string(text)))
	accepted, err := checker.ReadLedgers(ledgers)
	if err != nil {
		t.Fatal(err)
	}
	of := func(run string, seq int) int { // where a record stands
		at := slices.IndexFunc(whole, func(l string) bool { return strings.HasSuffix(l, fmt.Sprintf(`"run":"%s","seq":%d}`+"\n", run, seq)) })
		if at < 0 {
			t.Fatalf("no record %d of run %s", seq, run)
		}
		return at
	}
	first, last := reports[0].Run, reports[1].Run
	lost := func(seq, count, from, to int) string {
		return fmt.Sprintf(`{"time":"2026-11-21T10:00:00.123456789Z","level":"error","logger":"logbraid","msg":"records lost","lost_app":"etl","lost_worker":"w2",`+
			`"lost_run":"%s","count":%d,"first":%d,"last":%d,"app":"logbraid","worker":"collector","run":"CCCCCCCCCC","seq":%d}`+"\n", last, count, from, to, seq)
	}
	for _, test := range []struct {
		name   string
		damage func(l []string) []string
		code   int
		sums   [4]int // lost, twice, out of order, torn
	}{
		{"nothing", func(l []string) []string { return l }, 0, [4]int{}},
		{"a record removed", func(l []string) []string { return slices.Delete(l, of(first, 250), of(first, 250)+1) }, 3, [4]int{1}},
		{"a record twice", func(l []string) []string { return append(l, l[of(first, 250)]) }, 3, [4]int{0, 1}},
		{"two records changed over", func(l []string) []string {
			a, b := of(first, 250), of(first, 251)
			l[a], l[b] = l[b], l[a]
			return l
		}, 3, [4]int{0, 0, 1}},
		{"the last line cut", func(l []string) []string { l[len(l)-1] = l[len(l)-1][:60]; return l }, 3, [4]int{0, 0, 0, 1}},
		{"the end of a run lost, and told", func(l []string) []string {
			return append(slices.Delete(l, of(last, 498), of(last, 500)+1), lost(1, 3, 498, 500))
		}, 3, [4]int{3}},
		{"the end of a run lost in two parts", func(l []string) []string {
			return append(slices.Delete(l, of(last, 498), of(last, 500)+1), lost(1, 1, 498, 498), lost(2, 2, 499, 500))
		}, 3, [4]int{3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := checker.Destination{Path: filepath.Join(t.TempDir(), "app.jsonl")}
			if err := os.WriteFile(d.Path, []byte(strings.Join(test.damage(slices.Clone(whole)), "")), 0o644); err != nil {
				t.Fatal(err)
			}
			report, err := checker.Check(accepted, d)
			if err != nil {
				t.Fatal(err)
			}
			if (report.Err() == nil) != (test.code == 0) {
				t.Errorf("the checker: %v", report.Err())
			}
			var out, errs bytes.Buffer
			cmd := exec.Command(program, "verify", "--json", "--full", d.Path)
			cmd.Stdout, cmd.Stderr = &out, &errs
			_ = cmd.Run() // its exit code says more
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Fatalf("exit code %d, want %d\n%s%s", code, test.code, &out, &errs)
			}
			var v verify.Report
			if err := json.Unmarshal(out.Bytes(), &v); err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			if wrong := harness.Disagreement(&v, report, true); wrong != "" {
				t.Errorf("they disagree: %s", wrong)
			}
			if got := [4]int{int(v.Lost), int(v.Duplicates), int(v.Disorder), int(v.Torn)}; got != test.sums {
				t.Errorf("lost, twice, out of order, torn: %v, want %v", got, test.sums)
			}
		})
	}
}
