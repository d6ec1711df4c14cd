package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Rotation is a step of the commit protocol. The journal says: generation 7 of
// app.log has so many bytes. Where they are, under app.log or already under
// app.log.000007, follows from looking. So a crash at any point between
//
//	1. everything of the generation is committed
//	2. rename app.log to app.log.000007
//	3. make a new app.log; fsync of the directory
//	4. journal: generation 8 of app.log has no bytes
//	5. the first bytes are written to it
//
// leaves one reading, and recovery goes on from there.

// due reports whether the file must be rotated before more is written.
func (f *File) due(more int, now time.Time) bool {
	if f.st.length == 0 {
		f.st.born = now.Unix() // the first bytes come now
		return false
	}
	if f.opts.Rotate > 0 && more > 0 && f.st.length+int64(more) > f.opts.Rotate {
		return true
	}
	return f.overdue(now)
}

// overdue reports whether a boundary of Every lies between the file's beginning
// and now. A clock that was set back moves the beginning, so that neither a
// frozen nor a jumping clock makes it rotate without end, or no more.
func (f *File) overdue(now time.Time) bool {
	every := int64(f.opts.Every / time.Second)
	if every <= 0 {
		return false
	}
	if now.Unix() < f.st.born {
		f.st.born = now.Unix()
	}
	return now.Unix()/every > f.st.born/every
}

// rotate gives the generation its number and begins the next one, which is then
// to be registered.
func (f *File) rotate() error {
	s := f.store
	if err := s.drain(); err != nil {
		return err
	}
	// Has someone else just renamed it?
	entry, err := f.folder.dir.Lstat(f.name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && entry.ID != f.st.id {
		return f.replaced()
	}
	if err != nil {
		return fmt.Errorf("rotate %s: %w", f.path, err)
	}
	if err := f.freeNumber(); err != nil {
		return fmt.Errorf("rotate %s: %w", f.path, err)
	}
	waiting := f.h != nil && !f.h.clean()
	if waiting && f.policy.mode == modeAlways {
		// Not by a commit, for those are done: it was cut to a checkpoint.
		if err := s.syncer.flush(); err != nil {
			return err
		}
		waiting = false
	}
	old := f.st
	f.letGo()
	if err := f.folder.dir.Rename(f.name, rotatedName(f.name, old.generation)); err != nil {
		return fmt.Errorf("rotate %s: %w", f.path, err)
	}
	f.st = f.absent(old.generation + 1)
	f.known = false
	if waiting {
		old.retired = true
		f.retired = append(f.retired, old)
	}
	if err := f.attach(); err != nil {
		return fmt.Errorf("begin %s: %w", f.path, err)
	}
	s.stats.rotations.Add(1)
	return nil
}

// freeNumber makes sure that nothing has the name that the generation will get.
// The journal must know the number before the file has it.
func (f *File) freeNumber() error {
	number := f.st.generation
	for {
		free := true
		for _, c := range []Compression{NoCompression, Gzip, Zstd} {
			_, err := f.folder.dir.Lstat(rotatedName(f.name, number) + c.extension())
			if err == nil {
				free = false
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if free {
			break
		}
		number++
	}
	if number == f.st.generation && f.known {
		return nil
	}
	f.st.generation = number
	return f.store.register([]*File{f})
}

// register tells the journal of generations that are about to be written.
func (s *Store) register(files []*File) error {
	if len(files) == 0 {
		return nil
	}
	if err := s.drain(); err != nil {
		return err
	}
	c := &checkpoint{}
	sync := false
	for _, f := range files {
		c.files = append(c.files, f.retired...)
		c.files = append(c.files, f.st)
		sync = sync || f.policy.mode != modeNever
	}
	if sync {
		for _, d := range foldersOf(files) {
			if err := d.dir.Sync(); err != nil {
				return fmt.Errorf("sync directory %s: %w", d.path, err)
			}
		}
	}
	if err := s.append(c, sync); err != nil {
		return err
	}
	for _, f := range files {
		f.known = true
		f.retired = nil
		f.look()
		s.tidy(f)
	}
	return nil
}

func foldersOf(files []*File) []*folder {
	var out []*folder
	seen := map[*folder]bool{}
	for _, f := range files {
		if !seen[f.folder] {
			seen[f.folder] = true
			out = append(out, f.folder)
		}
	}
	return out
}

// Rotate rotates every file that is not empty. An error is as one of Commit:
// Resume must follow.
func (s *Store) Rotate() error {
	return s.rotateIf(func(f *File) bool { return f.st.length > 0 })
}

// rotateIf rotates the files of which due is true. Nothing may have been
// appended since the last Commit to the file that is rotated, or it follows into
// the next generation.
func (s *Store) rotateIf(due func(*File) bool) error {
	if err := s.usable(); err != nil {
		return err
	}
	var rotated []*File
	for _, f := range s.inOrder() {
		if !due(f) {
			continue
		}
		if err := f.rotate(); err != nil {
			return s.fail(err)
		}
		rotated = append(rotated, f)
	}
	if err := s.register(rotated); err != nil {
		return s.fail(err)
	}
	return nil
}
