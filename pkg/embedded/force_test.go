package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/pkg/publisher"
)

// disk is the operating system's file system, and knows what of it a power cut leaves at least: of a file what it held when it was
// last forced, of a directory the names that it had then.
type disk struct {
	logfile.FS
	mu      sync.Mutex
	files   map[string][]byte
	entries map[string][]string
	forced  []string                // in order
	fail    func(path string) error // nil: nothing fails
}

func newDisk() *disk {
	return &disk{FS: logfile.OS(), files: map[string][]byte{}, entries: map[string][]string{}}
}

func (d *disk) OpenDir(path string, create bool) (logfile.Dir, error) {
	dir, err := d.FS.OpenDir(path, create)
	if err != nil {
		return nil, err
	}
	return &diskDir{dir, d, path}, nil
}

type diskDir struct {
	logfile.Dir
	disk *disk
	path string
}

func (d *diskDir) Open(name string, flag int, perm fs.FileMode) (logfile.Handle, error) {
	h, err := d.Dir.Open(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &diskFile{h, d.disk, filepath.Join(d.path, name)}, nil
}

func (d *diskDir) Sync() error {
	names, err := d.List()
	if err != nil {
		return err
	}
	return d.disk.force(d.path, func() { d.disk.entries[d.path] = names })
}

type diskFile struct {
	logfile.Handle
	disk *disk
	path string
}

func (f *diskFile) Sync() error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	content := make([]byte, info.Size)
	n, _ := f.ReadAt(content, 0) // what is shorter by now was cut
	return f.disk.force(f.path, func() { f.disk.files[f.path] = content[:n] })
}

func (d *disk) force(path string, keep func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forced = append(d.forced, path)
	if d.fail != nil {
		if err := d.fail(path); err != nil {
			return err
		}
	}
	keep()
	return nil
}

// took returns what was forced since the last call.
func (d *disk) took(under string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for _, path := range d.forced {
		name, _ := filepath.Rel(under, path)
		names = append(names, filepath.ToSlash(name))
	}
	d.forced = nil
	slices.Sort(names)
	return names
}

// left calls do for each file that a power cut would leave under a directory.
func (d *disk) left(dir string, do func(path string, content []byte)) {
	for _, name := range d.entries[dir] {
		path := filepath.Join(dir, name)
		if _, ok := d.entries[path]; ok {
			d.left(path, do)
		} else if st, err := os.Stat(path); err != nil || !st.IsDir() { // of a directory that was never forced nothing is known
			do(path, d.files[path])
		}
	}
}

// holds reports whether a power cut would leave text.
func (d *disk) holds(dir, text string) (found bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left(dir, func(_ string, content []byte) { found = found || bytes.Contains(content, []byte(text)) })
	return found
}

// restore writes what is left of a directory into another one.
func (d *disk) restore(t *testing.T, dir, to string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left(dir, func(path string, content []byte) {
		name, err := filepath.Rel(dir, path)
		path = filepath.Join(to, name)
		if err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	})
}

// What was acknowledged is on the disk soon: a broker on a disk that has what was forced, and nothing else, has all of it.
func TestForcedStreamOutlivesThePower(t *testing.T) {
	dir, power := filepath.Join(t.TempDir(), "logs"), newDisk()
	cfg := streamed(dir)
	cfg.Stream.Keep = "500MiB" // what is in the log stays in the stream, too
	cfg.fs = power
	m := start(t, cfg)
	p := streamWorker(t, m, "w1")
	pad := publisher.String("pad", strings.Repeat("p", 2000))
	var want []string
	for round := range 3 {
		for i := range 3000 { // in all more than two of the broker's files
			msg := fmt.Sprintf("record %d of round %d.", i, round)
			p.Named("x").Info(msg, pad)
			want = append(want, msg)
		}
		if err := p.Flush(bounded(t)); err != nil {
			t.Fatal(err)
		}
		store := stateOf(dir).store()
		for deadline := time.Now().Add(guard); !power.holds(store, want[len(want)-1]); {
			if time.Now().After(deadline) {
				t.Fatal("what was acknowledged is not forced to the disk")
			}
			time.Sleep(5 * time.Millisecond)
		}
		after := filepath.Join(t.TempDir(), "logs")
		power.restore(t, store, stateOf(after).store())
		second := start(t, streamed(after))
		if err := second.Close(bounded(t)); err != nil {
			t.Fatal(err)
		}
		if got := said(t, after, "w1"); !slices.Equal(got, want) {
			t.Fatalf("after round %d a power cut leaves %d records of %d", round, len(got), len(want))
		}
	}
	if err := p.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
}

