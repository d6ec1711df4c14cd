//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

// line is what these tests look at in a record.
type line struct {
	Level, Logger, Msg, App, Worker, Stack string
	N                                      int
	ExitCode                               int `json:"exit_code"`
}

// logged reads a log, without the collector's own records.
func logged(t *testing.T, path string) []line {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []line
	for s := bufio.NewScanner(f); s.Scan(); {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("%v in %s", err, s.Bytes())
		}
		if l.App != "logbraid" {
			all = append(all, l)
		}
	}
	return all
}

func TestExec(t *testing.T) {
	_, broker, dir := collecting(t, nil)
	state := t.TempDir()
	env := []string{"LOGBRAID_NATS_URL=" + broker.URL, "XDG_STATE_HOME=" + state}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	script := `echo hello; echo "$LOGBRAID_APP $LOGBRAID_WORKER $LOGBRAID_LEVELS"; echo '{"level":"error","msg":"from JSON","n":3}'; printf 'no newline'; sleep 0.1; echo oops >&2; exit 7`
	code, stdout, stderr := runProgram(t, t.TempDir(), env, "exec", "--app", "etl", "--levels", "debug", "--", "sh", "-c", script)
	if code != 7 || stdout != "" || stderr != "" {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	untilFile(t, filepath.Join(dir, "logs", "app.jsonl"), "command failed")
	got := logged(t, filepath.Join(dir, "logs", "app.jsonl"))
	want := []line{
		{Level: "info", Logger: "stdout", Msg: "hello"},
		{Level: "info", Logger: "stdout", Msg: "etl " + host + " debug"},
		{Level: "error", Logger: "stdout", Msg: "from JSON", N: 3},
		{Level: "info", Logger: "stdout", Msg: "no newline"},
		{Level: "warn", Logger: "stderr", Msg: "oops"},
		{Level: "error", Logger: "exec", Msg: "command failed", ExitCode: 7},
	}
	if len(got) != len(want) {
		t.Fatalf("%d records: %+v", len(got), got)
	}
	seen := make(map[line]bool)
	for _, l := range got {
		seen[l] = true
	}
	for _, l := range want {
		l.App, l.Worker = "etl", host
		if !seen[l] {
			t.Errorf("%+v is missing in %+v", l, got)
		}
	}
	if last := got[len(got)-1]; last.Msg != "command failed" {
		t.Errorf("last: %+v", last)
	}
	if left := bufferFiles(t, filepath.Join(state, "logbraid")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// What cannot be delivered is kept and sent by the next start; the command's exit
// code is returned all the same.
func TestExecWithoutServer(t *testing.T) {
	broker := harness.StartBroker(t, harness.BrokerSpec{})
	broker.Kill()
	state := t.TempDir()
	env := []string{"LOGBRAID_NATS_URL=" + broker.URL, "XDG_STATE_HOME=" + state, "LOGBRAID_CLOSE_TIMEOUT=100ms", "LOGBRAID_WORKER=w7"}
	code, _, stderr := runProgram(t, t.TempDir(), env, "exec", "--app", "etl", "--", "sh", "-c", "echo from the first run; exit 5")
	if code != 5 || !strings.Contains(stderr, "2 records could not be delivered in time; they are kept in "+state) {
		t.Errorf("exit code %d: %s", code, stderr)
	}

	broker.Restart()
	dir := t.TempDir()
	collector := startProgram(t, dir, []string{"LOGBRAID_NATS_URL=" + broker.URL})
	untilStderr(t, collector, "msg=collecting")
	env[2] = "LOGBRAID_CLOSE_TIMEOUT=1m"
	path := filepath.Join(dir, "logs", "app.jsonl")
	// However short it is, it ends when its predecessor's records have come.
	code, _, stderr = runProgram(t, t.TempDir(), env, "exec", "--app", "etl", "--", "echo", "from the second run")
	if code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if left := bufferFiles(t, filepath.Join(state, "logbraid")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	untilFile(t, path, "from the first run")
}

func TestExecPassesSignalsOn(t *testing.T) {
	_, broker, dir := collecting(t, nil)
	env := []string{"LOGBRAID_NATS_URL=" + broker.URL, "XDG_STATE_HOME=" + t.TempDir()}
	p := startProgram(t, t.TempDir(), env, "exec", "--app", "etl", "--", "sh", "-c", `trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.05; done`)
	path := filepath.Join(dir, "logs", "app.jsonl")
	untilFile(t, path, "ready")
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(); code != 3 {
		t.Errorf("exit code %d\n%s", code, p.Stderr())
	}
	untilFile(t, path, "got it")

	p = startProgram(t, t.TempDir(), env, "exec", "--app", "etl", "--", "sh", "-c", "kill -9 $$")
	if code := p.Wait(); code != 137 {
		t.Errorf("exit code %d\n%s", code, p.Stderr())
	}
	untilFile(t, path, "signal: killed")
}

func TestExecUsage(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"exec"}, 2, "stands behind --"},
		{[]string{"exec", "true"}, 2, "stands behind --"},
		{[]string{"exec", "--"}, 2, "stands behind --"},
		{[]string{"exec", "--buffer", "16 megs", "--", "true"}, 2, `--buffer="16 megs": not a size`},
		{[]string{"exec", "--levels", "loud", "--", "true"}, 2, "--levels"},
		{[]string{"exec", "--", "no-such-command"}, 127, "no-such-command"},
		{[]string{"exec", "--", "./plain"}, 126, "plain"},
	} {
		code, _, stderr := runProgram(t, dir, nil, tt.args...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: exit code %d, want %d and %q:\n%s", tt.args, code, tt.code, tt.want, stderr)
		}
	}
}
