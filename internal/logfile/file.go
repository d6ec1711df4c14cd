package logfile

import (
	"container/list"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// File is one log file: what is written now, under its name, and the generations
// that were rotated. Like the Store it belongs to the writer's goroutine.
type File struct {
	store  *Store
	folder *folder
	name   string // in the folder
	path   string // absolute
	opts   FileOptions
	policy Policy

	// st is the generation that is being written, and how much of it has been
	// written: ahead of the journal by the commits under way.
	st fileState
	// known: the journal has the generation. Nothing is written before that, so
	// that no crash can leave bytes in a file that nobody knows of.
	known bool
	// suspect: a write failed; how much of it was written is not known.
	suspect bool
	// retired are generations whose retirement the journal does not know of.
	retired []fileState

	h       *handle
	element *list.Element // in Store.open, while h is not nil
	waiting gathered      // appended since the last commit
	rolling rolling
	seen    sight
}

// sight is a moment at which the file was as it should be.
type sight struct {
	length int64
	time   time.Time
}

// Path is where the file is, absolute.
func (f *File) Path() string { return f.path }

// Append takes whole lines for the next Commit. It copies p and does no I/O.
func (f *File) Append(p []byte) {
	if len(p) == 0 {
		return
	}
	f.begun()
	if f.waiting.copied == nil {
		f.waiting.copied = f.store.buffers.take()
	}
	f.waiting.copied = append(f.waiting.copied, p...)
	f.waiting.size += len(p)
}

// Lend is Append for many lines that stay as they are until the next Commit or Discard returns: they are
// written from where they are. sum is their checksum, by record.Checksum, for whoever knows it; else nil.
func (f *File) Lend(p []byte, sum *uint32) {
	if len(p) == 0 {
		return
	}
	f.begun()
	f.waiting.lend(p, sum)
}

// Follow is Lend of lines that somebody is still making: the next Commit asks for them when it has written the other files. Nothing
// may be appended to the file behind them. lines is called once, also when nothing is committed; what it returns stays as it is
// until that Commit or Discard returns.
func (f *File) Follow(lines func() (p []byte, sum *uint32)) {
	f.begun()
	f.waiting.following = lines
}

// followed reports whether lines are still being made.
func (f *File) followed() bool { return f.waiting.following != nil }

// arrive takes what follows, if anything does.
func (f *File) arrive() {
	if !f.followed() {
		return
	}
	if p, sum := f.waiting.following(); len(p) > 0 {
		f.waiting.lend(p, sum)
	}
	f.waiting.following = nil
}

// begun has the next commit write the file.
func (f *File) begun() {
	if f.waiting.size == 0 && !f.followed() {
		f.store.touched = append(f.store.touched, f)
	}
}

// File gives the log file at path, relative to the store's directory or
// absolute; the directory is made (0750) and locked, the file is made (0640).
// Asking again for the same path gives the same File; its options must then be
// the same.
//
// A file that exists and is not in the journal is taken as it is: what is
// written goes behind its last whole line, and a torn last line is kept aside.
func (s *Store) File(path string, o FileOptions) (*File, error) {
	if s.closed {
		return nil, ErrClosed
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.main.path, path)
	}
	path = filepath.Clean(path)
	if f := s.files[path]; f != nil {
		if !f.opts.equal(&o) {
			return nil, fmt.Errorf("open log file %s: it is open with other options", path)
		}
		return f, nil
	}
	f := &File{store: s, name: filepath.Base(path), path: path, opts: o, policy: s.opts.FSync}
	if o.FSync != nil {
		f.policy = *o.FSync
	}
	if err := f.begin(); err != nil {
		f.letGo()
		return nil, fmt.Errorf("open log file %s: %w", path, err)
	}
	s.files[path] = f
	if f.policy.mode == modeAlways {
		s.syncer.pipeline()
	}
	s.tidy(f)
	return f, nil
}

// key is what a file is called in the journal. Inside the store's directory it
// is a relative path, so that the directory can be moved.
func (s *Store) key(path string) string {
	rel, err := filepath.Rel(s.main.path, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return path
	}
	return filepath.ToSlash(rel)
}

