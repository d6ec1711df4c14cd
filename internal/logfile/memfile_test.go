package logfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"syscall"
	"time"
)

type memDir struct {
	mount *mount
	node  *node
	path  string
}

func (d *memDir) Open(name string, flag int, _ fs.FileMode) (Handle, error) {
	var out *memHandle
	err := d.mount.call("open", path.Join(d.path, name), func(outcome) error {
		n := d.node.entries[name]
		switch {
		case n == nil && flag&os.O_CREATE == 0:
			return fs.ErrNotExist
		case n == nil && d.node.links == 0:
			return fs.ErrNotExist
		case n == nil:
			n = d.mount.disk.newNode(false)
			d.node.set(entryChange{name: n})
		case flag&os.O_EXCL != 0:
			return fs.ErrExist
		case n.dir || n.link != "":
			return errNotRegular
		}
		if flag&os.O_TRUNC != 0 && len(n.data) > 0 {
			c := change{truncate: true}
			n.apply(c)
			n.changes = append(n.changes, c)
		}
		out = &memHandle{mount: d.mount, node: n, path: path.Join(d.path, name), appends: flag&os.O_APPEND != 0}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (d *memDir) OpenDir(name string) (Dir, error) {
	var out *memDir
	err := d.mount.call("opendir", path.Join(d.path, name), func(outcome) error {
		n := d.node.entries[name]
		if n == nil {
			n = d.mount.disk.newNode(true)
			d.node.set(entryChange{name: n})
			d.node.stableEntries[name] = n
		}
		out = &memDir{mount: d.mount, node: n, path: path.Join(d.path, name)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (d *memDir) Stat() (info Info, err error) {
	err = d.mount.call("stat", d.path, func(outcome) error { info = d.mount.disk.info(d.node); return nil })
	return info, err
}

func (d *memDir) Lstat(name string) (info Info, err error) {
	err = d.mount.call("lstat", path.Join(d.path, name), func(outcome) error {
		n := d.node.entries[name]
		if n == nil {
			return fs.ErrNotExist
		}
		info = d.mount.disk.info(n)
		return nil
	})
	return info, err
}

func (d *memDir) List() (names []string, err error) {
	err = d.mount.call("list", d.path, func(outcome) error {
		names = slices.Sorted(maps.Keys(d.node.entries))
		return nil
	})
	return names, err
}

func (d *memDir) Rename(oldname, newname string) error {
	return d.mount.call("rename", path.Join(d.path, oldname), func(outcome) error {
		n := d.node.entries[oldname]
		if n == nil {
			return fs.ErrNotExist
		}
		d.node.set(entryChange{oldname: nil, newname: n})
		return nil
	})
}

func (d *memDir) Remove(name string) error {
	return d.mount.call("remove", path.Join(d.path, name), func(outcome) error {
		if d.node.entries[name] == nil {
			return fs.ErrNotExist
		}
		d.node.set(entryChange{name: nil})
		return nil
	})
}

func (d *memDir) SetTime(name string, t time.Time) error {
	return d.mount.call("settime", path.Join(d.path, name), func(outcome) error {
		n := d.node.entries[name]
		if n == nil {
			return fs.ErrNotExist
		}
		n.time = t
		return nil
	})
}

func (d *memDir) Sync() error {
	return d.mount.call("syncdir", d.path, func(outcome) error {
		d.node.stableEntries, d.node.renames = maps.Clone(d.node.entries), nil
		return nil
	})
}

func (d *memDir) Medium() string { return fmt.Sprint("mount ", d.mount.disk.cuts) }

func (d *memDir) Close() error { return nil }

type memHandle struct {
	mount   *mount
	node    *node
	path    string
	appends bool
	offset  int64
}

func (h *memHandle) Write(p []byte) (int, error) {
	at := &h.offset
	if h.appends {
		at = nil
	}
	return h.put(p, at)
}

func (h *memHandle) WriteAt(p []byte, off int64) (int, error) { return h.put(p, &off) }

// put writes at *at and moves it; nil: at the end.
func (h *memHandle) put(p []byte, at *int64) (n int, err error) {
	err = h.mount.call("write", h.path, func(o outcome) error {
		full := false
		n = len(p)
		if o.part {
			n /= 2
		}
		if room := h.mount.disk.room; room >= 0 && int64(n) > room {
			n, full = int(room), true
		}
		end := int64(len(h.node.data))
		if at == nil {
			at = &end
		}
		c := change{at: *at, data: slices.Clone(p[:n])}
		h.node.apply(c)
		h.node.changes = append(h.node.changes, c)
		h.node.time = h.mount.disk.now
		*at += int64(n)
		if h.mount.disk.room >= 0 {
			h.mount.disk.room -= int64(n)
		}
		if full {
			return syscall.ENOSPC
		}
		return o.err
	})
	return n, err
}

func (h *memHandle) ReadAt(p []byte, off int64) (n int, err error) {
	end := false
	err = h.mount.call("read", h.path, func(outcome) error {
		if off < int64(len(h.node.data)) {
			n = copy(p, h.node.data[off:])
		}
		end = n < len(p)
		return nil
	})
	if err == nil && end {
		err = io.EOF
	}
	return n, err
}

func (h *memHandle) Truncate(size int64) error {
	return h.mount.call("truncate", h.path, func(outcome) error {
		if freed := int64(len(h.node.data)) - size; freed > 0 && h.mount.disk.room >= 0 {
			h.mount.disk.room += freed
		}
		c := change{at: size, truncate: true}
		h.node.apply(c)
		h.node.changes = append(h.node.changes, c)
		return nil
	})
}

func (h *memHandle) Sync() error {
	if f := h.mount.syncing; f != nil {
		f(h.path)
	}
	err := h.mount.call("sync", h.path, func(outcome) error {
		for _, c := range h.node.changes {
			h.node.stable = c.applied(h.node.stable)
		}
		h.node.changes = nil
		return nil
	})
	if err != nil && !errors.Is(err, errDead) {
		// The kernel holds what it could not write for written: it can be read, and no
		// later sync brings it to the disk. A length is the file system's own.
		h.mount.disk.mu.Lock()
		h.node.changes = slices.DeleteFunc(h.node.changes, func(c change) bool { return !c.truncate })
		h.mount.disk.mu.Unlock()
	}
	return err
}

func (h *memHandle) Stat() (info Info, err error) {
	err = h.mount.call("stat", h.path, func(outcome) error { info = h.mount.disk.info(h.node); return nil })
	return info, err
}

func (h *memHandle) Close() error { return nil }
