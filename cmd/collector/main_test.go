//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

// asProgram makes the test binary be the collector program.
const asProgram = "COLLECTOR_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Unsetenv(asProgram)
		main()
	}
	harness.Main(m.Run, nil)
}

// program starts the real program in a directory of its own. The environment has
// no LOGBRAID_ or NATS_ variables but env.
func startProgram(t *testing.T, dir string, env []string, args ...string) *harness.Process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return harness.Start(t, harness.Command{
		Name: "collector",
		Args: append([]string{exe}, args...),
		Env:  append([]string{asProgram + "=1"}, env...),
		Dir:  dir,
	})
}

// runProgram runs it to its end.
func runProgram(t *testing.T, dir string, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := startProgram(t, dir, env, args...)
	code = p.Wait()
	return code, p.Stdout(), p.Stderr()
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"collekt"}, `unknown command "collekt"`},
		{[]string{"stat"}, "did you mean stats?"},
		{[]string{"run", "extra"}, "extra"},
		{[]string{"--fsycn", "1s"}, "did you mean --fsync?"},
		{[]string{"run", "--handlers", "console://"}, "did you mean --handler?"},
		{[]string{"--dir"}, "needs an argument"},
		{[]string{"--nats-token", "secret"}, "unknown flag"},
	} {
		code, stdout, stderr := runProgram(t, t.TempDir(), nil, tt.args...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: exit code %d, stdout %q, stderr:\n%s\nwant 2 and %q", tt.args, code, stdout, stderr, tt.want)
		}
	}
}

func TestVersion(t *testing.T) {
	code, stdout, stderr := runProgram(t, t.TempDir(), nil, "version")
	if code != 0 || !strings.HasPrefix(stdout, "logbraid collector ") || stderr != "" {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	_, stdout, _ = runProgram(t, t.TempDir(), nil, "version", "--json")
	var v struct{ Version, Go, NATS string }
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || v.Version == "" || v.Go == "" || v.NATS == "" {
		t.Errorf("%s: %+v, %v", stdout, v, err)
	}
}

func TestCompletion(t *testing.T) {
	code, stdout, _ := runProgram(t, t.TempDir(), nil, "completion", "bash")
	if code != 0 || !strings.Contains(stdout, "__start_collector") {
		t.Errorf("exit code %d, %d bytes", code, len(stdout))
	}
}

func TestConfig(t *testing.T) {
	const secret = "s3cr3t"
	env := []string{"LOGBRAID_FSYNC=always", "NATS_USER=u", "NATS_PASSWORD=" + secret, "LOGBRAID_NATS_URL=nats://127.0.0.1:4333", "LOGBRAID_BUFFER=16MiB"}
	args := []string{"config", "--dir", "/var/log/etl", "--handler", "json://a.jsonl", "--handler", "console://stderr"}

	code, stdout, stderr := runProgram(t, t.TempDir(), env, args...)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	rows := make(map[string]string)
	for line := range strings.Lines(stdout) {
		f := strings.Fields(line)
		rows[f[0]] = strings.Join(f[1:], " ")
	}
	want := map[string]string{
		"LOGBRAID_DIR":           "/var/log/etl --dir",
		"LOGBRAID_HANDLERS":      "json://a.jsonl console://stderr --handler",
		"LOGBRAID_FSYNC":         "always LOGBRAID_FSYNC",
		"LOGBRAID_NATS_URL":      "nats://127.0.0.1:4333 LOGBRAID_NATS_URL",
		"LOGBRAID_NATS_USER":     "u NATS_USER",
		"LOGBRAID_NATS_PASSWORD": "xxxxx NATS_PASSWORD",
		"LOGBRAID_PREFIX":        "logs default",
		"LOGBRAID_METRICS":       "not set",
	}
	for name, text := range want {
		if rows[name] != text {
			t.Errorf("%s: %q, want %q", name, rows[name], text)
		}
	}

	_, asJSON, _ := runProgram(t, t.TempDir(), env, append(args, "--json")...)
	var list []struct{ Variable, Value, Origin string }
	if err := json.Unmarshal([]byte(asJSON), &list); err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(list, func(s struct{ Variable, Value, Origin string }) bool { return s.Variable == "LOGBRAID_DIR" }); i < 0 || list[i].Value != "/var/log/etl" || list[i].Origin != "--dir" {
		t.Errorf("JSON: %+v", list)
	}
	if strings.Contains(stdout+asJSON, secret) {
		t.Error("a secret is shown")
	}
}

// With nothing set at all, what would apply is shown all the same.
func TestConfigOfNothing(t *testing.T) {
	code, stdout, _ := runProgram(t, t.TempDir(), nil, "config")
	for _, want := range []string{"nats://127.0.0.1:4222", "json://logs/app.jsonl file://logs/app.log console://stderr?level=warn"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, %q is missing in:\n%s", code, want, stdout)
		}
	}
}

func TestConfigWithProblems(t *testing.T) {
	code, stdout, stderr := runProgram(t, t.TempDir(), []string{"LOGBRAID_DELIVERY=pigeon"}, "config")
	if code != 2 || !strings.Contains(stdout, "LOGBRAID_DIR") || !strings.Contains(stderr, `LOGBRAID_DELIVERY="pigeon": must be direct`) {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
}

// Everything that is wrong is told in one go; nothing is made or started.
func TestBadInput(t *testing.T) {
	const secret = "s3cr3t"
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"LOGBRAID_NATS_URL=mqtt://u:" + secret + "@127.0.0.1",
		"LOGBRAID_NATS_TOKEN_FILE=no-such-file",
		"LOGBRAID_PREFIX=logs.*",
		"LOGBRAID_FSYNC=sometimes",
		"LOGBRAID_HNADLERS=console://",
		"LOGBRAID_METRICS=127.0.0.1:http-ish",
		"LOGBRAID_DIAGNOSTICS=",
	}
	args := []string{
		"run",
		"--dir", "file/logs",
		"--close-timeout", "soon",
		"--handler", "syslog://localhost",
		"--handler", "json://logs/a.jsonl?rotate=10xB",
		"--handler", "file://logs/a.log?level=loud",
		"--handler", "json://file/sub/b.jsonl",
	}
	code, stdout, stderr := runProgram(t, dir, env, args...)
	if code != 2 || stdout != "" {
		t.Errorf("exit code %d, stdout %q", code, stdout)
	}
	for _, want := range []string{
		`LOGBRAID_NATS_URL="mqtt://xxxxx@127.0.0.1": the scheme must be nats`,
		`LOGBRAID_NATS_TOKEN_FILE="no-such-file": `,
		`LOGBRAID_PREFIX="logs.*": not a subject`,
		`LOGBRAID_FSYNC="sometimes": `,
		`LOGBRAID_HNADLERS: there is no such setting; did you mean LOGBRAID_HANDLERS?`,
		`LOGBRAID_METRICS="127.0.0.1:http-ish": `,
		`--dir="file/logs": `,
		`--close-timeout="soon": not a duration`,
		`--handler="syslog://localhost": `,
		`--handler="json://logs/a.jsonl?rotate=10xB": rotate: `,
		`--handler="file://logs/a.log?level=loud": level: `,
		`--handler="json://file/sub/b.jsonl": `,
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("this is not told: %s", want)
		}
	}
	if strings.Contains(stderr, secret) || strings.Contains(stderr, "DIAGNOSTICS") || strings.Count(stderr, "(example: ") < 8 {
		t.Error("told wrongly")
	}
	if t.Failed() {
		t.Logf("stderr:\n%s", stderr)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("something was made: %v, %v", entries, err)
	}
}
