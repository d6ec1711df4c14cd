//go:build unix

package harness

import (
	"encoding/json"
	"os"
)

// A TraceSpec says which system calls of a traced role count, and what is done to one of them.
//
// Why not strace: its when=N counts for each thread by itself, and a Go program's writer wanders between threads, so that "the
// fifth write of the process" cannot be said. Here all threads share one count, and a run with At 0 lists the calls that the
// following runs go through one by one.
type TraceSpec struct {
	Under  []string // directories; a call counts when it concerns a file in or below one of them
	Calls  []string // names of system calls; empty: WriteClass
	At     int      // the number of the call that is acted upon, from 1; 0: only count
	Act    Act
	Errno  int    // for Fail
	Delay  int    // for Delay, in milliseconds
	Always bool   // act upon this and every later one
	Report string // file for the calls that were counted, one JSON object on each line; "" for none
}

// An Act is what is done to a system call.
type Act string

const (
	KillBefore Act = "kill before" // kill -9; the call is not carried out
	KillAfter  Act = "kill after"  // kill -9; the call is carried out, but the program does not learn it
	Fail       Act = "fail"        // the call is not carried out and returns Errno
	Short      Act = "short"       // a write writes half
	Delay      Act = "delay"       // the call begins later
)

// WriteClass are the system calls that change what is on the disk. openat counts only when it is for writing or creates.
var WriteClass = []string{"write", "pwrite64", "writev", "pwritev", "fsync", "fdatasync", "sync_file_range", "ftruncate", "fallocate",
	"openat", "rename", "renameat", "renameat2", "link", "linkat", "symlinkat", "unlink", "unlinkat", "mkdir", "mkdirat", "copy_file_range", "sendfile", "splice"}

// A TracedCall is one system call that counted.
type TracedCall struct {
	N    int
	Name string
	Path string
	Size int64 // bytes, of a write
}

// Traced runs a role under the tracer, which passes on its input, its output and the way in which it ended. Killing the tracer
// kills the role.
func Traced(spec TraceSpec) Option {
	return func(c *Command) {
		inner, err := json.Marshal(c.Spec)
		if err != nil {
			inner = []byte("null")
		}
		c.Spec = traceJob{Trace: spec, Role: c.Role, Spec: inner}
		c.Role = "trace"
	}
}

type traceJob struct {
	Trace TraceSpec
	Role  string
	Spec  json.RawMessage
}

// ReadTrace reads what a traced role has left in TraceSpec.Report.
func ReadTrace(t T, path string) []TracedCall {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatalf("read trace: %v", err)
	}
	defer file.Close()
	var calls []TracedCall
	for d := json.NewDecoder(file); d.More(); {
		var c TracedCall
		if err := d.Decode(&c); err != nil {
			t.Fatalf("read trace: %v", err)
		}
		calls = append(calls, c)
	}
	return calls
}
