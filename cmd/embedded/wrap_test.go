//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onConsole shows everything there, so that tests can wait for it.
var onConsole = []string{"--handler", "json://logs/app.jsonl", "--handler", "console://stderr"}

func startCommand(t *testing.T, dir string, command ...string) *program {
	return startProgram(t, dir, append(append(onConsole[:len(onConsole):len(onConsole)], "--"), command...)...)
}

func TestInterruptedCommand(t *testing.T) {
	t.Run("once: drains", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		p := startCommand(t, dir, "sh", "-c", `trap 'echo cleaning up; exit 0' INT; echo up; while :; do sleep 0.05; done`)
		p.says(&p.err, "stdout[w1] up")
		p.signal(syscall.SIGINT)
		if code := p.code(); code != 0 {
			t.Errorf("exit code %d, want the command's own\n%s", code, p.err.String())
		}
		if n, _ := count1(readLog(t, dir), func(e entry) bool { return e["msg"] == "cleaning up" }); n != 1 {
			t.Errorf("the command's last words are in the log %d times", n)
		}
	})
	t.Run("twice: quits", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		p := startCommand(t, dir, "sh", "-c", `trap '' INT TERM; echo $$; while :; do sleep 0.05; done`)
		p.says(&p.err, "stdout[w1] ")
		pid, err := strconv.Atoi(regexp.MustCompile(`stdout\[w1\] (\d+)`).FindStringSubmatch(p.err.String())[1])
		if err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGINT)
		p.says(&p.err, "waiting for the workers")
		second := time.NewTimer(samePress + 50*time.Millisecond) // sooner, it is the same press
		<-second.C
		select {
		case <-p.ended:
			t.Fatal("ended at the first, with a command that ignores it")
		default:
		}
		p.signal(syscall.SIGINT)
		if code := p.code(); code != 130 {
			t.Errorf("exit code %d, want 130", code)
		}
		if !strings.Contains(p.err.String(), "quitting at once") {
			t.Errorf("does not say so:\n%s", p.err.String())
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("the command lives on: %v", err)
		}
	})
	t.Run("SIGTERM", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		p := startCommand(t, dir, "sh", "-c", `echo up; exec sleep 600`)
		p.says(&p.err, "stdout[w1] up")
		p.signal(syscall.SIGTERM)
		if code := p.code(); code != 143 {
			t.Errorf("exit code %d, want 143", code)
		}
		n, e := count1(readLog(t, dir), func(e entry) bool { return e["logger"] == "logbraid" && e["worker"] == "w1" })
		if n != 1 || e["signal"] != "SIGTERM" || e["level"] != "warn" {
			t.Errorf("%d records of the end: %v", n, e)
		}
	})
}

func TestExitCodesOfCommands(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "not-executable")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"well":    {[]string{"--", "true"}, 0},
		"its own": {[]string{"--", "sh", "-c", "exit 7"}, 7},
		// The second ends when the log has it that the third has.
		"the first": {[]string{"-n", "3", "--", "sh", "-c", `case $LOGBRAID_WORKER in w1) exit 0;;
			w2) until grep -qs '"exit_status":9' logs/app.jsonl; do sleep 0.05; done; exit 8;;
			w3) exit 9;; esac`}, 9},
		"not found":       {[]string{"--", "no-such-command"}, 127},
		"not executable":  {[]string{"--", script}, 126},
		"nothing":         {[]string{"--"}, exitUsage},
		"without --":      {[]string{"true"}, exitUsage},
		"unknown flag":    {[]string{"--worker", "3"}, exitUsage},
		"before the dash": {[]string{"x", "--", "true"}, exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			if code, _, stderr := run(t, t.TempDir(), c.args...); code != c.want {
				t.Errorf("exit code %d, want %d\n%s", code, c.want, stderr)
			}
		})
	}
}

