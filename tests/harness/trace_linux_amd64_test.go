package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func testRoles(echo Play) map[string]Play { return map[string]Play{"echo": echo, "scribble": scribble} }

// scribble is a role with a known sequence of system calls: it creates two files in its directory, writes five times to each, in
// turn and from different threads, renames one and deletes the other.
func scribble(r *Role) error {
	var dir string
	if err := r.Spec(&dir); err != nil {
		return err
	}
	a, err := os.Create(filepath.Join(dir, "a"))
	if err != nil {
		return err
	}
	b, err := os.Create(filepath.Join(dir, "b"))
	if err != nil {
		return err
	}
	for i := range 5 {
		done := make(chan error)
		go func() { // a new goroutine, often another thread
			_, err := a.WriteString("0123456789")
			done <- err
		}()
		if err := <-done; err != nil {
			r.Say("failed", fmt.Sprint(i, err))
		}
		if _, err := b.WriteString("x"); err != nil {
			return err
		}
	}
	if err := a.Sync(); err != nil {
		return err
	}
	if err := os.Rename(a.Name(), filepath.Join(dir, "c")); err != nil {
		return err
	}
	return os.Remove(b.Name())
}

func traced(t *testing.T, spec TraceSpec) (dir string, p *Process) {
	t.Helper()
	dir = t.TempDir()
	spec.Under = []string{dir}
	p = Start(t, with(Command{Role: "scribble", Spec: dir}, []Option{Traced(spec)}))
	p.Wait()
	return dir, p
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}

func TestTraceCountsOverThreads(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report")
	dir, p := traced(t, TraceSpec{Report: report})
	if p.Wait() != 0 {
		t.Fatal(p.Output())
	}
	want := []string{"openat a", "openat b"}
	for range 5 {
		want = append(want, "write a", "write b")
	}
	want = append(want, "fsync a", "renameat a", "unlinkat b")
	var got []string
	for i, c := range ReadTrace(t, report) {
		if c.N != i+1 {
			t.Errorf("call %d has number %d", i+1, c.N)
		}
		got = append(got, c.Name+" "+filepath.Base(c.Path))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted %q\nwant %q", got, want)
	}
	if size(t, dir+"/c") != 50 {
		t.Error("the role did not do its work")
	}
}

func TestTraceKillsAtEachCall(t *testing.T) {
	for at := 1; at <= 15; at++ {
		for _, act := range []Act{KillBefore, KillAfter} {
			dir, p := traced(t, TraceSpec{At: at, Act: act})
			if ws := p.ProcessState().Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGKILL {
				t.Fatalf("%s call %d: ended with %v", act, at, p.State())
			}
			done := at // calls carried out
			if act == KillBefore {
				done--
			}
			wantA, wantB, wantC := int64(-1), int64(-1), int64(-1)
			if done >= 1 {
				wantA = int64(10 * max(0, min(5, (done-1)/2)))
			}
			if done >= 2 {
				wantB = int64(max(0, min(5, (done-2)/2)))
			}
			if done >= 14 {
				wantA, wantC = -1, 50
			}
			if done >= 15 {
				wantB = -1
			}
			if a, b, c := size(t, dir+"/a"), size(t, dir+"/b"), size(t, dir+"/c"); a != wantA || b != wantB || c != wantC {
				t.Errorf("%s call %d: sizes %d %d %d, want %d %d %d", act, at, a, b, c, wantA, wantB, wantC)
			}
		}
	}
}

func TestTraceFailsACall(t *testing.T) {
	dir, p := traced(t, TraceSpec{At: 5, Act: Fail, Errno: int(syscall.ENOSPC)})
	if p.Wait() != 0 || p.Line("failed") == "" || size(t, dir+"/c") != 40 {
		t.Errorf("%d bytes\n%s", size(t, dir+"/c"), p.Output())
	}
}

func TestTraceShortensAWrite(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report")
	dir, p := traced(t, TraceSpec{At: 5, Act: Short, Report: report})
	if p.Wait() != 0 || size(t, dir+"/c") != 50 {
		t.Errorf("%d bytes\n%s", size(t, dir+"/c"), p.Output())
	}
	// os.File writes the rest by itself: one call more, of half the size.
	if calls := ReadTrace(t, report); len(calls) != 16 || calls[5].Size != 5 {
		t.Errorf("%+v", calls)
	}
}
