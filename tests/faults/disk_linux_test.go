package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

func tmpfs(t *testing.T, size int) *harness.Tmpfs {
	t.Helper()
	if err := harness.CanMount(); err != nil {
		t.Skip(err)
	}
	return harness.MountTmpfs(t, size)
}

// rigIn is a rig whose log directory is given.
func rigIn(t *testing.T, delivery, dir string) *rig {
	t.Helper()
	return newRig(t, delivery, setup{collector: harness.CollectorSpec{Dir: dir}})
}

// Row 16: the log directory is full. Nothing is torn, nothing acknowledged; when there is room it goes on without a restart. A
// stream takes meanwhile what the workers log.
func TestFault16LogDirectoryFull(t *testing.T) {
	for _, tt := range []struct {
		delivery string
		waits    bool // the worker, when its buffer is full
	}{{"direct", true}, {"stream", false}} {
		t.Run(tt.delivery, func(t *testing.T) {
			t.Parallel()
			logDirectoryFull(t, tt.delivery, tt.waits)
		})
	}
}

func logDirectoryFull(t *testing.T, delivery string, waits bool) {
	disk := tmpfs(t, 2<<20)
	r := rigIn(t, delivery, filepath.Join(disk.Dir, "logs"))
	w := r.worker("w1", harness.WorkerSpec{Payload: 300}, "LOGBRAID_BUFFER=4MiB")
	w.BeginLog(20_000) // about 12 MB of JSON alone
	harness.Until(t, "the collector to say that it stalls", func() bool { return r.collector.Stats().StalledBy != "" })
	t.Logf("stalled: %s", r.collector.Stats().StalledBy)
	// The collector tries again and again, and each attempt may write a part of a line before it fails; that must not stay.
	// Between two attempts, which come ever more seldom, both logs end in whole lines.
	whole := 0
	harness.Until(t, "logs that end in whole lines between the attempts to go on", func() bool {
		if whole++; !endsWhole(t, r.logs[0].Path) || !endsWhole(t, r.logs[1].Path) {
			whole = 0
		}
		return whole >= 20
	})
	if !waits {
		w.WaitLogged()
		w.Flush()
		// A part of what failed may still fit, so that the collector goes on for a moment.
		harness.Until(t, "the collector to stall with all that the stream holds", func() bool { return r.collector.Stats().StalledBy != "" })
	}
	disk.Resize(128 << 20)
	if waits {
		w.WaitLogged()
	}
	r.finish(w)
	if s := r.check(); s.StalledBy != "" {
		t.Errorf("still stalled: %s", s.StalledBy)
	}
}

func endsWhole(t *testing.T, path string) bool {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return len(b) == 0 || b[len(b)-1] == '\n'
}

// Row 16 with a crash in the middle of it: the collector is killed while the disk is full and starts again while it still is.
func TestFault16KilledWhileFull(t *testing.T) { both(t, killedWhileFull) }

func killedWhileFull(t *testing.T, delivery string) {
	disk := tmpfs(t, 2<<20)
	r := rigIn(t, delivery, filepath.Join(disk.Dir, "logs"))
	w := r.worker("w1", harness.WorkerSpec{Payload: 300}, "LOGBRAID_BUFFER=4MiB")
	w.BeginLog(15_000)
	harness.Until(t, "the collector to stall", func() bool { return r.collector.Stats().StalledBy != "" })
	r.collector.Kill()
	r.collector.Process.Relaunch()
	disk.Resize(128 << 20)
	if r.collector.ReadyOrExited() {
		t.Log("the collector starts on a full disk")
	} else {
		t.Logf("the collector does not start on a full disk: %s", r.collector.Stderr())
		r.collector.Restart()
	}
	w.WaitLogged()
	r.finish(w)
	r.check()
}

// Row 18: there is no room for the buffer's file. An error that says so, or a warning and a buffer in memory; and a disk that
// fills up later does not matter, because the file's room is its own.
//
// That there is no room shows before the publisher knows of any delivery.
func TestFault18BufferDirectoryFull(t *testing.T) {
	disk := tmpfs(t, 1<<20)
	r := newRig(t, "direct", setup{})
	w := harness.LaunchWorker(t, "w1", harness.WorkerSpec{Ledger: r.ledgers, Records: 100, Payload: 60},
		harness.PlainEnv(r.broker.URL, "w1", "LOGBRAID_BUFFER=8MiB", "LOGBRAID_BUFFER_DIR="+disk.Dir))
	if w.Wait() == 0 {
		if !strings.Contains(w.Stderr(), "memory") {
			t.Errorf("the worker falls back to memory and does not say so:\n%s", w.Output())
		}
	} else if !strings.Contains(w.Stderr(), disk.Dir) || !strings.Contains(w.Stderr(), "room") && !strings.Contains(w.Stderr(), "space") {
		t.Errorf("the error does not say what is wrong:\n%s", w.Output())
	}
	if left, err := filepath.Glob(filepath.Join(disk.Dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFault18DiskFillsUpLater(t *testing.T) { both(t, diskFillsUpLater) }

func diskFillsUpLater(t *testing.T, delivery string) {
	disk := tmpfs(t, 6<<20)
	r := newRig(t, delivery, setup{})
	w := r.worker("w1", harness.WorkerSpec{Payload: 300}, "LOGBRAID_BUFFER=4MiB", "LOGBRAID_BUFFER_DIR="+disk.Dir)
	filler, err := os.Create(filepath.Join(disk.Dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for block := make([]byte, 4096); ; {
		if _, err := filler.Write(block); err != nil {
			break // full
		}
	}
	r.broker.Pause()
	w.BeginLog(20_000) // more than once around the ring
	harness.Until(t, "the buffer to fill", func() bool { return size(t, r.ledgers) > 100_000 })
	r.broker.Continue()
	w.WaitLogged()
	r.finish(w)
	r.check()
}

// Row 24: the file system under the log directory becomes read-only and writable again.
func TestFault24ReadOnly(t *testing.T) { both(t, readOnly) }

func readOnly(t *testing.T, delivery string) {
	disk := tmpfs(t, 64<<20)
	r := rigIn(t, delivery, filepath.Join(disk.Dir, "logs"))
	w := r.worker("w1", steady)
	w.Log(500)
	r.written(w)
	// A file that is open for writing keeps a file system from becoming read-only, so the collector has to be away for it.
	r.collector.Kill()
	disk.ReadOnly(true)
	r.collector.Process.Relaunch()
	if r.collector.ReadyOrExited() {
		t.Error("the collector starts on a read-only file system")
	} else if !strings.Contains(r.collector.Stderr(), "read-only") {
		t.Errorf("the error does not say what is wrong:\n%s", r.collector.Stderr())
	}
	w.Log(500)
	disk.ReadOnly(false)
	r.collector.Restart()
	r.finish(w)
	r.check()
}
