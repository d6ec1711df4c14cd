package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/logbraid/logbraid/tests/bench/job"
)

// errSkip is wrapped by Prepare when a contestant can't be had on this machine.
var errSkip = errors.New("not to be had here")

// A Contestant is one way to get the records of several processes into one file.
type Contestant struct {
	Name  string
	About string
	// Part makes it one in so many of the load's records, for a system that would take minutes, and whose rate does not depend
	// on how many they are. 0 is all.
	Part int
	// Prepare builds or installs what is needed; an error that wraps errSkip leaves the contestant out, by name.
	Prepare func(ctx context.Context, b *Bench) error
	// Run does the whole job once in an empty directory, and returns the file in which the records must stand.
	// It calls r.Start for everything that costs CPU, and r.Go right before the workers may log.
	Run func(ctx context.Context, r *Round) (file string, err error)
}

// A Bench is one invocation.
type Bench struct {
	Dir      string
	Load     Load
	Rounds   int
	Progress io.Writer
	Worker   string // the worker program

	watch *watcher // nil: nobody looks while a round runs
}

// A Figure is the outcome of one round.
type Figure struct {
	Records int           // of all workers
	Wall    time.Duration // from the workers' go to the last line in the file
	CPU     time.Duration // user and system time of all processes, from start to end
	Workers time.Duration // the part of CPU that the workers took
	Busy    time.Duration // CPU of all processes within Wall, as far as their threads lived on; only of a load with a pace
	Memory  int64         // largest resident size of a process that is not a worker, in bytes
}

// Run goes round by round through all contestants (A B C, A B C), so that a change of the machine's mood meets all of
// them. The round before the first warms up and is not counted.
func (b *Bench) Run(ctx context.Context, all []Contestant) (*Table, error) {
	t := &Table{Load: b.Load, Rounds: b.Rounds}
	var ready []Contestant
	for _, c := range all {
		if c.Prepare != nil {
			if err := c.Prepare(ctx, b); errors.Is(err, errSkip) {
				t.Skipped = append(t.Skipped, fmt.Sprintf("%s: %v", c.Name, err))
				fmt.Fprintf(b.Progress, "%-28s skipped: %v\n", c.Name, err)
				continue
			} else if err != nil {
				return nil, fmt.Errorf("prepare %s: %w", c.Name, err)
			}
		}
		ready = append(ready, c)
	}
	figures := make(map[string][]Figure)
	for n := range b.Rounds + 1 {
		for _, c := range ready {
			f, err := b.once(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", c.Name, n, err)
			}
			if n > 0 {
				figures[c.Name] = append(figures[c.Name], f)
			}
			fmt.Fprintf(b.Progress, "round %d %-28s %10.0f records/s  %6.2f CPU s per million, %.2f of them in the workers\n",
				n, c.Name, f.rate(), f.perMillion(), Figure{Records: f.Records, CPU: f.Workers}.perMillion())
		}
	}
	for _, c := range ready {
		t.Rows = append(t.Rows, newRow(c, figures[c.Name]))
	}
	return t, nil
}

func (b *Bench) once(ctx context.Context, c Contestant) (Figure, error) {
	dir, err := os.MkdirTemp(b.Dir, c.Name+"-")
	if err != nil {
		return Figure{}, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute) // a guard against hanging, not a measure
	defer cancel()
	r := b.round(ctx, dir)
	r.Load.Records = max(1, b.Load.Records/max(1, c.Part))
	defer r.kill()
	file, err := c.Run(ctx, r)
	if err != nil {
		return Figure{}, err
	}
	if r.started.IsZero() || r.ended.IsZero() {
		return Figure{}, errors.New("the contestant did not say when it began and ended")
	}
	for _, p := range r.processes {
		if !p.ended {
			return Figure{}, fmt.Errorf("%s was not waited for, so its CPU time is missing", p.cmd.Path)
		}
	}
	if err := complete(file, r.Load); err != nil {
		return Figure{}, fmt.Errorf("the job was not done: %w", err)
	}
	return Figure{Records: r.Load.Total(), Wall: r.ended.Sub(r.started), CPU: r.cpu, Workers: r.workers, Busy: r.busy, Memory: r.memory}, nil
}

// A Round is one run of one contestant.
type Round struct {
	Dir  string
	Load Load

	ctx            context.Context
	worker         string // the worker program
	watch          *watcher
	file           string                  // where records are to appear, for watch
	says           func(line string) error // takes what workers print besides "ready" and "done"
	started, ended time.Time
	cpu, workers   time.Duration
	busy           time.Duration
	memory         int64
	processes      []*process
}

type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr bytes.Buffer
	ended  bool
}

func (b *Bench) round(ctx context.Context, dir string) *Round {
	return &Round{Dir: dir, Load: b.Load, ctx: ctx, worker: b.Worker, watch: b.watch}
}

// Start starts a process whose CPU time counts. Its stderr is shown when it fails.
func (r *Round) Start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd}
	cmd.Dir = r.Dir
	cmd.Stderr = &p.stderr
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdout = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	r.processes = append(r.processes, p)
	return p, nil
}