// With FSYNC=always the broker itself forces each message.
func TestNoForcerWithAlways(t *testing.T) {
	cfg := streamed(t.TempDir())
	cfg.FSync = "always"
	if m := start(t, cfg); m.forcer != nil {
		t.Error("the stream is forced twice")
	}
}

func TestForcerForcesWhatChanged(t *testing.T) {
	dir, power := t.TempDir(), newDisk()
	var told bytes.Buffer
	f := &forcer{fs: power, dir: dir, log: slog.New(slog.NewTextHandler(&told, nil))}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, want ...string) {
		t.Helper()
		f.force()
		if got := power.took(dir); !slices.Equal(got, want) {
			t.Errorf("%s: %v forced, not %v", what, got, want)
		}
	}
	write("meta", "m")
	write("msgs/1.blk", "one")
	expect("at first", ".", "meta", "msgs", "msgs/1.blk")
	expect("again")
	write("msgs/1.blk", "one and two")
	expect("longer", "msgs/1.blk")
	write("msgs/2.blk", "three")
	expect("a new one", "msgs", "msgs/2.blk")
	write("msgs/2.tmp", "three") // same name, length and time, but another file
	times := time.Now()
	for _, name := range []string{"msgs/2.blk", "msgs/2.tmp"} {
		if err := os.Chtimes(filepath.Join(dir, name), times, times); err != nil {
			t.Fatal(err)
		}
	}
	f.force()
	power.took(dir)
	if err := os.Rename(filepath.Join(dir, "msgs/2.tmp"), filepath.Join(dir, "msgs/2.blk")); err != nil {
		t.Fatal(err)
	}
	expect("replaced", "msgs", "msgs/2.blk")
	if err := os.Remove(filepath.Join(dir, "msgs/1.blk")); err != nil {
		t.Fatal(err)
	}
	expect("deleted") // if it comes back, that is no harm

	power.fail = func(path string) error {
		if strings.HasSuffix(path, "2.blk") {
			return errors.New("the disk is broken")
		}
		return nil
	}
	before := f.forced
	write("meta", "mm")
	write("msgs/2.blk", "three and four")
	expect("failing", "meta", "msgs/2.blk")
	power.fail = nil
	write("msgs/2.blk", "three, four and five")
	expect("what could not be forced is not tried again")
	if n := strings.Count(told.String(), "the disk is broken"); n != 1 {
		t.Errorf("the failure is told %d times", n)
	}
	if f.forced != before {
		t.Error("what fails counts as forced")
	}
	if err := os.Remove(filepath.Join(dir, "msgs/2.blk")); err != nil {
		t.Fatal(err)
	}
	expect("and when it is gone")
	if f.forced == before {
		t.Error("without it, the round fails still")
	}

	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	told.Reset()
	expect("all deleted")
	if told.Len() > 0 {
		t.Errorf("what is gone is told as %s", &told)
	}
}

// rounds counts them.
type rounds struct {
	logfile.FS
	n int
}

func (r *rounds) OpenDir(string, bool) (logfile.Dir, error) {
	r.n++
	return nil, fs.ErrNotExist
}

// The stream is forced about once a second, but not while the log, on the disk, is as far as the stream was a moment ago.
func TestForcerIsDue(t *testing.T) {
	for _, c := range []struct {
		name string
		held func() time.Time
		want int // in ten seconds, and one at the end
	}{
		{"nothing held", func() time.Time { return time.Time{} }, 11},
		{"log is behind", func() time.Time { return time.Now().Add(-forceAfter - 1) }, 11},
		{"log keeps up", func() time.Time { return time.Now().Add(-forceAfter) }, 1},
		{"clock was set back", func() time.Time { return time.Now().Add(time.Minute) }, 11},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rounds{}
				f := startForcer(&forcer{fs: r, held: c.held, log: slog.New(slog.DiscardHandler)})
				time.Sleep(10*time.Second - 1)
				f.finish()
				if r.n != c.want {
					t.Errorf("%d rounds, not %d", r.n, c.want)
				}
			})
		})
	}
	(*forcer)(nil).finish()
}
