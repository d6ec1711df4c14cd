//go:build !unix

package logfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const openFlags = 0

// identity is not told by fs.FileInfo here: the store then goes by length and
// checksum.
func identity(fs.FileInfo) (FileID, uint64) { return FileID{}, 1 }

// syncDir does nothing: directories cannot be synced here.
func syncDir(*os.File) error { return nil }

// isFull reports whether err means that there is no room.
func isFull(err error) bool {
	const handleDiskFull, diskFull = syscall.Errno(39), syscall.Errno(112)
	return errors.Is(err, handleDiskFull) || errors.Is(err, diskFull)
}