// Role starts a process in one of its roles: the worker program, or this one where a broker is part of the role.
func (r *Round) Role(role string, env ...string) (*process, error) {
	program := r.worker
	if _, ok := roles[role]; ok {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(program)
	cmd.Env = slices.Concat(os.Environ(), r.Load.Job(0).Env(), []string{job.RoleVariable + "=" + role, fmt.Sprintf("BENCH_WORKERS=%d", r.Load.Workers)}, env)
	return r.Start(cmd)
}

// Await reads the process's next line, which must be word.
func (p *process) Await(word string) error {
	line, err := p.stdout.ReadString('\n')
	if err != nil || line != word+"\n" {
		return fmt.Errorf("waiting for %q: %q, %v; stderr: %s", word, line, err, p.stderr.String())
	}
	return nil
}

// Say writes a line to the process.
func (p *process) Say(word string) error {
	_, err := io.WriteString(p.stdin, word+"\n")
	return err
}

// Wait waits for the process's end and counts its CPU time. ok lists exit codes that are fine besides 0.
func (r *Round) Wait(p *process, ok ...int) error {
	err := p.cmd.Wait()
	p.ended = true
	state := p.cmd.ProcessState
	r.cpu += state.UserTime() + state.SystemTime()
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		r.memory = max(r.memory, usage.Maxrss<<10) // Linux counts in KiB
	}
	for _, code := range ok {
		if state.ExitCode() == code {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", p.cmd.Path, err, p.stderr.String())
	}
	return nil
}

// Stop sends SIGTERM, then waits.
func (r *Round) Stop(p *process, ok ...int) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return r.Wait(p, ok...)
}

// Workers starts the load's workers in a role, waits until each has said "ready", says "go", and waits for each "done" and their ends.
func (r *Round) Workers(role string, env func(worker int) []string) error {
	var workers []*process
	for w := range r.Load.Workers {
		p, err := r.Role(role, append(env(w), r.Load.Job(w).Env()...)...)
		if err != nil {
			return err
		}
		workers = append(workers, p)
	}
	return r.Race(workers)
}

// Race lets processes that have been started go at once and waits until all are done. That is the round's end, unless the contestant
// calls Done again, later.
func (r *Round) Race(workers []*process) error {
	for _, p := range workers {
		if err := p.Await("ready"); err != nil {
			return err
		}
	}
	if r.watch != nil {
		r.watch.found <- r.file
	}
	before := r.spent()
	r.started = time.Now()
	for _, p := range workers {
		if err := p.Say("go"); err != nil {
			return err
		}
	}
	for _, p := range workers {
		for {
			line, err := p.stdout.ReadString('\n')
			if err != nil {
				return fmt.Errorf("a worker ended before its work: %w: %s", err, p.stderr.String())
			}
			if line == "done\n" {
				break
			}
			if r.says != nil {
				if err := r.says(line); err != nil {
					return err
				}
			}
		}
	}
	r.Done() // how long a process takes to be gone is not the job's
	if r.Load.Pace > 0 {
		r.busy = r.spent() - before
	}
	cpu, memory := r.cpu, r.memory
	for _, p := range workers {
		if err := r.Wait(p); err != nil {
			return err
		}
	}
	r.workers, r.memory = r.cpu-cpu, memory
	return nil
}

// spent is the CPU time that the threads of the round's processes have taken so far, by schedstat in proc(5).
func (r *Round) spent() (sum time.Duration) {
	for _, p := range r.processes {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
		for _, name := range threads {
			text, err := os.ReadFile(name)
			if err != nil {
				continue // it has ended
			}
			first, _, _ := strings.Cut(string(text), " ")
			ns, _ := strconv.ParseInt(first, 10, 64)
			sum += time.Duration(ns)
		}
	}
	return sum
}

// Done says that the last line is in the file.
func (r *Round) Done() { r.ended = time.Now() }

// AwaitLines polls until the file has the load's lines, for systems that do not say when they have written. Polling reads only
// what has been added, and its 2 ms are the error of the measurement.
func (r *Round) AwaitLines(file string) error {
	var f *os.File
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	buf := make([]byte, 1<<20)
	kept := 0 // bytes of the last read that may begin a mark
	lines := 0
	quiet := time.Now()
	for {
		if f == nil {
			var err error
			if f, err = os.Open(filepath.Clean(file)); err == nil {
				defer f.Close()
			}
		}
		for f != nil {
			n, err := f.Read(buf[kept:])
			if err != nil {
				break
			}
			quiet = time.Now()
			lines += job.Count(buf[:kept+n])
			tail := min(kept+n, job.Overlap)
			kept = copy(buf, buf[kept+n-tail:kept+n])
		}
		if lines >= r.Load.Total() {
			r.Done()
			return nil
		}
		if time.Since(quiet) > 20*time.Second {
			return fmt.Errorf("%s has %d of %d records and does not grow: this system lost some", file, lines, r.Load.Total())
		}
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
	}
}

// kill ends what is still running after a failure.
func (r *Round) kill() {
	for _, p := range r.processes {
		if !p.ended {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	}
}
