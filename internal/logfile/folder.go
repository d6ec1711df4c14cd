package logfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// folder is a directory that log files are in. It is held open and locked, so
// that what is written lands in this directory and no other, and by no one else
// (I7).
type folder struct {
	path string // absolute
	fs   FS
	dir  Dir
	id   FileID
	// link: the path was a symbolic link when it was opened. That is how it was
	// set up and no attack; what it leads to must then stay the same.
	link  bool
	state Dir // .logbraid
	lock  io.Closer
	// lockID is the identity of the lock file.
	lockID FileID
	// lost is why the folder cannot be used; nil: it can.
	lost error
	// highest rotated number per file name, as listed when the folder was opened.
	highest map[string]uint64
	// leftover names files that a crash left half done, per file name.
	leftover map[string][]string
}

// openFolder opens and locks the directory at path. With create it is made.
func openFolder(f FS, path string, create bool) (*folder, error) {
	d := &folder{path: path, fs: f}
	if err := d.open(create); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *folder) open(create bool) error {
	dir, err := d.fs.OpenDir(d.path, create)
	if err != nil {
		return err
	}
	d.dir = dir
	entry, err := d.fs.Lstat(d.path)
	if err != nil {
		return err
	}
	d.link = entry.Mode&fs.ModeSymlink != 0
	info, err := d.dir.Stat()
	if err != nil {
		return err
	}
	d.id = info.ID
	if d.state, err = d.dir.OpenDir(stateDir); err != nil {
		return err
	}
	if d.lock, err = d.fs.Lock(filepath.Join(d.path, stateDir, lockName)); err != nil {
		return err
	}
	// The lock was taken by path. Is it the one in the directory that is open?
	held, err := d.state.Lstat(lockName)
	if err != nil {
		return err
	}
	d.lockID = held.ID
	if err := d.moved(); err != nil {
		return err
	}
	// A process that was killed may have renamed and made files without coming
	// to the sync. From here on their names are built upon.
	for _, dir := range []Dir{d.state, d.dir} {
		if err := dir.Sync(); err != nil {
			return fmt.Errorf("sync directory %s: %w", d.path, err)
		}
	}
	return d.list()
}

// list notes what rotated files there are. It is done once, for nobody else
// makes any.
func (d *folder) list() error {
	names, err := d.dir.List()
	if err != nil {
		return err
	}
	d.highest = map[string]uint64{}
	d.leftover = map[string][]string{}
	plain := map[rotated]bool{}
	for _, name := range names {
		if r, ok := parseRotated(name); ok && !r.temporary {
			d.highest[r.base] = max(d.highest[r.base], r.number)
			if r.extension == "" {
				plain[r] = true
			}
		}
	}
	// A compressed file beside the plain one: the crash came before the plain
	// one was removed, which is then the truth.
	for _, name := range names {
		r, ok := parseRotated(name)
		if !ok {
			continue
		}
		if r.temporary || r.extension != "" && plain[rotated{base: r.base, number: r.number}] {
			d.leftover[r.base] = append(d.leftover[r.base], name)
		}
	}
	return nil
}

// moved reports whether the path still leads to the directory that is open, and
// the lock in it is still the one that is held.
func (d *folder) moved() error {
	entry, err := d.fs.Lstat(d.path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("directory %s is gone: %w", d.path, ErrDirectoryLost)
		}
		return fmt.Errorf("look at directory %s: %w", d.path, err)
	}
	id := entry.ID
	if entry.Mode&fs.ModeSymlink != 0 {
		if !d.link {
			return fmt.Errorf("directory %s was replaced by a symbolic link: %w", d.path, ErrDirectoryLost)
		}
		target, err := d.fs.OpenDir(d.path, false)
		if err != nil {
			return fmt.Errorf("follow directory %s: %w", d.path, err)
		}
		info, err := target.Stat()
		target.Close()
		if err != nil {
			return fmt.Errorf("follow directory %s: %w", d.path, err)
		}
		id = info.ID
	} else if !entry.Mode.IsDir() {
		return fmt.Errorf("%s is no directory any more: %w", d.path, ErrDirectoryLost)
	}
	if id != d.id {
		return fmt.Errorf("directory %s was replaced by another: %w", d.path, ErrDirectoryLost)
	}
	held, err := d.state.Lstat(lockName)
	if errors.Is(err, fs.ErrNotExist) || err == nil && held.ID != d.lockID {
		return fmt.Errorf("lock file in %s was removed: %w", d.path, ErrDirectoryLost)
	}
	if err != nil {
		return fmt.Errorf("look at lock file in %s: %w", d.path, err)
	}
	return nil
}

// close lets go of the directory and its lock.
func (d *folder) close() {
	if d.lock != nil {
		_ = d.lock.Close()
	}
	if d.state != nil {
		_ = d.state.Close()
	}
	if d.dir != nil {
		_ = d.dir.Close()
	}
	d.lock, d.state, d.dir = nil, nil, nil
}

// join is the full path of a name, for people.
func (d *folder) join(name string) string { return filepath.Join(d.path, name) }
