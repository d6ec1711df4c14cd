//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

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
	p.cmd.Env = programEnv()
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

// programEnv makes this test binary the program. How long that waits for its workers is a matter of the tests that are
// about it; for all others a slow machine must not decide.
func programEnv() []string {
	return append(os.Environ(), "EMBEDDED_TEST_ROLE=program", "LOGBRAID_CLOSE_TIMEOUT=5m", "LOGBRAID_BLOCK_TIMEOUT=5m")
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

// until waits for what can only be looked at; what completes "waited in vain for".
func (p *program) until(what string, ok func() bool) {
	p.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(guard); !ok(); {
		select {
		case <-tick.C:
		case <-limit:
			p.t.Fatalf("waited in vain for %s; stderr:\n%s", what, p.err.String())
		}
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
