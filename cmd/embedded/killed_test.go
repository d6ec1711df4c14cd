//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logbraid/logbraid/internal/ring"
)

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
