package natsconn

import (
	"syscall"
	"unsafe"
)

const quietly = true

func readQuietly(fd uintptr, b []byte) (int, error)  { return unheard(syscall.SYS_READ, fd, b) }
func writeQuietly(fd uintptr, b []byte) (int, error) { return unheard(syscall.SYS_WRITE, fd, b) }

// unheard is syscall.Read or syscall.Write without a word to the scheduler. b is not empty.
func unheard(call, fd uintptr, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// WakeMonitor is to be called before a goroutine of the program is woken up because of what a quiet connection has read. Without
// a system call that the scheduler hears of, Go's monitor thread might sleep on, and then nobody would take the processor from
// that goroutine, however long it computes, nor look at the network or at timers while it does.
func WakeMonitor() { _, _, _ = syscall.Syscall(syscall.SYS_GETPID, 0, 0, 0) }