func TestKilledCommand(t *testing.T) {
	dir := t.TempDir()
	code, stdout, _ := run(t, dir, "--", "sh", "-c", "echo alive; kill -9 $$")
	if code != 137 {
		t.Errorf("exit code %d, want 137", code)
	}
	if !strings.Contains(stdout, "signal: killed") {
		t.Errorf("the table does not say so:\n%s", stdout)
	}
	all := readLog(t, dir)
	n, e := count1(all, func(e entry) bool { return e["msg"] == "worker killed" })
	if n != 1 || e["level"] != "fatal" || e["signal"] != "SIGKILL" || e["worker"] != "w1" {
		t.Errorf("%d records of its death: %v", n, e)
	}
	if e["msg"] != all[len(all)-1]["msg"] {
		t.Errorf("its death is not the last that is heard of it: %v", all)
	}
}

func TestOutputOfCommands(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 on this machine")
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "worker.py")
	if err := os.WriteFile(script, []byte(`
import json, os, sys, traceback
print("plain", os.environ["LOGBRAID_WORKER"], sys.argv[1])
print(json.dumps({"level": "WARNING", "logger": "etl.load", "message": "with fields", "rows": 12, "deep": {"a": [1, 2]}}))
sys.stderr.write("a complaint\n")
try:
    {}["missing"]
except KeyError:
    sys.stderr.write(traceback.format_exc())  # at once: a pause in between may end it
sys.stdout.write("no newline")
`), 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run(t, dir, "-n", "3", "--", python, script, "an argument")
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	all := readLog(t, dir)
	for i := range 3 {
		name := fmt.Sprintf("w%d", i+1)
		one := func(what string, match func(entry) bool) entry {
			t.Helper()
			n, e := count1(all, func(e entry) bool { return e["worker"] == name && match(e) })
			if n != 1 {
				t.Errorf("%s: %s is in the log %d times", name, what, n)
			}
			return e
		}
		e := one("the line", func(e entry) bool { return e["msg"] == "plain "+name+" an argument" })
		if e["level"] != "info" || e["logger"] != "stdout" || e["app"] != strings.TrimSuffix(filepath.Base(python), ".exe") {
			t.Errorf("%v", e)
		}
		e = one("JSON", func(e entry) bool { return e["msg"] == "with fields" })
		if e["level"] != "warn" || e["logger"] != "etl.load" || e["rows"] != 12.0 || fmt.Sprint(e["deep"]) != "map[a:[1 2]]" {
			t.Errorf("%v", e)
		}
		if e = one("stderr", func(e entry) bool { return e["msg"] == "a complaint" }); e["level"] != "warn" || e["logger"] != "stderr" {
			t.Errorf("%v", e)
		}
		e = one("the traceback", func(e entry) bool { return strings.Contains(e.text("stack"), "Traceback") })
		if !strings.Contains(e.text("stack"), "KeyError: 'missing'") || e["level"] != "error" {
			t.Errorf("%v", e)
		}
		one("the last line", func(e entry) bool { return e["msg"] == "no newline" })
		if r := table(t, stdout)[name]; r != [4]int{5, 5, 0, 0} {
			t.Errorf("the table says %v of %s", r, name)
		}
	}
	if len(all) != 16 {
		t.Errorf("%d lines in the log, want 16", len(all))
	}
}

// A command that is a logbraid worker: what it publishes and what it prints come
// together, under one name, as two runs.
func TestCommandThatPublishes(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	code, stdout, stderr := run(t, dir, "-n", "2", "--", "env", "EMBEDDED_TEST_ROLE=worker", self)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	all := readLog(t, dir)
	for _, name := range []string{"w1", "w2"} {
		published, p := count1(all, func(e entry) bool { return e["worker"] == name && e["logger"] == "direct" })
		printed, q := count1(all, func(e entry) bool { return e["worker"] == name && e["msg"] == "printed" })
		if published != 100 || printed != 1 || p["run"] == q["run"] || p["app"] != q["app"] {
			t.Errorf("%s: %d published, %d printed, runs %v and %v", name, published, printed, p["run"], q["run"])
		}
		if r := table(t, stdout)[name]; r != [4]int{101, 101, 0, 0} {
			t.Errorf("the table says %v of %s", r, name)
		}
	}
}

func TestStandardInput(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "--", "cat")
	cmd.Dir, cmd.Env = dir, programEnv()
	cmd.Stdin = strings.NewReader("one\ntwo\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n, _ := count1(readLog(t, dir), func(e entry) bool { return e["logger"] == "stdout" }); n != 2 {
		t.Errorf("%d lines came through, want 2", n)
	}
}
