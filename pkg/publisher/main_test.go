package publisher

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

// Tests of how a process ends run this program again, with the variable childEnv saying as what.
const childEnv = "LOGBRAID_TEST_CHILD"

func TestMain(m *testing.M) {
	if child := os.Getenv(childEnv); child != "" {
		runChild(child)
		return
	}
	os.Exit(m.Run())
}

func runChild(as string) {
	started := func() { fmt.Println("started") }
	logrus.RegisterExitHandler(func() { Info("exit handler") })
	switch as {
	case "panic":
		fmt.Println("about to panic")
		panic("boom")
	case "main":
		Main(func() int { Info("worked"); return 7 })
	case "main panics":
		Main(func() int { Info("worked"); panicsHere("boom"); return 0 })
	case "main closed":
		Main(func() int { Default().Close(context.Background()); panic("boom") })
	case "main goexit":
		worked := make(chan struct{})
		go func() { <-worked; logrus.Exit(3) }()
		Main(func() int { Info("worked"); close(worked); runtime.Goexit(); return 0 })
	case "main waits":
		Main(func() int { Info("worked"); started(); select {} })
	case "context":
		MainContext(func(ctx context.Context) int {
			started()
			<-ctx.Done()
			Info("shut down")
			return 4
		})
	case "context hangs":
		MainContext(func(ctx context.Context) int {
			started()
			<-ctx.Done()
			started()
			select {}
		})
	case "fatal":
		Default().Named("x").Fatal("last words")
	case "logrus exit":
		Default().Logger("x").Info("m")
		logrus.Exit(5)
	}
}

// A child is this program, running as runChild says.
type child struct {
	*exec.Cmd
	stderr  strings.Builder
	started chan struct{} // gets one each time the child says so
}

func startChild(t *testing.T, as string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0]), started: make(chan struct{}, 10)}
	c.Env = append(os.Environ(), childEnv+"="+as)
	c.Cmd.Stderr = &c.stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	go func() {
		buf := make([]byte, 100)
		for {
			n, err := out.Read(buf)
			for range strings.Count(string(buf[:n]), "started\n") {
				c.started <- struct{}{}
			}
			if err != nil {
				return
			}
		}
	}()
	return c
}

func (c *child) wait(t *testing.T) (code int, stderr string) {
	t.Helper()
	timer := time.AfterFunc(2*time.Minute, func() { c.Process.Kill() })
	defer timer.Stop()
	_ = c.Wait()
	return c.ProcessState.ExitCode(), c.stderr.String()
}

func TestMainEnds(t *testing.T) {
	for _, tt := range []struct {
		as   string
		code int
		want []string
		not  string
	}{
		{"main", 7, []string{"worked", "exit handler"}, "panic"},
		{"main panics", 2, []string{"worked", "FATAL", "panic: boom", "publisher.panicsHere", "exit handler"}, "goroutine "},
		{"main closed", 2, []string{"panic: boom", "goroutine 1 [running]:"}, "FATAL"},
		{"main goexit", 3, []string{"worked", "exit handler"}, "panic"},
		{"fatal", 1, []string{"FATAL", "last words", "exit handler"}, "panic"},
		{"logrus exit", 5, []string{"exit handler"}, "panic"},
	} {
		t.Run(tt.as, func(t *testing.T) {
			code, stderr := startChild(t, tt.as).wait(t)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("standard error lacks %q", want)
				}
			}
			if strings.Contains(stderr, tt.not) {
				t.Errorf("standard error has %q", tt.not)
			}
			if t.Failed() {
				t.Log(stderr)
			}
		})
	}
}

func TestMainAndSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no SIGTERM")
	}
	if signal.Ignored(os.Interrupt) {
		t.Skip("SIGINT is ignored here, and so in the children")
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run("main, "+sig.String(), func(t *testing.T) {
			c := startChild(t, "main waits")
			<-c.started
			c.Process.Signal(sig)
			_, stderr := c.wait(t)
			if st := c.ProcessState.Sys().(syscall.WaitStatus); !st.Signaled() || st.Signal() != sig {
				t.Errorf("ended by %v, want by the signal", c.ProcessState)
			}
			if !strings.Contains(stderr, "worked") {
				t.Errorf("standard error: %s", stderr)
			}
		})
	}
	t.Run("context", func(t *testing.T) {
		c := startChild(t, "context")
		<-c.started
		c.Process.Signal(syscall.SIGTERM)
		if code, stderr := c.wait(t); code != 4 || !strings.Contains(stderr, "shut down") {
			t.Errorf("exit code %d, standard error: %s", code, stderr)
		}
	})
	t.Run("context, twice", func(t *testing.T) {
		c := startChild(t, "context hangs")
		<-c.started
		c.Process.Signal(syscall.SIGTERM)
		<-c.started
		c.Process.Signal(syscall.SIGTERM)
		c.wait(t)
		if st := c.ProcessState.Sys().(syscall.WaitStatus); !st.Signaled() {
			t.Errorf("ended by %v, want by the second signal", c.ProcessState)
		}
	})
}
