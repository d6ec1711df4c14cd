package natsconn

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// A quietConn reads and writes without telling Go's scheduler of the system calls. They never block, since Go keeps its sockets
// in non-blocking mode and waits for them in the network poller; so there is nothing that the scheduler would have to do.
//
// It matters because of the monitor thread (sysmon in the runtime's proc.go, Go 1.26). It sleeps while nothing runs, the
// first system call that the scheduler hears of wakes it up, and then it looks around every 20 µs, at least fifty times. For a
// process that sends a record now and then, and sleeps in between, that is more than the work itself.
//
// What the monitor is there for, it must still do for the program: see [WakeMonitor].
type quietConn struct {
	net.Conn
	raw syscall.RawConn
}

// quiet makes a TCP connection quiet.
func quiet(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	return &quietConn{Conn: c, raw: raw}
}

// maxQuiet is the longest write that is made quietly, in bytes: one of the longest messages by default, with what nats.go and its header
// add to the lines. While a system call runs that the scheduler does not know of, the garbage collector cannot stop its thread;
// copying so much to a socket takes about 0.2 ms.
const maxQuiet = 1<<20 + 4<<10

// Read implements net.Conn.
func (c *quietConn) Read(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	waited := c.raw.Read(func(fd uintptr) bool {
		n, err = quietly(syscall.SYS_READ, fd, b)
		return err != syscall.EAGAIN
	})
	switch {
	case waited != nil:
		return 0, waited // closed, or beyond the deadline
	case err != nil:
		return 0, c.failed("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (c *quietConn) Write(b []byte) (n int, err error) {
	if len(b) > maxQuiet {
		return c.Conn.Write(b)
	}
	waited := c.raw.Write(func(fd uintptr) bool {
		for n < len(b) {
			var did int
			if did, err = quietly(syscall.SYS_WRITE, fd, b[n:]); err != nil {
				return err != syscall.EAGAIN
			}
			n += did
		}
		return true
	})
	switch {
	case waited != nil:
		return n, waited
	case err != nil:
		return n, c.failed("write", err)
	}
	return n, nil
}

// quietly is syscall.Read or syscall.Write without a word to the scheduler, again when a signal came first. b is not empty.
func quietly(call, fd uintptr, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// failed is the error that the connection itself would return.
func (c *quietConn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}

// WakeMonitor is to be called before a goroutine of the program is woken up because of what a quiet connection has read. Without
// a system call that the scheduler hears of, Go's monitor thread might sleep on, and then nobody would take the processor from
// that goroutine, however long it computes, nor look at the network or at timers while it does.
func WakeMonitor() { _, _, _ = syscall.Syscall(syscall.SYS_GETPID, 0, 0, 0) }
