package harness

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// CanTrace says why Traced does not work here; nil when it does.
func CanTrace() error { return nil }

// call tells how to find the file that a system call is about: in which argument a descriptor or a path stands, the directory
// descriptor that a relative path belongs to, and for a write how long it is.
type call struct {
	name string
	fd   int // argument number, -1: none
	dir  int
	path int
	size int
}

var calls = map[uint64]call{
	unix.SYS_WRITE:           {"write", 0, -1, -1, 2},
	unix.SYS_PWRITE64:        {"pwrite64", 0, -1, -1, 2},
	unix.SYS_WRITEV:          {"writev", 0, -1, -1, -1},
	unix.SYS_PWRITEV:         {"pwritev", 0, -1, -1, -1},
	unix.SYS_FSYNC:           {"fsync", 0, -1, -1, -1},
	unix.SYS_FDATASYNC:       {"fdatasync", 0, -1, -1, -1},
	unix.SYS_SYNC_FILE_RANGE: {"sync_file_range", 0, -1, -1, -1},
	unix.SYS_FTRUNCATE:       {"ftruncate", 0, -1, -1, -1},
	unix.SYS_FALLOCATE:       {"fallocate", 0, -1, -1, -1},
	unix.SYS_OPENAT:          {"openat", -1, 0, 1, -1},
	unix.SYS_RENAME:          {"rename", -1, -1, 0, -1},
	unix.SYS_RENAMEAT:        {"renameat", -1, 0, 1, -1},
	unix.SYS_RENAMEAT2:       {"renameat2", -1, 0, 1, -1},
	unix.SYS_LINK:            {"link", -1, -1, 0, -1},
	unix.SYS_LINKAT:          {"linkat", -1, 0, 1, -1},
	unix.SYS_SYMLINKAT:       {"symlinkat", -1, 1, 2, -1},
	unix.SYS_UNLINK:          {"unlink", -1, -1, 0, -1},
	unix.SYS_UNLINKAT:        {"unlinkat", -1, 0, 1, -1},
	unix.SYS_MKDIR:           {"mkdir", -1, -1, 0, -1},
	unix.SYS_MKDIRAT:         {"mkdirat", -1, 0, 1, -1},
	unix.SYS_COPY_FILE_RANGE: {"copy_file_range", 2, -1, -1, 4},
	unix.SYS_SENDFILE:        {"sendfile", 0, -1, -1, 3},
	unix.SYS_SPLICE:          {"splice", 2, -1, -1, 4},
}

// syscallStop is what PTRACE_O_TRACESYSGOOD makes of the stop signal at a system call.
const syscallStop = syscall.SIGTRAP | 0x80

// trace is the role of the tracer: it runs the job's role as its only child.
func trace(text string) error {
	var job traceJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return fmt.Errorf("read spec: %w", err)
	}
	tr := &tracer{spec: job.Trace, threads: map[int]*thread{}, counted: map[string]bool{}}
	if len(tr.spec.Calls) == 0 {
		tr.spec.Calls = WriteClass
	}
	for _, name := range tr.spec.Calls {
		tr.counted[name] = true
	}
	for i, dir := range tr.spec.Under {
		// What the kernel calls it: /proc knows no symbolic links.
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			tr.spec.Under[i] = real
		}
	}
	if tr.spec.Report != "" {
		file, err := os.Create(tr.spec.Report)
		if err != nil {
			return fmt.Errorf("create report: %w", err)
		}
		tr.report = json.NewEncoder(file)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own binary: %w", err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVariable+"="+job.Role, specVariable+"="+string(job.Spec))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}

	runtime.LockOSThread() // a tracee belongs to the thread that started it
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start traced role: %w", err)
	}
	end, err := tr.run(cmd.Process.Pid)
	if err != nil {
		syscall.Kill(cmd.Process.Pid, syscall.SIGKILL)
		return fmt.Errorf("trace: %w", err)
	}
	if end.Signaled() {
		syscall.Kill(os.Getpid(), end.Signal()) // end as the role did
		select {}
	}
	os.Exit(end.ExitStatus())
	return nil
}

type tracer struct {
	spec    TraceSpec
	counted map[string]bool
	threads map[int]*thread
	n       int
	report  *json.Encoder
	leader  int
}

// thread is one traced thread, between the entry of a system call and its exit.
type thread struct {
	inside  bool
	acting  Act
	restore uint64 // the third argument as it was before Short
}

