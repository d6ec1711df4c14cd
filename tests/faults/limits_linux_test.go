package faults

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

func limited(t *testing.T, limit string) harness.Option {
	t.Helper()
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip(err)
	}
	return harness.Under("prlimit", limit, "--")
}

// lift takes a limit off a running process.
func lift(t *testing.T, pid, resource int, to uint64) {
	t.Helper()
	if err := unix.Prlimit(pid, resource, &unix.Rlimit{Cur: to, Max: to}, nil); err != nil {
		t.Fatal(err)
	}
}

// Row 35: the collector may not open as many descriptors as it has files to write: an error that is counted and told, nothing is
// acknowledged that is not written, and when it may, it goes on without a restart. 0L0D0R0T.
func TestFault35Descriptors(t *testing.T) { both(t, descriptors) }

func descriptors(t *testing.T, delivery string) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.jsonl")
	r := newRig(t, delivery, setup{collector: harness.CollectorSpec{Dir: dir, Handlers: []string{"json://" + path, "json://" + dir + "/{logger}.jsonl"}}})
	r.logs = []checker.Destination{{Path: path}}
	have, err := harness.Descriptors(r.collector.Pid())
	if err != nil {
		t.Skip(err)
	}
	var before unix.Rlimit
	if err := unix.Prlimit(r.collector.Pid(), unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	few := unix.Rlimit{Cur: uint64(have + 5), Max: before.Max}
	if err := unix.Prlimit(r.collector.Pid(), unix.RLIMIT_NOFILE, &few, nil); err != nil {
		t.Fatal(err)
	}
	spec := steady
	for i := range 30 {
		spec.Loggers = append(spec.Loggers, fmt.Sprintf("logger%d", i))
	}
	w := r.worker("w1", spec)
	w.BeginLog(2000)
	harness.Until(t, "the collector to fail", func() bool { s := r.collector.Stats(); return s.Failures > 0 || s.StalledBy != "" })
	t.Logf("stalled by %q", r.collector.Stats().StalledBy)
	lift(t, r.collector.Pid(), unix.RLIMIT_NOFILE, before.Max)
	w.WaitLogged()
	r.finish(w)
	r.check()
}

// Row 35: the log file may not grow beyond a limit. The collector stalls like on a full disk, or ends; when the limit is gone nothing
// is missing or torn.
func TestFault35FileSize(t *testing.T) { both(t, fileSize) }

func fileSize(t *testing.T, delivery string) {
	r := newRig(t, delivery, setup{})
	few := unix.Rlimit{Cur: 300_000, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(r.collector.Pid(), unix.RLIMIT_FSIZE, &few, nil); err != nil {
		t.Fatal(err)
	}
	w := r.worker("w1", harness.WorkerSpec{Payload: 200})
	w.BeginLog(3000)
	harness.Until(t, "the collector to fail", func() bool {
		return r.collector.Exited() || r.collector.Stats().StalledBy != ""
	})
	if r.collector.Exited() {
		t.Errorf("the collector ended: %v", r.collector.State())
		r.collector.Restart()
	} else {
		t.Logf("stalled by %q", r.collector.Stats().StalledBy)
		lift(t, r.collector.Pid(), unix.RLIMIT_FSIZE, unix.RLIM_INFINITY)
	}
	w.WaitLogged()
	r.finish(w)
	r.check()
}

// Row 35: a worker whose buffer does not fit into the memory that it may have: an error at the start that says so and names the
// setting, no crash then or later. It shows before the publisher knows of any delivery.
func TestFault35Memory(t *testing.T) {
	if harness.Race {
		t.Skip("the race detector needs more address space than any limit leaves")
	}
	r := newRig(t, "direct", setup{})
	// A Go program reserves 1.5 GB of address space for itself; 0.7 GB more is room for all that it does, and none for this buffer.
	limit := limited(t, "--as=2200000000")
	for _, kind := range []string{"memory", "file"} {
		t.Run(kind, func(t *testing.T) {
			settings := []string{"LOGBRAID_BUFFER=1GiB"}
			if kind == "file" {
				settings = append(settings, "LOGBRAID_BUFFER_DIR="+t.TempDir())
			}
			w := harness.LaunchWorker(t, "w1", harness.WorkerSpec{Records: 100}, limit, harness.PlainEnv(r.broker.URL, "w1", settings...))
			code, says := w.Wait(), w.Stderr()
			if code != 1 || !strings.Contains(says, "create buffer") || !strings.Contains(says, "cannot allocate memory") ||
				!strings.Contains(says, "LOGBRAID_BUFFER=1073741824") {
				t.Errorf("ended with %v\n%s", w.State(), w.Output())
			}
		})
	}
}
