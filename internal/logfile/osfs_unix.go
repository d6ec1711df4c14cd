//go:build unix

package logfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func identity(fi fs.FileInfo) (FileID, uint64) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return FileID{}, 1
	}
	return FileID{Device: uint64(st.Dev), Inode: uint64(st.Ino)}, uint64(st.Nlink)
}

func syncDir(f *os.File) error { return f.Sync() }

// isFull reports whether err means that there is no room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
