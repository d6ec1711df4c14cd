package harness

import (
	"fmt"
	"os"
	"syscall"
)

// A Tmpfs is a small file system in memory, to be filled up.
type Tmpfs struct {
	t   T
	Dir string
}

// MountTmpfs mounts a file system of so many bytes. It needs root.
func MountTmpfs(t T, size int) *Tmpfs {
	t.Helper()
	return MountTmpfsAt(t, t.TempDir(), size)
}

// MountTmpfsAt mounts it on a directory that is there.
func MountTmpfsAt(t T, dir string, size int) *Tmpfs {
	t.Helper()
	fs := &Tmpfs{t: t, Dir: dir}
	if err := syscall.Mount("tmpfs", fs.Dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatalf("mount tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(fs.Dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", fs.Dir, err)
		}
	})
	return fs
}

// Resize gives the file system another size.
func (fs *Tmpfs) Resize(size int) {
	fs.t.Helper()
	fs.remount(0, fmt.Sprintf("size=%d", size))
}

// ReadOnly remounts the file system read-only or writable.
func (fs *Tmpfs) ReadOnly(readOnly bool) {
	fs.t.Helper()
	if readOnly {
		fs.remount(syscall.MS_RDONLY, "")
	} else {
		fs.remount(0, "")
	}
}

func (fs *Tmpfs) remount(flags uintptr, options string) {
	fs.t.Helper()
	if err := syscall.Mount("tmpfs", fs.Dir, "tmpfs", syscall.MS_REMOUNT|flags, options); err != nil {
		fs.t.Fatalf("remount %s: %v", fs.Dir, err)
	}
}

// CanMount says why MountTmpfs does not work here; nil when it does.
func CanMount() error {
	if os.Getuid() != 0 {
		return fmt.Errorf("mounting a file system needs root")
	}
	// In a container root may lack the right.
	dir, err := os.MkdirTemp("", "mount-")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=65536"); err != nil {
		return fmt.Errorf("mounting a file system: %w", err)
	}
	return syscall.Unmount(dir, 0)
}
