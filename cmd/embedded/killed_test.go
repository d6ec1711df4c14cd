//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/logbraid/logbraid/internal/ring"
)

// A main job's worker is killed: what it had said is in the log, and the table
// knows how much that was.
func TestKilledWorker(t *testing.T) {
	if !ring.Supported {
		t.Skip("no buffer files on this system")
	}
	const files, decls = 1000, 100
	dir, tree := t.TempDir(), longTree(t, files, decls)
	p := startProgram(t, dir, append(onConsole, "--input", tree, "-n", "2")...)
	var pid int
	p.until("w2 to have logged", func() bool {
		w2 := workersIn(dir)["w2"]
		pid = w2.pid
		return w2.logged > 0
	})
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
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc on this system, to see workers end that are nobody's children")
	}
	const files, decls = 600, 100 // what a worker logs of it fits into its buffer
	dir, tree := t.TempDir(), longTree(t, files, decls)
	p := startProgram(t, dir, append(onConsole, "--input", tree, "--close-timeout", "100ms")...)
	// A worker that is not started when the master dies never is.
	workers := map[string]int{}
	p.until("four workers", func() bool {
		for name, w := range workersIn(dir) {
			workers[name] = w.pid
		}
		return len(workers) == 4
	})
	p.says(&p.err, " parsed")
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	for name, pid := range workers {
		p.until(name+" to end", func() bool { return !alive(pid) })
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

// longTree is a tree for a job of some seconds: there is more to parse in it than to log.
func longTree(t *testing.T, files, decls int) string {
	t.Helper()
	tree := t.TempDir()
	text := "package p\n" + strings.Repeat("func f() { "+strings.Repeat("x = f(x, y) + 1; ", 20)+"}\n", decls)
	for i := range files {
		if err := os.WriteFile(filepath.Join(tree, fmt.Sprintf("f%04d.go", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

type livingWorker struct {
	pid    int
	logged uint64
}

// workersIn tells of the workers that have a buffer now, by their names.
func workersIn(dir string) map[string]livingWorker {
	workers := map[string]livingWorker{}
	names, _ := filepath.Glob(filepath.Join(dir, "logs", ".logbraid", "buffer", "*"+ring.Suffix))
	for _, name := range names {
		if info, stats, err := ring.Glance(name); err == nil { // otherwise it has gone away
			workers[info.Identity.Worker] = livingWorker{info.PID, stats.Admitted}
		}
	}
	return workers
}
