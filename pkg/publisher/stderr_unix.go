//go:build unix

package publisher

import (
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// stderr is standard error under a descriptor of its own. A Go program that
// writes to descriptor 1 or 2 after the reader has gone is ended by SIGPIPE (see
// os/signal); on any other the write fails and that is all. The reader of a
// worker is often its master: when that dies, the first thing that happens here is
// a message about a lost connection, and it must not be the worker's last.
var stderr = sync.OnceValue(func() io.Writer {
	fd, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return os.Stderr
	}
	return os.NewFile(uintptr(fd), "/dev/stderr")
})
