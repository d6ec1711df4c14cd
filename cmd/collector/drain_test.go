//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

// orphan leaves the buffer of a worker that logged n records and was killed
// while no collector was there.
func orphan(t *testing.T, url, buffers string, n int) {
	t.Helper()
	w := harness.StartWorker(t, "w1", harness.WorkerSpec{Serve: true}, harness.PlainEnv(url, "w1", "LOGBRAID_BUFFER_DIR="+buffers))
	w.Log(n)
	w.Kill()
	if left := bufferFiles(t, buffers); len(left) != 1 {
		t.Fatalf("the worker left %v", left)
	}
}

func bufferFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.ring"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestDrain(t *testing.T) {
	p, broker, dir := collecting(t, nil)
	p.Signal(syscall.SIGTERM)
	p.WaitOK()
	buffers := t.TempDir()
	orphan(t, broker.URL, buffers, 500)

	// Without a collector it waits, and can be interrupted.
	waiting := startProgram(t, t.TempDir(), nil, "drain", "--nats-url", broker.URL, buffers)
	untilStderr(t, waiting, "connected to NATS")
	waiting.Signal(syscall.SIGINT)
	if code := waiting.Wait(); code != 1 || !strings.Contains(waiting.Stderr(), "stays for the next drain") {
		t.Errorf("interrupted: %d\n%s", code, waiting.Stderr())
	}

	again := startProgram(t, dir, []string{"LOGBRAID_NATS_URL=" + broker.URL})
	untilStderr(t, again, "msg=collecting")
	code, stdout, stderr := runProgram(t, t.TempDir(), []string{"LOGBRAID_NATS_URL=" + broker.URL}, "drain", "--json", buffers)
	var report struct{ Runs []drainedRun }
	if err := json.Unmarshal([]byte(stdout), &report); code != 0 || err != nil || len(report.Runs) != 1 {
		t.Fatalf("exit code %d, %v:\n%s\n%s", code, err, stdout, stderr)
	}
	if run := report.Runs[0]; run.App != "etl" || run.Worker != "w1" || run.Sent != 500 || run.Last < 500 {
		t.Errorf("%+v", run)
	}
	if left := bufferFiles(t, buffers); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	text, err := os.ReadFile(filepath.Join(dir, "logs", "app.jsonl"))
	if n := strings.Count(string(text), `"worker":"w1"`); err != nil || n < 500 {
		t.Errorf("%d records in the log, %v", n, err)
	}

	code, stdout, _ = runProgram(t, t.TempDir(), nil, "drain", "--nats-url", broker.URL, buffers)
	if code != 0 || !strings.Contains(stdout, "nothing to drain") {
		t.Errorf("again: %d, %s", code, stdout)
	}
}

// What cannot be read is set aside, and the program says by its exit code that
// records may be missing.
func TestDrainDamaged(t *testing.T) {
	_, broker, _ := collecting(t, nil)
	buffers := t.TempDir()
	if err := os.WriteFile(filepath.Join(buffers, "w1.ring"), []byte("this is no buffer"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runProgram(t, t.TempDir(), nil, "drain", "--nats-url", broker.URL, buffers)
	if code != 3 || !strings.Contains(stdout, "set aside") || !strings.Contains(stderr, "records may be missing") {
		t.Errorf("exit code %d:\n%s\n%s", code, stdout, stderr)
	}
}

func TestDrainUsage(t *testing.T) {
	for _, args := range [][]string{{"drain"}, {"drain", "a", "b"}, {"drain", "no-such-directory"}, {"drain", "--nats-url", "x://", "."}} {
		if code, _, stderr := runProgram(t, t.TempDir(), nil, args...); code != 2 {
			t.Errorf("%q: exit code %d\n%s", args, code, stderr)
		}
	}
}
