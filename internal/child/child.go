// Package child runs another program in a process group of its own, reads what it
// prints to the end, and ends with everything that it started.
package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// linger is how long a child's output may stay open after the child has gone,
// because something that it started still holds it. What is left of its process
// group is then told to end, and killed after as long again.
const linger = 2 * time.Second

// A Spec says how to start a child and who reads what it prints. The readers run
// in goroutines of their own and return at the end of the stream.
type Spec struct {
	Name   string   // in errors
	Path   string   // of the program
	Args   []string // Args[0] is its name
	Env    []string
	Stdin  *os.File // nil: nothing to read
	Stdout func(io.Reader) error
	Stderr func(io.Reader) error
}

// A Child is a started process with its process group and its two pipes.
//
//	process --stdout--> reader goroutine
//	        --stderr--> reader goroutine
//	Wait returns when the process has ended AND both streams are read to the end
type Child struct {
	name  string
	Began time.Time
	cmd   *exec.Cmd
	pipes [2]*os.File // our ends
	read  sync.WaitGroup

	mu   sync.Mutex
	gone bool    // Wait is over: the process id may be somebody else's by now
	errs []error // of the readers
}

// Start starts the process. The pipes are our own: exec's Wait would close its
// own ones when the process ends, with lines still in them.
func (s Spec) Start() (*Child, error) {
	c := &Child{name: s.Name, Began: time.Now()}
	c.cmd = &exec.Cmd{Path: s.Path, Args: s.Args, Env: s.Env}
	if s.Stdin != nil {
		c.cmd.Stdin = s.Stdin
	}
	ownGroup(c.cmd)
	var theirs [2]*os.File
	closeAll := func() {
		for i := range theirs {
			_ = theirs[i].Close() // nil is an error that does not matter
			_ = c.pipes[i].Close()
		}
	}
	for i := range theirs {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("start %s: %w", s.Name, err)
		}
		c.pipes[i], theirs[i] = r, w
	}
	c.cmd.Stdout, c.cmd.Stderr = theirs[0], theirs[1]
	if err := c.cmd.Start(); err != nil {
		closeAll()
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	for i, reader := range []func(io.Reader) error{s.Stdout, s.Stderr} {
		_ = theirs[i].Close()
		c.read.Go(func() {
			err := reader(c.pipes[i])
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				c.mu.Lock()
				c.errs = append(c.errs, fmt.Errorf("read output of %s: %w", c.name, err))
				c.mu.Unlock()
				// Go on emptying the pipe: a child must not block, or die of
				// SIGPIPE, because its lines could not be logged.
				_, _ = io.Copy(io.Discard, c.pipes[i])
			}
		})
	}
	return c, nil
}

// Wait returns when the child has ended and its output is read.
func (c *Child) Wait() (*os.ProcessState, error) {
	werr := c.cmd.Wait()
	st := c.cmd.ProcessState
	if st == nil {
		st = &os.ProcessState{}
	}
	done := make(chan struct{})
	go func() { c.read.Wait(); close(done) }()

	// A grandchild may hold the pipes for ever. It gets some time, then a
	// request, then no choice; one that left the group loses its pipes only.
	for _, step := range []func(){
		func() { _ = signalGroup(c.cmd.Process, request) },
		func() { _ = signalGroup(c.cmd.Process, os.Kill) },
		func() {
			for _, p := range c.pipes {
				_ = p.SetReadDeadline(time.Now())
			}
		},
	} {
		if !within(done, linger) {
			step()
			continue
		}
		break
	}
	<-done
	c.mu.Lock()
	c.gone = true
	c.mu.Unlock()
	for _, p := range c.pipes {
		_ = p.Close()
	}

	var exit *exec.ExitError
	if werr != nil && !errors.As(werr, &exit) {
		return st, fmt.Errorf("wait for %s: %w", c.name, werr)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return st, errors.Join(c.errs...)
}

func within(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// Signal reaches the child and everything that it started, until Wait is over.
func (c *Child) Signal(sig os.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return nil
	}
	return signalGroup(c.cmd.Process, sig)
}
