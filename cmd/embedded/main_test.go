//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/publisher"
)

// TestMain makes this binary the program, so that what the tests run is what is
// built, race detector included; and a logbraid worker for it to wrap.
func TestMain(m *testing.M) {
	switch os.Getenv("EMBEDDED_TEST_ROLE") {
	case "program":
		os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	case "worker":
		os.Exit(roleWorker())
	case "ledger":
		os.Exit(roleLedger())
	default:
		os.Exit(m.Run())
	}
}

// roleWorker publishes by itself and prints beside.
func roleWorker() int {
	pub, err := publisher.FromEnv()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("printed")
	for i := range 100 {
		pub.Named("direct").Info("published", publisher.Int("i", i))
	}
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	if err := pub.Close(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// guard is how long anything may take before a test believes that it hangs; no
// slow machine may reach it.
const guard = 5 * time.Minute

// program is the program, running.
type program struct {
	t        *testing.T
	cmd      *exec.Cmd
	out, err output
	ended    chan struct{}
}

// output collects what is written and wakes whoever waits for some of it.
type output struct {
	mu     sync.Mutex
	text   bytes.Buffer
	change chan struct{} // closed and replaced at every write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.change)
	o.change = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func startProgram(t *testing.T, dir string, args ...string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, cmd: exec.Command(self, args...), ended: make(chan struct{})}
	p.out.change, p.err.change = make(chan struct{}), make(chan struct{})
	p.cmd.Dir = dir
	// How long the program waits for its workers is a matter of the tests that are
	// about it; for all others a slow machine must not decide.
	p.cmd.Env = append(os.Environ(), "EMBEDDED_TEST_ROLE=program", "LOGBRAID_CLOSE_TIMEOUT=5m", "LOGBRAID_BLOCK_TIMEOUT=5m")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		// Its workers have groups of their own: kill alone would leave them.
		for range 2 {
			_ = p.cmd.Process.Signal(syscall.SIGTERM)
			if within(p.ended, 2*samePress) {
				return
			}
		}
		if !within(p.ended, guard) {
			_ = p.cmd.Process.Kill()
		}
		<-p.ended
	})
	return p
}

func within(done <-chan struct{}, d time.Duration) bool {
	select {
	case <-done:
		return true
	case <-time.After(d):
		return false
	}
}

// code waits for the end.
func (p *program) code() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(guard):
		p.t.Fatalf("does not end; stderr:\n%s", p.err.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *program) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// says waits until the output holds text.
func (p *program) says(o *output, text string) {
	p.t.Helper()
	limit := time.After(guard)
	for {
		o.mu.Lock()
		found, change := strings.Contains(o.text.String(), text), o.change
		o.mu.Unlock()
		if found {
			return
		}
		select {
		case <-change:
		case <-p.ended:
			if !strings.Contains(o.String(), text) {
				p.t.Fatalf("ended without saying %q:\n%s", text, o)
			}
			return
		case <-limit:
			p.t.Fatalf("does not say %q:\n%s", text, o)
		}
	}
}

// run is the program from beginning to end.
func run(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := startProgram(t, dir, args...)
	code = p.code()
	return code, p.out.String(), p.err.String()
}

// entry is a line of the log, as anybody would read it.
type entry map[string]any

func (e entry) text(key string) string { s, _ := e[key].(string); return s }

func readLog(t *testing.T, dir string) []entry {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "logs", "app.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var all []entry
	next := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if next[e.text("run")]++; e["seq"] != next[e.text("run")] {
			t.Fatalf("seq is %v, want %v: %s", e["seq"], next[e.text("run")], line)
		}
		all = append(all, e)
	}
	return all
}

func count1(all []entry, match func(entry) bool) (n int, one entry) {
	for _, e := range all {
		if match(e) {
			n++
			one = e
		}
	}
	return n, one
}

// table reads the report: per worker accepted, written, dropped, lost.
func table(t *testing.T, stdout string) map[string][4]int {
	t.Helper()
	rows := map[string][4]int{}
	for line := range strings.Lines(stdout) {
		f := strings.Fields(strings.ReplaceAll(line, ",", ""))
		if len(f) < 7 || f[6] != "s" {
			continue
		}
		var r [4]int
		for i := range r {
			n, err := strconv.Atoi(f[1+i])
			if err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			r[i] = n
		}
		rows[f[0]] = r
	}
	return rows
}

// tail is enough of a long output to see what went wrong.
func tail(s string) string { return s[max(0, len(s)-2000):] }

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

// onConsole shows everything there, so that tests can wait for it.
var onConsole = []string{"--handler", "json://logs/app.jsonl", "--handler", "console://stderr"}

