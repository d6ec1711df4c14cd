package logfile

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// osFS is the operating system's file system. Every directory is an os.Root, so
// that no name leads out of it.
type osFS struct{}

// OS is the operating system's file system, for those who put something before
// it.
func OS() FS { return osFS{} }

func (osFS) OpenDir(path string, create bool) (Dir, error) {
	if create {
		if err := makeDir(path); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &osDir{root: root}, nil
}

// makeDir is os.MkdirAll, with what it makes on the disk when it returns.
func makeDir(path string) error {
	if fi, err := os.Stat(path); err == nil && fi.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o750); err != nil && !os.IsExist(err) {
		return err
	}
	f, err := os.Open(parent)
	if err != nil {
		return err
	}
	defer f.Close()
	return syncDir(f)
}

func (osFS) Lstat(path string) (Info, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func (osFS) Lock(path string) (io.Closer, error) { return lockFile(path) }

type osDir struct{ root *os.Root }

func (d *osDir) Open(name string, flag int, perm fs.FileMode) (Handle, error) {
	// O_NONBLOCK, so that a FIFO put in the file's place cannot hang us.
	f, err := d.root.OpenFile(name, flag|openFlags, perm)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	// os.Root follows links that stay inside; we follow none. Comparing the
	// entry with what was opened shows a link on every system.
	entry, err := d.root.Lstat(name)
	if err != nil {
		f.Close()
		return nil, err
	}
	if !entry.Mode().IsRegular() || !os.SameFile(opened, entry) {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: f.Name(), Err: errNotRegular}
	}
	return &osHandle{f}, nil
}

var errNotRegular = fmt.Errorf("not a regular file (a symbolic link is not followed): %w", syscall.EINVAL)

func (d *osDir) OpenDir(name string) (Dir, error) {
	if err := d.root.Mkdir(name, 0o700); err == nil {
		err = d.Sync()
		if err != nil {
			return nil, err
		}
	} else if !os.IsExist(err) {
		return nil, err
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &osDir{root: root}, nil
}

func (d *osDir) Stat() (Info, error) {
	fi, err := d.root.Stat(".")
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func (d *osDir) Lstat(name string) (Info, error) {
	fi, err := d.root.Lstat(name)
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func (d *osDir) List() ([]string, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (d *osDir) Rename(oldname, newname string) error { return d.root.Rename(oldname, newname) }
func (d *osDir) Remove(name string) error             { return d.root.Remove(name) }
func (d *osDir) Close() error                         { return d.root.Close() }

func (d *osDir) SetTime(name string, t time.Time) error { return d.root.Chtimes(name, t, t) }

func (d *osDir) Sync() error {
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return syncDir(f)
}

type osHandle struct{ *os.File }

func (h *osHandle) Stat() (Info, error) {
	fi, err := h.File.Stat()
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func infoOf(fi fs.FileInfo) Info {
	i := Info{Size: fi.Size(), Mode: fi.Mode(), ModTime: fi.ModTime()}
	i.ID, i.Links = identity(fi)
	return i
}
