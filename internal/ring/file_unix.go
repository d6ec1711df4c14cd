//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package ring

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/logbraid/logbraid/pkg/record"
)

// Supported tells whether Create can work on this system.
const Supported = true

// Create returns a ring in a new file at path, with size bytes for lines. All of
// the file's blocks are reserved, so that a disk that is full later never stops
// a log call, and the file is locked for as long as the process lives. It has
// its name only when it is complete: whoever finds it finds a ring.
func Create(path string, size int, id record.Identity, prefix string) (*Ring, error) {
	info, err := newInfo(size, id, prefix)
	if err != nil {
		return nil, fmt.Errorf("create buffer file: %w", err)
	}
	f, err := createLocked(path)
	if err != nil {
		return nil, fmt.Errorf("create buffer file: %w", err)
	}
	r, err := fill(f, info)
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		if r != nil {
			_ = r.unmap(r.mem)
		}
		_ = os.Remove(f.Name())
		_ = f.Close()
		if outOfSpace(err) {
			return nil, fmt.Errorf("create buffer file: %w: %d bytes in %s: %w", ErrNoSpace, info.layout.size(), path, err)
		}
		return nil, fmt.Errorf("create buffer file: %w", err)
	}
	r.path = path
	return r, nil
}

// createLocked makes a file that will have the path, locked from its first moment in which
// anybody could care: RemoveUnfinished takes what it can lock, and then this
// begins again, under another name, since that one may take its time to remove the first.
func createLocked(path string) (*os.File, error) {
	for i := range 100 {
		name := path + newSuffix
		if i > 0 {
			name = fmt.Sprintf("%s-%d%s%s", strings.TrimSuffix(path, Suffix), i, Suffix, newSuffix)
		}
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600) // and O_CLOEXEC
		if err != nil {
			return nil, err
		}
		err = lock(f)
		if err == nil {
			if same, err := isAt(f, name); err == nil && same {
				return f, nil
			}
		} else if !errors.Is(err, ErrOwned) {
			_ = os.Remove(name)
			_ = f.Close()
			return nil, err
		}
		_ = f.Close()
	}
	return nil, fmt.Errorf("%s is taken away as soon as it is made", path)
}

// fill reserves the file's blocks, maps it and writes an empty ring.
func fill(f *os.File, info Info) (*Ring, error) {
	size := info.layout.size()
	if size > uint64(maxInt) {
		return nil, fmt.Errorf("%w: %d bytes", ErrNoMemory, size)
	}
	if err := reserve(f, int64(size)); err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		err = os.NewSyscallError("mmap", err)
		if errors.Is(err, unix.ENOMEM) {
			err = fmt.Errorf("%w: %d bytes: %w", ErrNoMemory, size, err)
		}
		return nil, err
	}
	// Left to itself the kernel reads ahead, here too where there is nothing to read: a worker of a few lines then
	// holds all of its buffer in memory.
	_ = unix.Madvise(mem, unix.MADV_RANDOM) // advice
	r := newRing(mem, info)
	r.sums = true
	r.file, r.unmap = f, unix.Munmap
	r.indexes = paver{file: f, base: pageSize, size: uint64(len(r.index))}
	r.lines = paver{file: f, base: info.layout.data(), size: uint64(len(r.data))}
	return r, r.format()
}

// allocate takes memory from the system, and tells how it is given back.
func allocate(size int) (mem []byte, free func([]byte) error, err error) {
	mem, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return mem, unix.Munmap, nil
}

// lock takes the file for this process, or returns ErrOwned. The lock goes with
// the open file: a child that is executed does not inherit it, and the kernel
// releases it when the process is killed.
func lock(f *os.File) error {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrOwned
		default:
			return os.NewSyscallError("flock", err)
		}
	}
}

func outOfSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

// zero reserves blocks by writing them: for file systems that cannot do it otherwise.
func zero(f *os.File, size int64) error {
	page := make([]byte, 256<<10)
	for at := int64(0); at < size; at += int64(len(page)) {
		if _, err := f.WriteAt(page[:min(int64(len(page)), size-at)], at); err != nil {
			return err
		}
	}
	return nil
}

const openFlags = unix.O_NOFOLLOW
