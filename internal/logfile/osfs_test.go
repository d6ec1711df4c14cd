package logfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// On the real file system.

func openReal(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, _, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func realFile(t *testing.T, s *Store, path string, o FileOptions) *File {
	t.Helper()
	f, err := s.File(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// commitOne commits one line and waits for it.
func commitOne(t *testing.T, s *Store, f *File, text string) {
	t.Helper()
	f.Append([]byte(text + "\n"))
	done := make(chan error, 1)
	s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: 1}}}}, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func wantText(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Fatalf("%s: %q, %v; want %q", path, got, err, want)
	}
}

func TestRealStore(t *testing.T) {
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "b")
			s := openReal(t, dir, Options{FSync: policy})
			f := realFile(t, s, "app.log", FileOptions{Compress: Zstd})
			commitOne(t, s, f, "one")
			if err := s.Rotate(); err != nil {
				t.Fatal(err)
			}
			commitOne(t, s, f, "two")
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.Close(), s.Close()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.File("x", FileOptions{}); err != ErrClosed {
				t.Error(err)
			}
			s.Commit(Commit{}, func(err error) {
				if err != ErrClosed {
					t.Error(err)
				}
			})
			var events []Event
			s, r, err := Open(dir, Options{FSync: policy, Report: func(e Event) { events = append(events, e) }})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if len(events) > 0 || r.Fresh || s.Runs()["r"].Last != 1 {
				t.Errorf("%v %+v %v", events, r, s.Runs())
			}
			realFile(t, s, "app.log", FileOptions{Compress: Zstd})
			wantText(t, filepath.Join(dir, "app.log"), "two\n")
			if runtime.GOOS != "windows" {
				for path, mode := range map[string]os.FileMode{
					"": 0o750 | os.ModeDir, "app.log": 0o640, stateDir: 0o700 | os.ModeDir,
					stateDir + "/" + journalName: 0o600,
				} {
					fi, err := os.Stat(filepath.Join(dir, path))
					if err != nil || fi.Mode()&^0o022 != mode&^0o022 || fi.Mode()&^mode != 0 {
						t.Errorf("%s: mode %v, %v", path, fi.Mode(), err)
					}
				}
			}
		})
	}
}

// TestLocked: a second store is refused and told who has the directory, in this
// process and in another.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	s := openReal(t, dir, Options{})
	_, _, err := Open(dir, Options{})
	var locked *LockedError
	if !errors.Is(err, ErrLocked) || !errors.As(err, &locked) {
		t.Fatal(err)
	}
	if locked.PID != os.Getpid() || !strings.Contains(locked.Command, filepath.Base(os.Args[0])) ||
		time.Since(locked.Since).Abs() > time.Minute || locked.Dir != dir {
		t.Errorf("%+v", locked)
	}
	// A directory outside of the store's is locked as well.
	outside := t.TempDir()
	realFile(t, s, filepath.Join(outside, "x.log"), FileOptions{})
	if _, _, err := Open(outside, Options{}); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	other := openReal(t, t.TempDir(), Options{})
	if _, err := other.File(filepath.Join(dir, "y.log"), FileOptions{}); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := openReal(t, dir, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
}

