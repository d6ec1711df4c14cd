//go:build unix

package harness

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Command is a process to be started: a role of this binary, or a program.
type Command struct {
	Name  string // in messages; by default the role or the program
	Role  string
	Spec  any      // for the role, as JSON
	Args  []string // the program and its arguments, when there is no role; with a role, a wrapper in front of it (strace ...)
	Env   []string // added to the test's own environment, which is stripped of LOGBRAID_ and NATS_ variables
	Dir   string
	Group *Group // nil: a process group of its own
}

// A Process is a running child. Its methods may be used from several goroutines; those that fail the test, from the test's own.
type Process struct {
	t       T
	command Command
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	done    chan struct{} // closed when the process is reaped and its output read

	mu     sync.Mutex
	lines  []string // standard output
	read   int      // lines before this one have been taken by Line
	stderr tail
	err    error
}

// Start starts a process; it is killed at the end of the test if it still lives.
func Start(t T, c Command) *Process {
	t.Helper()
	p := &Process{t: t, command: c, done: make(chan struct{})}
	if c.Name == "" {
		p.command.Name = c.Role
		if c.Role == "" {
			p.command.Name = c.Args[0]
		}
	}
	p.start()
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			t.Logf("%s (pid %d, %v):\n%s", p.command.Name, p.Pid(), p.State(), p.Output())
		}
	})
	return p
}

// Relaunch starts the same command again after the process has ended, and does not wait until it is ready. Output goes on behind
// that of the former life.
func (p *Process) Relaunch() {
	p.t.Helper()
	select {
	case <-p.done:
	default:
		p.t.Fatalf("restart %s: it is still running", p.command.Name)
	}
	p.mu.Lock()
	p.read = len(p.lines)
	p.done = make(chan struct{})
	p.mu.Unlock()
	p.start()
}

func (p *Process) start() {
	p.t.Helper()
	c := p.command
	args := c.Args
	env := append(cleanEnv(), c.Env...)
	if c.Role != "" {
		self, err := os.Executable()
		if err != nil {
			p.t.Fatalf("find the test's own binary: %v", err)
		}
		spec, err := json.Marshal(c.Spec)
		if err != nil {
			p.t.Fatalf("encode spec of %s: %v", c.Name, err)
		}
		args = append(append([]string{}, c.Args...), self)
		// Under the race detector a process would sleep for a second before it exits, and go on after a race.
		env = append(env, "GORACE=atexit_sleep_ms=20 halt_on_error=1")
		env = append(env, roleVariable+"="+c.Role, specVariable+"="+string(spec))
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Dir = env, c.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.Group != nil {
		cmd.SysProcAttr.Pgid = c.Group.leader.Pid()
	}
	cmd.Stderr = &p.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		p.t.Fatalf("start %s: %v", c.Name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatalf("start %s: %v", c.Name, err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("start %s: %v", c.Name, err)
	}
	p.mu.Lock()
	p.cmd, p.stdin = cmd, stdin
	p.mu.Unlock()
	go p.follow(cmd, stdout, p.done)
}

func (p *Process) follow(cmd *exec.Cmd, stdout io.Reader, done chan struct{}) {
	r := bufio.NewReader(stdout)
	for {
		line, err := r.ReadString('\n')
		if line != "" {
			p.mu.Lock()
			p.lines = append(p.lines, strings.TrimSuffix(line, "\n"))
			p.mu.Unlock()
		}
		if err != nil {
			break
		}
	}
	err := cmd.Wait()
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	close(done)
}

// end kills what still runs and waits for it.
func (p *Process) end() {
	if !p.Exited() {
		p.cmd.Process.Kill()
		p.cmd.Process.Signal(syscall.SIGCONT)
	}
	<-p.done
	p.stdin.Close()
}

// Line waits for the next line of standard output that begins with word, and returns what follows the word.
func (p *Process) Line(word string) string {
	p.t.Helper()
	rest, found := "", false
	take := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for p.read < len(p.lines) && !found {
			rest, found = strings.CutPrefix(p.lines[p.read], word+" ")
			p.read++
		}
		return found
	}
	within(Guard, func() bool { return take() || p.Exited() && (take() || true) })
	if !found {
		p.t.Fatalf("%s said no %q (%v):\n%s", p.command.Name, word, p.State(), p.Output())
	}
	return rest
}

// Ready waits until the role says that it is ready and decodes what it tells into v, unless v is nil.
func (p *Process) Ready(v any) {
	p.t.Helper()
	p.decode(p.Line("ready"), v)
}

// ReadyOrExited waits until the role says that it is ready, true, or ends without having said so.
func (p *Process) ReadyOrExited() bool {
	p.t.Helper()
	ready := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for ; p.read < len(p.lines); p.read++ {
			if strings.HasPrefix(p.lines[p.read], "ready ") {
				p.read++
				return true
			}
		}
		return false
	}
	is := false
	Until(p.t, p.command.Name+" to be ready or to end", func() bool { is = ready(); return is || p.Exited() })
	return is || ready()
}

// Ask sends a command and decodes the answer, a line that begins with the command's first word.
func (p *Process) Ask(command string, v any) {
	p.t.Helper()
	p.Send(command)
	word, _, _ := strings.Cut(command, " ")
	p.decode(p.Line(word), v)
}

