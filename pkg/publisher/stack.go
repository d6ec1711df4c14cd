package publisher

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// maxFrames bounds a stack: of a deeper one the innermost frames are kept.
const maxFrames = 128

// callStack returns the stack of the caller's caller after skip more frames, in the shape of a Go
// traceback: the function, and on the next line, indented, file:line.
func callStack(skip int) string {
	pcs := make([]uintptr, maxFrames)
	n := runtime.Callers(skip+3, pcs)
	return formatStack(pcs[:n])
}

// panicStack, called while a deferred function has recovered, returns the stack of the panic: from
// the place where it began.
func panicStack() string {
	pcs := make([]uintptr, maxFrames)
	n := runtime.Callers(2, pcs)
	pcs = pcs[:n]
	for i, pc := range pcs {
		if functionName(pc) != "runtime.gopanic" {
			continue
		}
		// A signal or a failed check stands between the panic and the place that it points at.
		from := i + 1
		for from < n && strings.HasPrefix(functionName(pcs[from]), "runtime.") {
			from++
		}
		return formatStack(pcs[from:])
	}
	return formatStack(pcs)
}

func functionName(pc uintptr) string {
	if f := runtime.FuncForPC(pc - 1); f != nil {
		return f.Name()
	}
	return ""
}

func formatStack(pcs []uintptr) string {
	if len(pcs) == 0 {
		return ""
	}
	var b strings.Builder
	frames := runtime.CallersFrames(pcs)
	for {
		f, more := frames.Next()
		if f.Function != "" && f.Function != "runtime.goexit" {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(f.Function)
			b.WriteString("\n\t")
			b.WriteString(f.File)
			b.WriteByte(':')
			b.WriteString(strconv.Itoa(f.Line))
		}
		if !more {
			return b.String()
		}
	}
}

// errorStack returns the stack that err brings along, or that of the caller's caller after skip
// more frames.
func errorStack(err error, skip int) string {
	var f fmt.Formatter
	if errors.As(err, &f) {
		if s := fmt.Sprintf("%+v", f); strings.Contains(s, "\n") {
			return s
		}
	}
	return callStack(skip + 1)
}