// location is where the file of a key is.
func (s *Store) location(key string) (dir, name string) {
	path := filepath.FromSlash(key)
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.main.path, path)
	}
	return filepath.Dir(path), filepath.Base(path)
}

// begin brings a new File to the state that the journal has for it.
func (f *File) begin() error {
	s := f.store
	if reservedName(f.name) || f.name == stateDir {
		return ErrReservedName
	}
	_ = s.drain()
	var err error
	if f.folder, err = s.folderAt(filepath.Dir(f.path), true); err != nil {
		return err
	}
	if err := f.folder.removeLeftover(f.name); err != nil {
		return err
	}
	key := s.key(f.path)
	st, known := s.journal.state.files[key]
	if !known {
		st = f.absent(f.folder.highest[f.name] + 1)
	}
	f.st, f.known = st, known
	if s.unsettled[key] {
		if err := f.settle(st); err != nil {
			return err
		}
		delete(s.unsettled, key)
	}
	f.st.unsynced = f.policy.mode == modeNever
	f.look()
	if err := f.attach(); err != nil {
		return err
	}
	f.touch()
	for _, other := range s.files {
		if other.folder == f.folder && f.st.id.known() && other.st.id == f.st.id {
			return fmt.Errorf("%s is the same file", other.path)
		}
	}
	return nil
}

// settle brings the file to a checkpoint.
func (f *File) settle(st fileState) error {
	out, err := f.store.settler.active(f.folder, f.name, st, FileID{})
	if err != nil {
		return err
	}
	last := len(out) - 1
	f.st, f.retired = out[last], out[:last]
	f.known = f.st == st
	f.look()
	for _, old := range f.retired {
		if err := f.store.syncSoon(f.folder, rotatedName(f.name, old.generation)); err != nil {
			return err
		}
	}
	return nil
}

// touch has the file synced as if it had been written: after a start or a
// failure it is not known what of it is on the disk, what was cut off included.
func (f *File) touch() {
	f.h.written++
	f.store.syncer.mark(f.h, f.policy)
}

// absent is the state of a generation that has no file yet.
func (f *File) absent(generation uint64) fileState {
	return fileState{
		path:       f.store.key(f.path),
		generation: generation,
		absent:     true,
		unsynced:   f.policy.mode == modeNever,
		born:       f.store.opts.Clock().Unix(),
	}
}

