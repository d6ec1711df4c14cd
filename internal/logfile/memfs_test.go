package logfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// disk is a file system in memory that remembers what has been synced. It can
// lose power: then every write and every change of a directory since the last
// sync of the file or directory may have happened or not, each on its own.
//
// Processes look at it through mounts. A mount counts the calls made through it
// and can make any of them fail, or be the last.
type disk struct {
	mu     sync.Mutex
	root   *node
	inodes uint64
	room   int64 // bytes that may still be written; negative: no limit
	locks  map[string]*mount
	now    time.Time
	cuts   int    // of power
	device uint64 // the number of the disk, for as long as there is power
}

// node is a file or directory.
type node struct {
	inode   uint64
	dir     bool
	link    string // symbolic link
	data    []byte
	links   int
	time    time.Time
	entries map[string]*node

	// What is on the disk for certain, and what came since.
	stable        []byte
	changes       []change
	stableEntries map[string]*node
	renames       []entryChange
}

// change is a write at an offset or, without data, a truncation.
type change struct {
	at       int64
	data     []byte
	truncate bool
}

// entryChange sets names; nil removes one.
type entryChange map[string]*node

func newDisk() *disk {
	d := &disk{room: -1, locks: map[string]*mount{}, now: time.Unix(1_800_000_000, 0), device: 1}
	d.root = d.newNode(true)
	return d
}

func (d *disk) newNode(dir bool) *node {
	d.inodes++
	n := &node{inode: d.inodes, dir: dir, time: d.now}
	if dir {
		n.links = 1
		n.entries = map[string]*node{}
		n.stableEntries = map[string]*node{}
	}
	return n
}

// mount gives a process its view of the disk.
func (d *disk) mount() *mount { return &mount{disk: d} }

// find follows a path; symbolic links are followed if follow is set.
func (d *disk) find(name string, follow bool) (*node, error) {
	n := d.root
	for _, part := range strings.Split(strings.Trim(path.Clean(name), "/"), "/") {
		if part == "" || part == "." {
			continue
		}
		next := n.entries[part]
		if next == nil {
			return nil, fs.ErrNotExist
		}
		if next.link != "" && follow {
			var err error
			if next, err = d.find(next.link, true); err != nil {
				return nil, err
			}
		}
		n = next
	}
	return n, nil
}

// set changes names in a directory.
func (n *node) set(c entryChange) {
	for name, to := range c {
		if old := n.entries[name]; old != nil {
			old.links--
		}
		if to == nil {
			delete(n.entries, name)
		} else {
			n.entries[name] = to
			to.links++
		}
	}
	n.renames = append(n.renames, c)
}

// losePower throws away an arbitrary part of what is not synced, and every
// process with it. When the power is back the disk may have another number.
func (d *disk) losePower(r *rand.Rand) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.locks)
	d.cuts++
	d.device += uint64(r.IntN(2))
	seen := map[*node]bool{}
	d.root.losePower(r, seen)
	for n := range seen {
		n.links = 0
	}
	d.root.links = 1
	for n := range seen {
		for _, e := range n.entries {
			e.links++
		}
	}
}

func (n *node) losePower(r *rand.Rand, seen map[*node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	if !n.dir {
		n.data = slices.Clone(n.stable)
		keep := r.IntN(4)
		for _, c := range n.changes {
			if keep == 0 || keep == 1 && r.IntN(2) == 0 {
				continue // lost
			}
			if keep == 2 && r.IntN(3) == 0 && len(c.data) > 0 {
				c.data = c.data[:r.IntN(len(c.data))] // torn
			}
			n.apply(c)
		}
		n.stable, n.changes = slices.Clone(n.data), nil
		return
	}
	entries := maps.Clone(n.stableEntries)
	// Most file systems keep the order of changes to a directory; some do not.
	// None does one before another of the same name.
	prefix, upTo := r.IntN(2) == 0, r.IntN(len(n.renames)+1)
	lost := map[string]bool{}
	for i, c := range n.renames {
		gone := prefix && i >= upTo || !prefix && r.IntN(2) == 0
		for name := range c {
			gone = gone || lost[name]
		}
		for name, to := range c {
			if gone {
				lost[name] = true
				continue
			}
			if to == nil {
				delete(entries, name)
			} else {
				entries[name] = to
			}
		}
	}
	n.entries, n.stableEntries, n.renames = entries, maps.Clone(entries), nil
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		entries[name].losePower(r, seen)
	}
}

func (n *node) apply(c change) { n.data = c.applied(n.data) }

func (c change) applied(data []byte) []byte {
	if c.truncate {
		if int64(len(data)) > c.at {
			return data[:c.at]
		}
		return append(data, make([]byte, c.at-int64(len(data)))...)
	}
	if gap := c.at - int64(len(data)); gap > 0 {
		data = append(data, make([]byte, gap)...)
	}
	copied := copy(data[c.at:], c.data)
	return append(data, c.data[copied:]...)
}

// mount is one process's view.
type mount struct {
	disk  *disk
	calls int
	// plan decides about each call, by its number from 1; nil: all succeed.
	plan func(n int, call, name string) outcome
	log  []string // of calls, while trace is set
	// trace keeps a log.
	trace bool
	dead  bool
	// syncing is called, without locks, at the beginning of each Sync of a file.
	syncing func(name string)
}

