//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp returns true when the reader of a pipe has gone, also while nothing is written to it; false at
// once where f is no pipe.
func hungUp(f *os.File) bool {
	st, err := f.Stat()
	if err != nil || st.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(f.Fd())}} // errors and hang-ups are always told
	for {
		n, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.EAGAIN):
		case err != nil:
			return false
		case n > 0:
			return true
		}
	}
}
