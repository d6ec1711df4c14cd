package publisher

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/record"
)

// crashSuffix ends the name of the file that takes a run's crash output, beside
// the ring file of the same name.
const crashSuffix = ".crash"

func crashPath(ringPath string) string {
	return strings.TrimSuffix(ringPath, ring.Suffix) + crashSuffix
}

// crashOutput is where the Go runtime writes what ends the process: a panic that
// nobody recovers, a concurrent map write, a signal. It is not a record yet: the
// process is past making one. Whoever drains the ring makes it.
type crashOutput struct {
	path string
	diag func(what string, err error)
}

// The runtime has one crash output per process: the first publisher's.
var crashTaken atomic.Bool

// watchCrash returns nil where there is nothing to watch with, or somebody else does.
func (p *Publisher) watchCrash() *crashOutput {
	if p.ring.Path() == "" || p.cfg.NoCrashOutput || !crashTaken.CompareAndSwap(false, true) {
		return nil
	}
	c := &crashOutput{path: crashPath(p.ring.Path()), diag: p.complain}
	f, err := os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = errors.Join(debug.SetCrashOutput(f, debug.CrashOptions{}), f.Close()) // it keeps a duplicate
	}
	if err != nil {
		p.complain("set crash output", err)
		crashTaken.Store(false)
		return nil
	}
	return c
}

// close gives the crash output back. The file is empty: we live.
func (c *crashOutput) close() {
	if c == nil {
		return
	}
	c.diag("unset crash output", debug.SetCrashOutput(nil, debug.CrashOptions{}))
	if st, err := os.Stat(c.path); err == nil && st.Size() == 0 {
		c.diag("remove crash output", os.Remove(c.path))
	}
	crashTaken.Store(false)
}

// maxCrash bounds what is read of a crash output, in bytes: GOTRACEBACK=all of a
// hundred thousand goroutines goes beyond any record.
const maxCrash = 8 << 20

// readCrash returns what a dead process left, empty if nothing.
func readCrash(path string) (text string, at time.Time, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", time.Time{}, nil
	}
	if err != nil {
		return "", time.Time{}, fmt.Errorf("open crash output: %w", err)
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("read crash output: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCrash))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("read crash output: %w", err)
	}
	return string(b), st.ModTime(), nil
}

// startCrash begins the record that a crash output becomes: a line of it is the
// message, the whole text the stack.
func startCrash(line *record.Line, text string, at time.Time, pid int) {
	line.Start(at, record.Fatal, record.OwnLogger, crashMessage(text))
	line.Int("pid", int64(pid))
	line.Stack(text)
}

// crashMessage says why the process ended: the first line, "panic: ...". What the
// runtime itself finds it says on standard error only, "fatal error: concurrent
// map writes", before it turns to the crash output, which begins with a stack
// (runtime.fatal and runtime.throw, Go 1.26). Then the stack has to tell: the
// cause, where a function of the runtime stands for one cause only, and the first
// function that is not the runtime's.
func crashMessage(text string) string {
	text = strings.TrimLeft(text, "\n")
	first, rest, _ := strings.Cut(text, "\n")
	state, isGoroutine := strings.CutPrefix(first, "goroutine ")
	if !isGoroutine && first != "runtime stack:" {
		return first
	}
	if _, state, _ = strings.Cut(state, "["); isGoroutine && !strings.HasPrefix(state, "running") {
		// Nobody was running: the scheduler itself has found that nobody can.
		return "fatal error: all goroutines are asleep - deadlock!"
	}
	message, thrown := "fatal error", false
	for l := range strings.Lines(rest) {
		end := strings.LastIndexByte(l, '(')
		if end < 0 || l[0] == '\t' {
			continue
		}
		name := l[:end]
		switch {
		case name == "internal/runtime/maps.fatal":
			message = "fatal error: concurrent use of a map"
		case name == "sync.fatal", name == "internal/sync.fatal":
			message = "fatal error: misuse of a lock"
		case thrown && name == "runtime.newstack":
			message = "fatal error: stack overflow"
		case thrown && name == "runtime.sysMapOS":
			message = "fatal error: out of memory"
		case !strings.HasPrefix(name, "runtime.") && !strings.HasPrefix(name, "internal/"):
			return message + " in " + name
		}
		thrown = name == "runtime.throw"
	}
	return message
}