// set gives a plan to a mount in use.
func (m *mount) set(plan func(n int, call, name string) outcome) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.plan = plan
}

// outcome is what becomes of a call.
type outcome struct {
	err   error // the call fails with it, having done nothing
	part  bool  // a write is cut short: with err after half of it, without err as a short write
	dies  bool  // the process dies: before the call has done anything
	after bool  // with dies: after the call has done everything
}

var errDead = errors.New("the process is dead")

// kill ends the process: nothing that it does from now on has any effect.
func (m *mount) kill() {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.die()
}

func (m *mount) die() {
	m.dead = true
	for name, holder := range m.disk.locks {
		if holder == m {
			delete(m.disk.locks, name)
		}
	}
}

// call does one call under the disk's lock.
func (m *mount) call(what, name string, do func(o outcome) error) error {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	if m.dead {
		return errDead
	}
	m.calls++
	if m.trace {
		m.log = append(m.log, fmt.Sprintf("%4d %s %s", m.calls, what, name))
	}
	var o outcome
	if m.plan != nil {
		o = m.plan(m.calls, what, name)
	}
	if o.dies && !o.after && !o.part {
		m.die()
		return errDead
	}
	if o.err != nil && !(o.part && what == "write") {
		return &fs.PathError{Op: what, Path: name, Err: o.err}
	}
	if what != "write" {
		o.part = false
	}
	err := do(o)
	if o.dies {
		m.die()
		return errDead
	}
	if err != nil {
		return &fs.PathError{Op: what, Path: name, Err: err}
	}
	return nil
}

func (m *mount) OpenDir(name string, create bool) (Dir, error) {
	var out *memDir
	err := m.call("opendir", name, func(outcome) error {
		if create {
			n := m.disk.root
			for _, part := range strings.Split(strings.Trim(path.Clean(name), "/"), "/") {
				next := n.entries[part]
				if next == nil {
					next = m.disk.newNode(true)
					n.set(entryChange{part: next})
					n.stableEntries[part] = next
				}
				n = next
			}
		}
		n, err := m.disk.find(name, true)
		if err != nil {
			return err
		}
		if !n.dir {
			return syscall.ENOTDIR
		}
		out = &memDir{mount: m, node: n, path: name}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (m *mount) Lstat(name string) (info Info, err error) {
	err = m.call("lstat", name, func(outcome) error {
		parent, err := m.disk.find(path.Dir(name), true)
		if err != nil {
			return err
		}
		n := parent.entries[path.Base(name)]
		if n == nil {
			return fs.ErrNotExist
		}
		info = m.disk.info(n)
		return nil
	})
	return info, err
}

func (d *disk) info(n *node) Info {
	i := Info{Size: int64(len(n.data)), ID: FileID{d.device, n.inode}, Links: uint64(max(0, n.links)), ModTime: n.time, Mode: 0o640}
	switch {
	case n.dir:
		i.Mode |= fs.ModeDir
	case n.link != "":
		i.Mode |= fs.ModeSymlink
	}
	return i
}

func (m *mount) Lock(name string) (io.Closer, error) {
	var out io.Closer
	err := m.call("lock", name, func(outcome) error {
		if m.disk.locks[name] != nil {
			return &LockedError{Dir: path.Dir(path.Dir(name)), PID: 1}
		}
		parent, err := m.disk.find(path.Dir(name), true)
		if err != nil {
			return err
		}
		if parent.entries[path.Base(name)] == nil {
			parent.set(entryChange{path.Base(name): m.disk.newNode(false)})
		}
		m.disk.locks[name] = m
		out = closer(func() {
			m.disk.mu.Lock()
			defer m.disk.mu.Unlock()
			if m.disk.locks[name] == m {
				delete(m.disk.locks, name)
			}
		})
		return nil
	})
	return out, err
}

type closer func()

func (c closer) Close() error { c(); return nil }

// clone is a second disk with the same content, all of it synced.
func (d *disk) clone() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := newDisk()
	c.inodes, c.room, c.now, c.cuts, c.device = d.inodes, d.room, d.now, d.cuts, d.device
	c.root = d.root.clone(map[*node]*node{})
	return c
}

func (n *node) clone(done map[*node]*node) *node {
	if c := done[n]; c != nil {
		return c
	}
	c := &node{inode: n.inode, dir: n.dir, link: n.link, data: slices.Clone(n.data), stable: slices.Clone(n.data), links: n.links, time: n.time}
	done[n] = c
	if n.dir {
		c.entries = map[string]*node{}
		for name, e := range n.entries {
			c.entries[name] = e.clone(done)
		}
		c.stableEntries = maps.Clone(c.entries)
	}
	return c
}

// file is a file's node, for tests that play someone else.
func (d *disk) file(name string) *node {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.find(name, false)
	if err != nil {
		panic(fmt.Sprint(name, ": ", err))
	}
	return n
}

// remove and rename are someone else's.
func (d *disk) remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	parent, err := d.find(path.Dir(name), true)
	if err != nil {
		panic(err)
	}
	parent.set(entryChange{path.Base(name): nil})
}

func (d *disk) rename(from, to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	parent, err := d.find(path.Dir(from), true)
	if err != nil {
		panic(err)
	}
	parent.set(entryChange{path.Base(from): nil, path.Base(to): parent.entries[path.Base(from)]})
}
