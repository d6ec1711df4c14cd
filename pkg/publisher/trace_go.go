package publisher

import (
	"bytes"

	"github.com/logbraid/logbraid/pkg/record"
)

// The shapes are those of runtime/panic.go, traceback.go and signal_unix.go:
//
//	panic: boom [recovered]
//		panic: again
//	[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x47a3c5]
//	<blank>
//	goroutine 1 [running]:
//	main.f(...)
//		/src/x.go:10
//	exit status 2
//
// and of the race detector, between two lines of '='.
const (
	goRule = "=================="
	goRace = "WARNING: DATA RACE"
)

func beginGo(j *joiner, line []byte) state {
	switch {
	case goHeadline(line):
		j.head, j.level = string(line), record.Fatal
		return goHead
	case goPrintedStack(line):
		j.head = string(line)
		return goFirstFrame
	case bytes.Contains(line, []byte(": panic serving ")): // net/http recovers
		j.head = string(line)
		return goHead
	case hasPrefix(line, "runtime: "):
		j.head, j.level = string(line), record.Fatal
		return goPreamble
	case string(line) == goRule:
		return raceHead
	}
	return nil
}

func goHeadline(line []byte) bool {
	for _, prefix := range [...]string{"panic: ", "fatal error: ", "SIGQUIT: quit", "SIGABRT: abort",
		"SIGSEGV: segmentation violation", "SIGBUS: bus error", "SIGILL: illegal instruction",
		"SIGFPE: floating-point exception", "SIGTRAP: trace trap", "unexpected fault address "} {
		if hasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// goGoroutine: "goroutine 7 [running]:", "goroutine 0 gp=0x5c3e20 m=0 mp=0x5c4240 [idle]:".
func goGoroutine(line []byte) bool { return hasPrefix(line, "goroutine ") && hasSuffix(line, "]:") }

// goPrintedStack: the same behind a text of the program's own, which prints debug.Stack.
func goPrintedStack(line []byte) bool {
	return hasSuffix(line, "]:") && bytes.Contains(line, []byte("goroutine "))
}

// goPreamble: the runtime explains itself before the "fatal error" line.
func goPreamble(j *joiner, line []byte) state {
	if goHeadline(line) {
		j.head = string(line)
		return goHead
	}
	if hasPrefix(line, "runtime: ") || indented(line) {
		return goPreamble
	}
	return nil
}

// goHead: between the headline and the first goroutine, which proves it.
func goHead(j *joiner, line []byte) state {
	switch {
	case goGoroutine(line), string(line) == "runtime stack:":
		j.keep = true
		return goStack
	case len(line) == 0, line[0] == '\t', hasPrefix(line, "[signal "), hasPrefix(line, "PC=0x"),
		hasPrefix(line, "runtime: "), hasPrefix(line, "fatal error: "), hasPrefix(line, "panic: "),
		hasPrefix(line, "signal arrived during"), goRegister(line):
		return goHead
	}
	return nil
}

// goFirstFrame: a line like a goroutine's proves nothing until a function follows.
func goFirstFrame(j *joiner, line []byte) state {
	if goFunction(line) {
		j.keep = true
		return goStack
	}
	return nil
}

func goStack(j *joiner, line []byte) state {
	switch {
	case len(line) == 0:
		return goStack
	case line[0] == '\t', goGoroutine(line), goFunction(line), goRegister(line),
		hasPrefix(line, "created by "), hasPrefix(line, "[originating from goroutine "),
		hasSuffix(line, "frames elided..."), string(line) == "runtime stack:",
		hasPrefix(line, "panic during panic"), hasPrefix(line, "goroutine running on other thread"):
		j.keep = true
		return goStack
	case hasPrefix(line, "exit status "): // go run's own last word
		j.keep, j.over = true, true
		return goStack
	}
	return nil
}

// goFunction: "main.(*T).f(0x1, {0x2, 0x3})", "panic({0x47b5c0?, 0x4c1230?})", "main.g[...](...)".
func goFunction(line []byte) bool {
	i := bytes.IndexByte(line, '(')
	return i > 0 && line[len(line)-1] == ')' && bytes.IndexByte(line[:i], ' ') < 0
}

// goRegister: "rax    0x0", "lr 0x47a3c5".
func goRegister(line []byte) bool {
	name, value, ok := bytes.Cut(line, []byte(" "))
	return ok && len(name) >= 2 && len(name) <= 6 && hasPrefix(bytes.TrimLeft(value, " "), "0x")
}

func raceHead(j *joiner, line []byte) state {
	if string(line) != goRace {
		return nil
	}
	j.head, j.keep = goRace, true
	return raceLine
}

func raceLine(j *joiner, line []byte) state {
	switch {
	case string(line) == goRule:
		j.keep, j.over = true, true
		return raceLine
	case len(line) == 0:
		return raceLine
	case indented(line), hasSuffix(line, ":"):
		j.keep = true
		return raceLine
	}
	return nil
}