// attach opens the file, makes it where it is absent, and takes notice of what
// others did while it was closed.
func (f *File) attach() error {
	if f.h != nil {
		return nil
	}
	s := f.store
	if err := s.makeRoom(); err != nil {
		return err
	}
	h, err := f.folder.dir.Open(f.name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	f.h = newHandle(h, f.path)
	f.rolling = rolling{}
	f.element = s.open.PushFront(f)
	s.stats.open.Store(int64(s.open.Len()))
	info, err := h.Stat()
	if err != nil {
		return err
	}
	if f.st.absent {
		f.st.absent, f.st.id = false, info.ID
		f.known = false
		if info.Size > 0 {
			return f.adopt(info.Size)
		}
		return nil
	}
	if f.st.id.known() && info.ID != f.st.id {
		return f.replaced()
	}
	return f.compare(info)
}

// letGo closes the file for the writer. What is not synced yet, the syncer holds
// on to.
func (f *File) letGo() {
	if f.h == nil {
		return
	}
	f.h.release()
	f.h = nil
	f.store.open.Remove(f.element)
	f.store.stats.open.Store(int64(f.store.open.Len()))
}

// makeRoom closes files until one more may be open: the ones longest not
// written. What waits for a sync is synced first.
func (s *Store) makeRoom() error {
	for s.open.Len() >= s.opts.MaxOpen {
		f := s.open.Back().Value.(*File)
		if !f.h.clean() {
			if err := s.syncer.flush(); err != nil {
				return err
			}
		}
		f.letGo()
	}
	return nil
}

// compare holds the open file against what was written. That nobody else wrote
// to it or deleted it, is looked at before each commit's writes: then what we write
// stands where the journal says it does, and never in a file without a name. (Who
// writes to it in that very moment is found at the next look.)
func (f *File) compare(info Info) error {
	switch {
	case info.Links == 0:
		return f.replaced()
	case info.Size != f.st.length:
		return f.changed(info.Size)
	}
	return nil
}

// examine is compare for a file that has been open.
func (f *File) examine() error {
	info, err := f.h.Stat()
	if err != nil {
		return fmt.Errorf("look at %s: %w", f.path, err)
	}
	return f.compare(info)
}

// replaced begins a new generation because the name no longer leads to the one
// that was written.
func (f *File) replaced() error {
	s := f.store
	if err := s.drain(); err != nil {
		return err
	}
	s.opts.Report(f.whereTo())
	f.letGo()
	f.st = f.absent(f.st.generation + 1)
	f.known = false
	return f.attach()
}

// whereTo says what became of the generation that had the name.
func (f *File) whereTo() Event {
	e := Event{Kind: Deleted, Path: f.path, Expected: f.st.length}
	if !f.st.id.known() {
		return e
	}
	names, _ := f.folder.dir.List()
	for _, name := range names {
		if info, err := f.folder.dir.Lstat(name); err == nil && info.ID == f.st.id {
			e.Kind, e.Kept, e.Found = Renamed, f.folder.join(name), info.Size
			return e
		}
	}
	return e
}

// changed takes the file as someone else left it.
func (f *File) changed(size int64) error {
	s := f.store
	if err := s.drain(); err != nil {
		return err
	}
	e := Event{Kind: Appended, Path: f.path, Expected: f.st.length, Found: size}
	if size < f.st.length {
		// Whoever copied the file before cutting it (copytruncate) did so at
		// some time since the last look.
		e.Kind = Emptied
		e.Detail = fmt.Sprintf("%d bytes written since %s may be in no copy",
			f.st.length-min(f.seen.length, f.st.length), f.seen.time.UTC().Format(time.RFC3339Nano))
	}
	s.opts.Report(e)
	return f.adopt(size)
}

// adopt takes the content of the open file as committed, up to its last whole
// line. What stands behind that is kept aside.
func (f *File) adopt(size int64) error {
	length, err := lastLine(f.h, size)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	if length < size {
		kept, err := copyAside(f.folder, f.name, f.h, length, size)
		if err != nil {
			return err
		}
		if err := f.h.Truncate(length); err != nil {
			return fmt.Errorf("truncate %s: %w", f.path, err)
		}
		f.store.opts.Report(Event{Kind: Damaged, Path: f.path, Kept: f.folder.join(kept), Expected: length, Found: size,
			Detail: "the last line was torn"})
	}
	if f.st.tail, err = readTail(f.h, length); err != nil {
		return fmt.Errorf("read %s: %w", f.path, err)
	}
	f.st.length = length
	f.known = false
	f.look()
	return nil
}

// look notes that the file is as it should be.
func (f *File) look() { f.seen = sight{f.st.length, f.store.opts.Clock()} }

// write puts what waits into the file.
func (f *File) write() error {
	err := f.waiting.each(func(p []byte, _ *uint32) error {
		n, err := f.h.Write(p)
		if err == nil && n < len(p) {
			err = io.ErrShortWrite
		}
		return err
	})
	if err != nil {
		f.letGo() // never trusted again
		f.suspect = true
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	f.h.written++
	f.store.syncer.mark(f.h, f.policy)
	n := f.waiting.size
	f.st.length += int64(n)
	if f.policy.mode == modeNever {
		f.st.tail = f.waiting.tail(shortTail)
	} else {
		f.st.tail = f.waiting.tail(n)
	}
	f.store.stats.bytes.Add(uint64(n))
	f.store.open.MoveToFront(f.element)
	f.store.writeback.grew(f, int64(n))
	return nil
}

// removeLeftover removes what a crash left of the compression of a file.
func (d *folder) removeLeftover(name string) error {
	for _, left := range d.leftover[name] {
		if err := d.dir.Remove(left); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove unfinished %s: %w", left, err)
		}
	}
	delete(d.leftover, name)
	return nil
}