// Asked sends a command and returns the answer as it stands.
func (p *Process) Asked(command string) string {
	p.t.Helper()
	p.Send(command)
	word, _, _ := strings.Cut(command, " ")
	return p.Line(word)
}

func (p *Process) decode(text string, v any) {
	p.t.Helper()
	if v == nil {
		return
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		p.t.Fatalf("%s said %q: %v", p.command.Name, text, err)
	}
}

// Send writes one line to the process's standard input.
func (p *Process) Send(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatalf("send %q to %s: %v\n%s", line, p.command.Name, err, p.Output())
	}
}

// TrySend is Send to a process that may be gone.
func (p *Process) TrySend(line string) { io.WriteString(p.stdin, line+"\n") }

// CloseInput closes the process's standard input: a program sees its end, a role ends.
func (p *Process) CloseInput() { p.stdin.Close() }

// Stop asks a role to end in good order and waits until it has, with success.
func (p *Process) Stop() {
	p.t.Helper()
	p.Send("stop")
	p.WaitOK()
}

// Kill is kill -9, by process id, and waits until the process is gone.
func (p *Process) Kill() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	p.Wait()
}

// Pause is SIGSTOP; it returns when the kernel has stopped every thread.
func (p *Process) Pause() {
	p.t.Helper()
	p.Signal(syscall.SIGSTOP)
	Until(p.t, p.command.Name+" to be stopped", func() bool { return p.Exited() || stopped(p.Pid()) })
}

// Continue is SIGCONT.
func (p *Process) Continue() {
	p.t.Helper()
	p.Signal(syscall.SIGCONT)
}

// Signal sends sig. A process that has already ended is no error.
func (p *Process) Signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("send %v to %s: %v", sig, p.command.Name, err)
	}
}

// Wait waits for the end of the process and returns its exit code, -1 after a signal.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(Guard):
		p.Signal(syscall.SIGQUIT) // a Go program tells where it hangs
		select {
		case <-p.done:
		case <-time.After(5 * time.Second):
		}
		p.t.Fatalf("%s does not end:\n%s", p.command.Name, p.Output())
	}
	return p.cmd.ProcessState.ExitCode()
}

// WaitOK waits for the end of the process, which must be a success.
func (p *Process) WaitOK() {
	p.t.Helper()
	if code := p.Wait(); code != 0 {
		p.t.Fatalf("%s ended with %v:\n%s", p.command.Name, p.cmd.ProcessState, p.Output())
	}
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exited says whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Pid is the process id of the present life.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// State says how the process ended, or that it runs.
func (p *Process) State() string {
	if !p.Exited() {
		return "running"
	}
	return p.cmd.ProcessState.String()
}

// ProcessState is nil while the process runs.
func (p *Process) ProcessState() *os.ProcessState {
	if !p.Exited() {
		return nil
	}
	return p.cmd.ProcessState
}

// Stdout is what the process has written to its standard output so far.
func (p *Process) Stdout() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// Stderr is the last part of what the process has written to its standard error.
func (p *Process) Stderr() string { return p.stderr.String() }

// Output is the end of both, for messages.
func (p *Process) Output() string {
	out := p.Stdout()
	if len(out) > 4<<10 {
		out = "..." + out[len(out)-4<<10:]
	}
	return "stdout:\n" + out + "\nstderr:\n" + p.Stderr()
}

// A Group is a process group that the test made, so that one kill reaches all of it.
type Group struct{ leader *Process }

// NewGroup starts an idle process that leads the group.
func NewGroup(t T) *Group {
	t.Helper()
	leader := Start(t, Command{Name: "group leader", Role: "idle"})
	leader.Ready(nil)
	return &Group{leader}
}

// Kill is kill -9 of the whole group at once. The group is gone afterwards; make a new one for the next life.
func (g *Group) Kill() {
	g.leader.t.Helper()
	if err := syscall.Kill(-g.leader.Pid(), syscall.SIGKILL); err != nil {
		g.leader.t.Fatalf("kill process group %d: %v", g.leader.Pid(), err)
	}
	g.leader.Wait()
}

// Join puts the next lives of p into g.
func (p *Process) Join(g *Group) { p.command.Group = g }

// stopped says whether the kernel has stopped a process; where there is no /proc, sending the signal has to do.
func stopped(pid int) bool {
	states, err := threadStates(pid)
	if err != nil {
		return true
	}
	for _, s := range states {
		if s != 'T' && s != 't' && s != 'Z' {
			return false
		}
	}
	return true
}

// cleanEnv is the test's environment without what would configure the product. A program that ends gives up after
// CLOSE_TIMEOUT; a test that is about this sets its own, for all others a slow machine must not decide.
func cleanEnv() []string {
	env := []string{"LOGBRAID_CLOSE_TIMEOUT=5m"}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LOGBRAID_") && !strings.HasPrefix(e, "NATS_") && !strings.HasPrefix(e, "BRAIDTEST_") {
			env = append(env, e)
		}
	}
	return env
}

// tail keeps the last 64 KiB that are written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (b *tail) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = append(b.buf, p...)
	if cut := len(b.buf) - 64<<10; cut > 0 {
		b.buf = append(b.buf[:0], b.buf[cut:]...)
	}
	return len(p), nil
}

func (b *tail) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(bytes.ToValidUTF8(b.buf, []byte("?")))
}
