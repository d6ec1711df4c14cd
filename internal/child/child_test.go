//go:build unix

package child

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// shell starts a script and collects its output.
type shell struct {
	*Child
	mu       sync.Mutex
	out, err []string
	began    chan struct{} // closed at the first line
}

func startShell(t *testing.T, script string) *shell {
	t.Helper()
	path, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh on this machine")
	}
	s := &shell{began: make(chan struct{})}
	var once sync.Once
	lines := func(to *[]string) func(io.Reader) error {
		return func(r io.Reader) error {
			sc := bufio.NewScanner(r)
			for sc.Scan() {
				s.mu.Lock()
				*to = append(*to, sc.Text())
				s.mu.Unlock()
				once.Do(func() { close(s.began) })
			}
			return sc.Err()
		}
	}
	s.Child, err = Spec{
		Name: "w1", Path: path, Args: []string{"sh", "-c", script}, Env: append(os.Environ(), "MARK="+filepath.Join(t.TempDir(), "mark")),
		Stdout: lines(&s.out), Stderr: lines(&s.err),
	}.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Signal(os.Kill) })
	return s
}

func TestChildOutputIsReadToTheEnd(t *testing.T) {
	c := startShell(t, `i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo oops >&2; printf last`)
	st, err := c.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if ExitCode(st) != 0 {
		t.Errorf("exit code %d", ExitCode(st))
	}
	if len(c.out) != 2001 || c.out[1999] != "line 1999" || c.out[2000] != "last" {
		t.Errorf("%d lines of output", len(c.out))
	}
	if strings.Join(c.err, "\n") != "oops" {
		t.Errorf("stderr: %q", c.err)
	}
}

func TestExitCodes(t *testing.T) {
	for script, want := range map[string]int{
		"exit 0":        0,
		"exit 7":        7,
		"kill -9 $$":    137,
		"kill -TERM $$": 143,
	} {
		st, err := startShell(t, script).Wait()
		if err != nil {
			t.Fatal(err)
		}
		if got := ExitCode(st); got != want {
			t.Errorf("%s: exit code %d, want %d", script, got, want)
		}
	}
}

func TestSignalReachesGrandchildren(t *testing.T) {
	c := startShell(t, `trap "wait; exit 4" TERM; sh -c 'trap "echo grandchild; exit 3" TERM; echo ready; while :; do sleep 0.1; done' & wait; exit 5`)
	<-c.began
	if err := c.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(c.out, "\n"), "grandchild") {
		t.Errorf("output: %q", c.out)
	}
}

// A grandchild that holds the pipes and will not go must not hold up the end.
func TestGrandchildDoesNotKeepThePipes(t *testing.T) {
	for name, script := range map[string]string{
		"in the group":            `(trap "" TERM HUP INT; echo held; : >"$MARK"; sleep 600) & until [ -e "$MARK" ]; do sleep 0.05; done; exit 6`,
		"in a session of its own": `setsid sh -c 'echo held $$; : >"$MARK"; exec sleep 600' & until [ -e "$MARK" ]; do sleep 0.05; done; exit 6`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(script, "setsid") {
				if _, err := exec.LookPath("setsid"); err != nil {
					t.Skip("no setsid on this machine")
				}
			}
			c := startShell(t, script)
			<-c.began
			began := time.Now()
			st, err := c.Wait()
			if err != nil {
				t.Fatal(err)
			}
			if ExitCode(st) != 6 {
				t.Errorf("exit code %d", ExitCode(st))
			}
			if d := time.Since(began); d > linger+2*time.Minute { // it would hold them for ten
				t.Errorf("took %v", d)
			}
			what, pid, _ := strings.Cut(strings.Join(c.out, ""), " ")
			if what != "held" {
				t.Errorf("output %q", c.out)
			}
			if pid, err := strconv.Atoi(pid); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL) // beyond the group's reach
			}
		})
	}
}
