package ring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/logbraid/logbraid/pkg/record"
)

const (
	// Suffix ends the name of a ring's file.
	Suffix = ".ring"

	newSuffix     = ".new"     // while it is made
	damagedSuffix = ".damaged" // when it was set aside
)

// FileName is the name of the file of a run, in the buffer directory. The worker
// is there for whoever looks; the run makes it unique, so a long name is cut.
func FileName(id record.Identity) string { return workerPrefix(id.Worker) + id.Run + Suffix }

// OfWorker reports whether a file of this name may be a run's of the worker. Who it is of for sure, [Peek] tells: there
// are workers of the same name in other apps, and long names that begin alike.
func OfWorker(name, worker string) bool { return strings.HasPrefix(name, workerPrefix(worker)) }

func workerPrefix(worker string) string {
	token := record.Token(worker)
	return token[:min(len(token), 128)] + "-"
}

// Close ends the use of the ring. A file is left in place, as an orphan, and its
// lock is released. Stats stays usable; the sender must have ended, and what Next
// returned is gone: the memory goes back to the system.
func (r *Ring) Close() error {
	r.turns.front <- struct{}{} // nobody looks at the tail without mu from here on
	defer func() { <-r.turns.front }()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.final != nil {
		return nil
	}
	s := r.statsLocked()
	r.final = &s
	r.sealed = true
	var errs []error
	if r.unmap != nil {
		errs = append(errs, r.unmap(r.mem))
	}
	if r.file != nil {
		errs = append(errs, r.file.Close())
	}
	r.mem, r.index, r.data = nil, nil, nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close buffer: %w", err)
	}
	return nil
}

// Remove deletes the file, if there is one, and closes the ring.
func (r *Ring) Remove() error {
	var err error
	if r.path != "" {
		// Still locked: nobody takes it for an orphan.
		if err = os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("remove buffer file: %w", err)
		} else {
			err = nil
		}
	}
	return errors.Join(err, r.Close())
}

// SetAside gives a damaged file a name under which nobody drains it again, and
// closes the ring. It returns the new name.
func (r *Ring) SetAside() (string, error) {
	name, err := SetAside(r.path)
	return name, errors.Join(err, r.Close())
}

// SetAside is for a file that cannot be opened as a ring.
func SetAside(path string) (string, error) {
	name := path + damagedSuffix
	if err := os.Rename(path, name); err != nil {
		return "", fmt.Errorf("set damaged buffer file aside: %w", err)
	}
	return name, nil
}

// RemoveUnfinished deletes the files in dir whose owner died while it made them.
func RemoveUnfinished(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read buffer directory: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), Suffix+newSuffix) || !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(dir, e.Name())
		f, err := os.OpenFile(path, os.O_RDWR|openFlags, 0)
		if err != nil {
			continue // gone, or not ours to open
		}
		if lock(f) == nil {
			if same, err := isAt(f, path); err == nil && same {
				errs = append(errs, os.Remove(path))
			}
		}
		_ = f.Close()
	}
	return errors.Join(errs...)
}

// isAt reports whether path still names the open file.
func isAt(f *os.File, path string) (bool, error) {
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	now, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return os.SameFile(st, now), nil
}
