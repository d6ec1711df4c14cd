//go:build unix

package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// A Runner is a T outside go test, for the long proofs.
type Runner struct {
	mu       sync.Mutex
	failed   bool
	cleanups []func()
	dir      string
	dirs     int
}

// NewRunner makes a Runner; call Do once.
func NewRunner() *Runner { return &Runner{} }

// Do runs f in the way of a test and says whether it passed. The directories of one that did are removed.
func (r *Runner) Do(f func()) bool {
	done := make(chan struct{})
	go func() { // Fatalf ends the goroutine
		defer close(done)
		defer r.cleanup()
		f()
	}()
	<-done
	if !r.Failed() && r.dir != "" {
		os.RemoveAll(r.dir)
	}
	return !r.Failed()
}

func (r *Runner) cleanup() {
	for {
		r.mu.Lock()
		n := len(r.cleanups)
		if n == 0 {
			r.mu.Unlock()
			return
		}
		f := r.cleanups[n-1]
		r.cleanups = r.cleanups[:n-1]
		r.mu.Unlock()
		f()
	}
}

// Dir is where the directories of TempDir are.
func (r *Runner) Dir() string { return r.dir }

// The methods of T.

func (r *Runner) Helper() {}

func (r *Runner) Logf(format string, args ...any) {
	if r.Failed() {
		fmt.Fprintln(os.Stderr, strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}

func (r *Runner) Errorf(format string, args ...any) {
	r.mu.Lock()
	r.failed = true
	r.mu.Unlock()
	fmt.Fprintln(os.Stderr, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (r *Runner) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *Runner) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *Runner) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *Runner) TempDir() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dir == "" {
		dir, err := os.MkdirTemp("", "logbraid-long-")
		if err != nil {
			panic(err)
		}
		r.dir = dir
	}
	r.dirs++
	dir := filepath.Join(r.dir, fmt.Sprint(r.dirs))
	if err := os.Mkdir(dir, 0o755); err != nil {
		panic(err)
	}
	return dir
}