func startCommand(t *testing.T, dir string, command ...string) *program {
	return startProgram(t, dir, append(append(onConsole[:len(onConsole):len(onConsole)], "--"), command...)...)
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
		// The second ends when the third has been seen to be gone.
		"the first": {[]string{"-n", "3", "--", "sh", "-c", `case $LOGBRAID_WORKER in w1) exit 0;;
			w2) until [ -s third ]; do sleep 0.05; done; while kill -0 $(cat third) 2>/dev/null; do sleep 0.05; done; sleep 0.5; exit 8;;
			w3) echo $$ >third.new; mv third.new third; exit 9;; esac`}, 9},
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

// A main job's worker is killed: what it had said is in the log, and the table
// knows how much that was.
func TestKilledWorker(t *testing.T) {
	dir, tree := t.TempDir(), t.TempDir()
	for i := range 2000 {
		text := "package p\n" + strings.Repeat("func f() {}\n", 100)
		if err := os.WriteFile(filepath.Join(tree, fmt.Sprintf("f%04d.go", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := startProgram(t, dir, append(onConsole, "--input", tree, "-n", "2")...)
	p.says(&p.err, "[w2] parsed")
	pid := childNamed(t, p.cmd.Process.Pid, "w2") // the other may not have said anything yet
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := p.code(); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	all := readLog(t, dir)
	n, e := count1(all, func(e entry) bool { return e["msg"] == "worker killed" })
	if n != 1 || e["pid"] != float64(pid) || e["signal"] != "SIGKILL" || e["last_seq"] == nil {
		t.Fatalf("%d records of the death: %v", n, e)
	}
	name := e.text("worker")
	of, last := count1(all, func(l entry) bool { return l["run"] == e["dead_run"] })
	if float64(of) != e["last_seq"] || last["seq"] != e["last_seq"] {
		t.Errorf("%d records of the dead run, its last seq was %v", of, e["last_seq"])
	}
	if r := table(t, p.out.String())[name]; r != [4]int{of + 1, of + 1, 0, 0} { // and the record of its death
		t.Errorf("the table says %v of %s, the file has %d:\n%s", r, name, of+1, p.out.String())
	}
	if err := leftovers(dir); err != nil {
		t.Error(err)
	}
}

// The master is killed in the middle of the job. Its workers, whose standard
// error is a pipe to it, live on and finish; the next session finds what they
// have left, and the tree is in the log as if nothing had happened.
func TestKilledMaster(t *testing.T) {
	if !ring.Supported {
		t.Skip("no buffer files on this system")
	}
	const files, decls = 600, 100
	dir, tree := t.TempDir(), t.TempDir()
	for i := range files {
		text := "package p\n" + strings.Repeat("func f() {}\n", decls)
		if err := os.WriteFile(filepath.Join(tree, fmt.Sprintf("f%04d.go", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := startProgram(t, dir, append(onConsole, "--input", tree, "--close-timeout", "100ms")...)
	p.says(&p.err, " parsed")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(guard)
	// On a busy machine the first worker has logged, or has even ended, before the last is started, which it would
	// then never be.
	var workers []int
	for len(workers) < 4 {
		for _, pid := range childrenOf(t, p.cmd.Process.Pid) {
			if !slices.Contains(workers, pid) {
				workers = append(workers, pid)
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d workers are started, not 4", len(workers))
		}
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	for _, pid := range workers {
		for alive(pid) {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("worker %d does not end", pid)
			}
		}
	}

	code, stdout, stderr := run(t, dir, "--json", "--", "true")
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	var r report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	all := readLog(t, dir)
	for msg, want := range map[string]int{"parsed": files, "declaration": files * decls} {
		if n, _ := count1(all, func(e entry) bool { return e["msg"] == msg }); n != want {
			t.Errorf("%d records %q, want %d", n, msg, want)
		}
	}
	if r.Earlier == 0 || r.Earlier >= files*(decls+1) {
		t.Errorf("the second session says that it wrote %d records of the first", r.Earlier)
	}
	if err := leftovers(dir); err != nil {
		t.Error(err)
	}
}

// alive is false for a process that has ended, whoever is to bury it.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// childrenOf are the ids of a process's children.
func childrenOf(t *testing.T, parent int) (pids []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Skip("no /proc on this system")
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // gone
		}
		// pid (name) state ppid ...
		_, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		t.Fatal("no child is found")
	}
	return pids
}

// childNamed is the child that is this worker.
func childNamed(t *testing.T, parent int, worker string) int {
	t.Helper()
	for _, pid := range childrenOf(t, parent) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && slices.Contains(strings.Split(string(text), "\x00"), "LOGBRAID_WORKER="+worker) {
			return pid
		}
	}
	t.Fatalf("no child is worker %s", worker)
	return 0
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
    traceback.print_exc()
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
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "EMBEDDED_TEST_ROLE=program")
	cmd.Stdin = strings.NewReader("one\ntwo\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n, _ := count1(readLog(t, dir), func(e entry) bool { return e["logger"] == "stdout" }); n != 2 {
		t.Errorf("%d lines came through, want 2", n)
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
	cmd.Dir, cmd.Env, cmd.Stdout = dir, append(os.Environ(), "EMBEDDED_TEST_ROLE=program"), w
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
