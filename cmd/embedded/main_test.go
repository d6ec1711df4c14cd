//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// smallTree is a tree of Go files: 20 good ones, one broken, one big.
func smallTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		write(fmt.Sprintf("shop/orders/f%02d.go", i), "package orders\n\nimport \"fmt\"\n\ntype T int\n\nfunc (T) M() { fmt.Println() }\n")
	}
	write("shop/broken.go", "package shop\n\nfunc {\n")
	write("big.go", "package big\n\n// "+strings.Repeat("x", bigFile)+"\nvar V int\n")
	write("README.md", "not Go")
	return dir
}

func TestMainJob(t *testing.T) {
	dir, tree := t.TempDir(), smallTree(t)
	code, stdout, stderr := run(t, dir, "--input", tree)
	if code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	rows := table(t, stdout)
	all := readLog(t, dir)
	written := 0
	for i := range 4 {
		name := fmt.Sprintf("w%d", i+1)
		r, ok := rows[name]
		if !ok {
			t.Fatalf("no row for %s:\n%s", name, stdout)
		}
		n, _ := count1(all, func(e entry) bool { return e["worker"] == name })
		if r != [4]int{n, n, 0, 0} {
			t.Errorf("%s: the table says %v, the file has %d", name, r, n)
		}
		written += n
	}
	if rows["total"] != [4]int{written, written, 0, 0} || len(all) != written+1 { // and the collector's start
		t.Errorf("total is %v, the file has %d lines", rows["total"], len(all))
	}

	if n, e := count1(all, func(e entry) bool { return e["msg"] == "parsed" && e["logger"] == "shop.orders" }); n != 20 ||
		e["bytes"] != 73.0 || e["lines"] != 7.0 || e["decls"] != 3.0 || e["duration"] == nil || e["level"] != "info" {
		t.Errorf("%d good files, one is %v", n, e)
	}
	if n, e := count1(all, func(e entry) bool { return e["msg"] == "parse error" }); n != 1 ||
		e["logger"] != "shop" || e["level"] != "error" || !strings.Contains(e.text("error"), "3:6") {
		t.Errorf("%d broken files: %v", n, e)
	}
	if n, e := count1(all, func(e entry) bool { return e["msg"] == "big file" }); n != 1 || e["level"] != "warn" {
		t.Errorf("%d big files: %v", n, e)
	}
	if n, _ := count1(all, func(e entry) bool { return e["level"] == "debug" && e["kind"] == "method" && e["name"] == "M" }); n != 20 {
		t.Errorf("%d methods, want 20", n)
	}

	text, err := os.ReadFile(filepath.Join(dir, "logs", "app.log"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n != len(all) {
		t.Errorf("%d lines of text, %d of JSON", n, len(all))
	}
	for _, want := range []string{"parse error", "big file", "WARN", "ERROR"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("the console does not show %q:\n%s", want, stderr)
		}
	}
	for _, no := range []string{"INFO", "DEBUG", "\r", "\x1b"} {
		if strings.Contains(stderr+stdout, no) {
			t.Errorf("the output has %q:\n%s", no, stderr)
		}
	}

	// Again: it goes on in the same files, with runs of its own.
	code, stdout, stderr = run(t, dir, "--input", tree, "--json", "-n", "2", "--seed", "7")
	if code != 0 {
		t.Fatalf("second run: exit code %d\n%s", code, stderr)
	}
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v:\n%s", err, stdout)
	}
	if !r.Accounted || len(r.Workers) != 2 || r.Total.Accepted != uint64(written) || r.Total.Written != uint64(written) || r.Earlier != 0 || r.Work.Files != 22 {
		t.Errorf("second report: %+v", r)
	}
	if again := readLog(t, dir); len(again) != 2*len(all) {
		t.Errorf("%d lines after the second run, want %d", len(again), 2*len(all))
	}
	if err := leftovers(dir); err != nil {
		t.Error(err)
	}
}

// leftovers looks for what a session must not leave behind.
func leftovers(dir string) error {
	left, err := os.ReadDir(filepath.Join(dir, "logs", ".logbraid", "buffer"))
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("buffers left behind: %v", left)
	}
	return nil
}

func TestSecondOneIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := startCommand(t, dir, "sh", "-c", "echo up; exec sleep 600")
	first.says(&first.err, "stdout[w1] up")
	pid := strconv.Itoa(first.cmd.Process.Pid)
	code, stdout, stderr := run(t, dir, "--input", ".")
	if code != exitFailure || stdout != "" || !strings.Contains(stderr, "process "+pid) || !strings.Contains(stderr, "logs is in use") {
		t.Errorf("exit code %d, does not name process %s:\n%s%s", code, pid, stdout, stderr)
	}
	first.signal(syscall.SIGTERM)
	if code := first.code(); code != 128+15 {
		t.Errorf("the first ended with %d", code)
	}
	// A third may.
	if code, _, stderr := run(t, dir, "--", "true"); code != 0 {
		t.Errorf("exit code %d:\n%s", code, stderr)
	}
}

func TestInterruptedMainJob(t *testing.T) {
	dir, tree := t.TempDir(), t.TempDir()
	for i := range 3000 {
		text := "package p\n" + strings.Repeat("func f() {}\n", 200)
		if err := os.WriteFile(filepath.Join(tree, fmt.Sprintf("f%04d.go", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := startProgram(t, dir, append(onConsole, "--input", tree)...)
	p.says(&p.err, "[w1] parsed")
	p.signal(syscall.SIGINT)
	if code := p.code(); code != 130 {
		t.Errorf("exit code %d, want 130\n%s\n%s", code, p.out.String(), tail(p.err.String()))
	}
	if !strings.Contains(p.err.String(), "embedded: SIGINT: waiting for the workers") {
		t.Error("does not say that it drains")
	}
	if !strings.Contains(p.out.String(), "interrupted before the end") {
		t.Errorf("the report does not say that it was interrupted:\n%s", p.out.String())
	}
	total := table(t, p.out.String())["total"]
	if total[0] == 0 || total[0] != total[1] || total[0] >= 3000*201 || len(readLog(t, dir)) != total[1]+1 {
		t.Errorf("total is %v, the file has %d lines", total, len(readLog(t, dir)))
	}
}

func TestProblemsComeAllAtOnce(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("LOGBRAID_FSYNC", "sometimes")
	t.Setenv("LOGBRAID_LEVELLS", "debug")
	t.Setenv("LOGBRAID_OVERFLOW", "burst") // the workers'
	code, stdout, stderr := run(t, dir, "-n", "0", "--listen", "0.0.0.0:4222", "--handler", "nosuch://x", "--input", "missing", "--level", "loud", "--buffer", "1")
	if code != exitUsage || stdout != "" {
		t.Errorf("exit code %d, want %d\n%s", code, exitUsage, stdout)
	}
	for _, want := range []string{
		`--workers="0"`, `--listen="0.0.0.0:4222"`, `--handler="nosuch://x"`, `--input="missing"`, `--level="loud"`, "--buffer=",
		`LOGBRAID_FSYNC="sometimes"`, "LOGBRAID_LEVELLS", "LOGBRAID_LEVELS?", `LOGBRAID_OVERFLOW="burst"`, "Nothing was started",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr lacks %s:\n%s", want, stderr)
		}
	}
	if n := strings.Count(stderr, "\n  - "); n != 9 {
		t.Errorf("%d problems, want 9:\n%s", n, stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "logs")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
}

// Whoever reads the report goes away early: that is not the log's concern.
func TestReportIntoClosedPipe(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	cmd := exec.Command(self, "--", "echo", "hello")
	cmd.Dir, cmd.Env, cmd.Stdout = dir, programEnv(), w
	err = cmd.Run()
	_ = w.Close()
	if cmd.ProcessState.ExitCode() != exitFailure {
		t.Errorf("got %v, want exit code %d", err, exitFailure)
	}
	if n, _ := count1(readLog(t, dir), func(e entry) bool { return e["msg"] == "hello" }); n != 1 {
		t.Errorf("the line is in the log %d times", n)
	}
	if err := leftovers(dir); err != nil {
		t.Error(err)
	}
}
