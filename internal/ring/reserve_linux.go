package ring

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reserve makes the file size bytes long, with blocks behind all of them.
func reserve(f *os.File, size int64) error {
	for {
		switch err := unix.Fallocate(int(f.Fd()), 0, 0, size); {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return zero(f, size)
		default:
			return os.NewSyscallError("fallocate", err)
		}
	}
}
