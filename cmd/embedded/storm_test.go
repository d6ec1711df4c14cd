//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// ledgerEnv says where a worker of the role "ledger" keeps its ledger.
const ledgerEnv = "EMBEDDED_TEST_LEDGER"

// roleLedger logs until it is told to end, and notes each call that has returned.
func roleLedger() int {
	pub, err := publisher.FromEnv()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	publisher.SetDefault(pub)
	run := pub.Identity().Run
	ledger, err := checker.NewWriter(os.Getenv(ledgerEnv), pub.Identity().Worker, run, true)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	publisher.MainContext(func(ctx context.Context) int {
		pause := time.NewTicker(time.Millisecond)
		defer pause.Stop()
		for n := 1; ctx.Err() == nil; n++ {
			e := checker.Entry{Source: run, N: n, Level: "info", Logger: "etl.load"}
			pub.Named(e.Logger).Info("row", publisher.String("id", e.ID()))
			if err := ledger.Accepted(0, n, e.Level, e.Logger); err != nil {
				panic(err)
			}
			if n%20 == 0 {
				<-pause.C
			}
		}
		return 0
	})
	return 0
}

// Row 38 of the fault matrix: storms of signals while two workers log. They end the program and its workers, in good order or at
// once; what is not in the log by then the next session finds: nothing lost, twice, out of order or torn.
func TestFault38StormUnderLoad(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, ledgers := t.TempDir(), t.TempDir()
	logged := func() (size int64) {
		files, err := filepath.Glob(filepath.Join(ledgers, "*.ledger"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err == nil {
				size += info.Size()
			}
		}
		return size
	}
	for _, storm := range [][]syscall.Signal{{syscall.SIGTERM}, {syscall.SIGINT}, {syscall.SIGHUP}, {syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT}} {
		if len(storm) == 1 && signal.Ignored(storm[0]) {
			t.Logf("%v alone: not tried, since this test was started by nohup or alike, and so the workers ignore it", storm[0])
			continue
		}
		before := logged()
		p := startProgram(t, dir, "-n", "2", "--", "env", "EMBEDDED_TEST_ROLE=ledger", ledgerEnv+"="+ledgers, self)
		harness.Until(t, "the workers to log", func() bool { return logged() > before+20_000 || within(p.ended, 0) })
		for i := 0; i < 200 && !within(p.ended, 0); i++ {
			_ = p.cmd.Process.Signal(storm[i%len(storm)]) // it may be gone
		}
		if code := p.code(); p.cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
			t.Errorf("%v: ended with %d, %v\n%s", storm, code, p.cmd.ProcessState, p.err.String())
		}
	}
	if code, stdout, stderr := run(t, dir, "--", "true"); code != 0 {
		t.Fatalf("the next session: exit code %d\n%s%s", code, stdout, stderr)
	}
	if err := leftovers(dir); err != nil {
		t.Error(err)
	}
	harness.Check(t, ledgers, checker.Destination{Path: filepath.Join(dir, "logs", "app.jsonl")},
		checker.Destination{Path: filepath.Join(dir, "logs", "app.log"), Format: checker.Text})
}