// TestTakeover: when the holder is killed, the one that waits has the lock at
// once. A child of the holder does not keep it.
func TestTakeover(t *testing.T) {
	if dir := os.Getenv("LOGFILE_TEST_HOLD"); dir != "" {
		holdForTest(dir)
	}
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	holder := exec.Command(exe, "-test.run=^TestTakeover$")
	holder.Env = append(os.Environ(), "LOGFILE_TEST_HOLD="+dir)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Log("holder says:", line)
	_, _, err = Open(dir, Options{})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != holder.Process.Pid {
		t.Fatalf("%v; holder is %d", err, holder.Process.Pid)
	}
	type opened struct {
		store *Store
		err   error
		at    time.Time
	}
	result := make(chan opened, 1)
	go func() {
		s, _, err := Open(dir, Options{LockWait: time.Minute})
		result <- opened{s, err, time.Now()}
	}()
	killed := time.Now()
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	got := <-result
	if got.err != nil {
		t.Fatal(got.err)
	}
	t.Log("taken over after", got.at.Sub(killed))
	_ = holder.Wait()
	wantText(t, filepath.Join(dir, "held.log"), "held\n")
	if err := got.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// holdForTest is the other process: it holds the store, starts a child that
// outlives it, and waits.
func holdForTest(dir string) {
	s, _, err := Open(dir, Options{})
	if err == nil {
		var f *File
		if f, err = s.File("held.log", FileOptions{}); err == nil {
			f.Append([]byte("held\n"))
			s.Commit(Commit{}, func(e error) { err = e })
		}
	}
	if err == nil && runtime.GOOS != "windows" {
		child := exec.Command("cat") // ends when the test closes its end of the pipe
		child.Stdin = os.Stdin
		err = child.Start()
	}
	fmt.Println("holding", err)
	_, _ = io.Copy(io.Discard, blockForever{})
}

type blockForever struct{}

func (blockForever) Read([]byte) (int, error) { select {} }

// TestRealLinks: nothing is written through a symbolic link.
func TestRealLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("making symbolic links needs a privilege on Windows")
	}
	dir := t.TempDir()
	victim := filepath.Join(t.TempDir(), "victim")
	inside := filepath.Join(dir, "inside")
	for _, path := range []string{victim, inside} {
		if err := os.WriteFile(path, []byte("precious\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := openReal(t, dir, Options{})
	for name, to := range map[string]string{"out.log": victim, "in.log": "inside", "dangling.log": filepath.Join(filepath.Dir(victim), "new")} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.File(name, FileOptions{}); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.log"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := s.File("dir.log", FileOptions{}); err == nil {
		t.Error("a directory was opened")
	}
	wantText(t, victim, "precious\n")
	wantText(t, inside, "precious\n")

	// The log directory itself becomes a link.
	f := realFile(t, s, "app.log", FileOptions{})
	commitOne(t, s, f, "one")
	moved := dir + ".moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	if err := os.Symlink(elsewhere, dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(); !errors.Is(err, ErrDirectoryLost) {
		t.Fatal(err)
	}
	if _, err := s.Resume(); !errors.Is(err, ErrDirectoryLost) {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(elsewhere); len(entries) > 0 {
		t.Error("written through the link")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resume(); err != nil { // begun anew
		t.Fatal(err)
	}
	commitOne(t, s, f, "two")
	wantText(t, filepath.Join(dir, "app.log"), "two\n")
	wantText(t, filepath.Join(moved, "app.log"), "one\n")
}

// TestRealLinkedDir: a log directory that was a symbolic link from the beginning
// is one.
func TestRealLinkedDir(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("making symbolic links needs a privilege on Windows")
	}
	target, link := t.TempDir(), filepath.Join(t.TempDir(), "logs")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	s := openReal(t, link, Options{})
	f := realFile(t, s, "app.log", FileOptions{})
	commitOne(t, s, f, "one")
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	wantText(t, filepath.Join(target, "app.log"), "one\n")
	// The same file by both paths is one file.
	if g, err := s.File(filepath.Join(target, "app.log"), FileOptions{}); err == nil && g != f {
		t.Error("one file was opened twice")
	}
}

// TestRealDelete deletes the directory under the store.
func TestRealDelete(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("open files cannot be deleted on Windows")
	}
	dir := filepath.Join(t.TempDir(), "logs")
	s := openReal(t, dir, Options{})
	f := realFile(t, s, "app.log", FileOptions{})
	commitOne(t, s, f, "one")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	// Not a byte goes into the file that has no name any more.
	f.Append([]byte("two\n"))
	s.Commit(Commit{}, func(err error) {
		if err == nil {
			t.Error("committed into a deleted directory")
		}
	})
	if _, err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	commitOne(t, s, f, "two")
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	wantText(t, filepath.Join(dir, "app.log"), "two\n")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openReal(t, dir, Options{})
	if s.Runs()["r"].Last != 1 {
		t.Error("table is gone")
	}
}

// TestMovedDirectory: a log directory that is moved between two runs is the same
// one.
func TestMovedDirectory(t *testing.T) {
	base := t.TempDir()
	s := openReal(t, filepath.Join(base, "old"), Options{})
	commitOne(t, s, realFile(t, s, "sub/app.log", FileOptions{}), "one")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(base, "old"), filepath.Join(base, "new")); err != nil {
		t.Fatal(err)
	}
	s, r, err := Open(filepath.Join(base, "new"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	commitOne(t, s, realFile(t, s, "sub/app.log", FileOptions{}), "two")
	wantText(t, filepath.Join(base, "new", "sub", "app.log"), "one\ntwo\n")
	if len(r.Events) > 0 {
		t.Error(r.Events)
	}
}