func (tr *tracer) run(pid int) (syscall.WaitStatus, error) {
	tr.leader = pid
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &ws, 0, nil); err != nil {
		return ws, fmt.Errorf("wait for exec: %w", err)
	}
	options := syscall.PTRACE_O_TRACECLONE | syscall.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(pid, options); err != nil {
		return ws, fmt.Errorf("set options: %w", err)
	}
	tr.threads[pid] = &thread{}
	if err := syscall.PtraceSyscall(pid, 0); err != nil {
		return ws, fmt.Errorf("start: %w", err)
	}
	for {
		tid, err := syscall.Wait4(-1, &ws, syscall.WALL, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return ws, fmt.Errorf("wait: %w", err)
		}
		if ws.Exited() || ws.Signaled() {
			delete(tr.threads, tid)
			if tid == pid {
				return ws, nil
			}
			continue
		}
		if !ws.Stopped() {
			continue
		}
		// A thread may be gone at any moment, killed with its process: ESRCH then, and Wait4 tells the rest.
		if err := syscall.PtraceSyscall(tid, tr.stopped(tid, ws)); err != nil && err != syscall.ESRCH {
			return ws, fmt.Errorf("continue thread: %w", err)
		}
	}
}

// stopped deals with one stop and returns the signal to be delivered.
func (tr *tracer) stopped(tid int, ws syscall.WaitStatus) int {
	th, known := tr.threads[tid]
	if !known {
		th = &thread{}
		tr.threads[tid] = th
	}
	switch sig := ws.StopSignal(); {
	case sig == syscallStop:
		if th.inside = !th.inside; th.inside {
			tr.enter(tid, th)
		} else if th.acting != "" {
			tr.leave(tid, th)
		}
		return 0
	case sig == syscall.SIGTRAP: // clone, exec
		return 0
	case sig == syscall.SIGSTOP && !known: // how a new thread begins
		return 0
	default:
		return int(sig)
	}
}

func (tr *tracer) enter(tid int, th *thread) {
	var regs syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &regs) != nil {
		return
	}
	c, ok := calls[regs.Orig_rax]
	if !ok || !tr.counted[c.name] || c.name == "openat" && !opensForWriting(regs.Rdx) {
		return
	}
	args := [...]uint64{regs.Rdi, regs.Rsi, regs.Rdx, regs.R10, regs.R8, regs.R9}
	path := tr.file(tid, c, args)
	if !tr.under(path) {
		return
	}
	tr.n++
	if tr.report != nil {
		t := TracedCall{N: tr.n, Name: c.name, Path: path}
		if c.size >= 0 {
			t.Size = int64(args[c.size])
		}
		tr.report.Encode(t)
	}
	if tr.spec.At == 0 || tr.n < tr.spec.At || tr.n > tr.spec.At && !tr.spec.Always {
		return
	}
	switch tr.spec.Act {
	case KillBefore:
		syscall.Kill(tr.leader, syscall.SIGKILL)
	case KillAfter:
		th.acting = KillAfter
	case Fail:
		regs.Orig_rax = ^uint64(0) // no such system call: nothing is done
		th.acting = Fail
		syscall.PtraceSetRegs(tid, &regs)
	case Short:
		if c.name == "write" || c.name == "pwrite64" {
			th.acting, th.restore = Short, regs.Rdx
			regs.Rdx = max(regs.Rdx/2, 1)
			syscall.PtraceSetRegs(tid, &regs)
		}
	case Delay:
		// All threads wait with this one: what a stalled disk does to a process is slower than that, never faster.
		time.Sleep(time.Duration(tr.spec.Delay) * time.Millisecond)
	}
}

func (tr *tracer) leave(tid int, th *thread) {
	acting := th.acting
	th.acting = ""
	if acting == KillAfter {
		syscall.Kill(tr.leader, syscall.SIGKILL)
		return
	}
	var regs syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &regs) != nil {
		return
	}
	switch acting {
	case Fail:
		regs.Rax = uint64(-int64(tr.spec.Errno))
	case Short:
		regs.Rdx = th.restore
	}
	syscall.PtraceSetRegs(tid, &regs)
}

func opensForWriting(flags uint64) bool {
	return flags&(unix.O_WRONLY|unix.O_RDWR|unix.O_CREAT|unix.O_TRUNC) != 0
}

// file is the path that a call is about.
func (tr *tracer) file(tid int, c call, args [6]uint64) string {
	if c.fd >= 0 {
		return descriptor(tid, int32(args[c.fd]))
	}
	path := readString(tid, uintptr(args[c.path]))
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	base := fmt.Sprintf("/proc/%d/cwd", tid)
	if c.dir >= 0 && int32(args[c.dir]) != unix.AT_FDCWD {
		return filepath.Join(descriptor(tid, int32(args[c.dir])), path)
	}
	cwd, err := os.Readlink(base)
	if err != nil {
		return path
	}
	return filepath.Join(cwd, path)
}

func descriptor(tid int, fd int32) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, fd))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(path, " (deleted)")
}

func (tr *tracer) under(path string) bool {
	for _, dir := range tr.spec.Under {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}

// readString reads a C string out of the tracee's memory.
func readString(tid int, addr uintptr) string {
	var s []byte
	for len(s) < unix.PathMax {
		var word [8]byte
		n, err := syscall.PtracePeekData(tid, addr+uintptr(len(s)), word[:])
		if err != nil || n == 0 {
			return string(s)
		}
		for _, b := range word[:n] {
			if b == 0 {
				return string(s)
			}
			s = append(s, b)
		}
	}
	return string(s)
}
