// Command cmd checks log files from outside: go run ./tests/checker/cmd --json logs/app.jsonl --text logs/app.log
//
// Without ledgers it still checks that lines are whole and well formed, and that the seqs of each run are 1, 2, 3, ... in this
// order with nothing absent that is not told; --expect adds how many lines a worker must have. Exit 0: all is well, 1: not, 2: usage.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/logbraid/logbraid/tests/checker"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	var jsons, texts, expect list
	flag.Var(&jsons, "json", "`path` of a JSON log that holds everything; its generations are found beside it (repeatable)")
	flag.Var(&texts, "text", "`path` of a text log that holds everything (repeatable)")
	flag.Var(&expect, "expect", "`WORKER=LINES`: how many lines a worker has in each log (repeatable)")
	ledger := flag.String("ledger", "", "`directory` of the workers' ledgers")
	flag.Parse()
	if len(jsons)+len(texts) == 0 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	want, err := counts(expect)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	accepted := &checker.Accepted{}
	if *ledger != "" {
		if accepted, err = checker.ReadLedgers(*ledger); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	good := true
	for _, path := range jsons {
		good = check(accepted, checker.Destination{Path: path}, want) && good
	}
	for _, path := range texts {
		good = check(accepted, checker.Destination{Path: path, Format: checker.Text}, want) && good
	}
	if !good {
		os.Exit(1)
	}
}

func counts(expect []string) (map[string]int, error) {
	want := map[string]int{}
	for _, e := range expect {
		worker, digits, _ := strings.Cut(e, "=")
		n, err := strconv.Atoi(digits)
		if err != nil || worker == "" {
			return nil, fmt.Errorf("--expect %q: want WORKER=LINES, for example w1=1200", e)
		}
		want[worker] = n
	}
	return want, nil
}

func check(accepted *checker.Accepted, d checker.Destination, want map[string]int) bool {
	report, err := checker.Check(accepted, d)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return false
	}
	fmt.Println(report)
	good := true
	if err := report.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		good = false
	}
	for worker, n := range want {
		if got := report.PerWorker[worker]; got != n {
			fmt.Fprintf(os.Stderr, "%s: worker %s has %d lines, not %d\n", d.Path, worker, got, n)
			good = false
		}
	}
	return good
}
