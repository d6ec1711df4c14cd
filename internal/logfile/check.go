package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// Check is to be called once a second. It notices what others did to files and
// directories, rotates by time, and looks after what waits for a sync. The error
// is why nothing can be committed; Resume must follow.
func (s *Store) Check() error {
	if err := s.quiet(); err != nil {
		if err != ErrClosed {
			s.reportOutage(err)
		}
		return err
	}
	s.noteResumed()
	if err := s.inspect(); err != nil {
		return s.fail(err)
	}
	now := s.opts.Clock()
	if err := s.rotateIf(func(f *File) bool { return f.st.length > 0 && f.overdue(now) }); err != nil {
		return err
	}
	if s.syncer.inline {
		_ = s.syncer.background() // its error is found below
	}
	if err := s.markDurable(); err != nil {
		return s.fail(err)
	}
	if err := s.today(now); err != nil {
		return s.fail(err)
	}
	if now.Sub(s.swept).Abs() >= sweepEvery {
		s.swept = now
		for _, f := range s.inOrder() {
			s.tidy(f)
		}
	}
	return nil
}

// sweepEvery is how often retention by age is looked at, and housekeeping that
// failed is tried again.
const sweepEvery = 10 * time.Minute

// Reopen looks at every file as Check does, and opens each one anew: what others
// renamed is let go of (SIGHUP of logrotate and its kind). The error is as that
// of Check.
func (s *Store) Reopen() error {
	if err := s.usable(); err != nil {
		return err
	}
	// A file that is closed counts as synced.
	if err := s.syncer.flush(); err != nil {
		return s.fail(err)
	}
	for _, f := range s.files {
		f.letGo()
	}
	if err := s.inspect(); err != nil {
		return s.fail(err)
	}
	return nil
}

// inspect compares directories, journal and files with what they should be, and
// registers what has changed.
func (s *Store) inspect() error {
	for _, d := range s.folders {
		if err := d.moved(); err != nil {
			d.lost = err
			return err
		}
	}
	if err := s.inspectJournal(); err != nil {
		return err
	}
	var changed []*File
	for _, f := range s.inOrder() {
		if err := f.watch(); err != nil {
			return fmt.Errorf("look at %s: %w", f.path, err)
		}
		if !f.known && f.st.length > 0 {
			changed = append(changed, f)
		}
	}
	return s.register(changed)
}

// watch notices whether the name still leads to what was written.
func (f *File) watch() error {
	if f.st.absent {
		return nil
	}
	info, err := f.folder.dir.Lstat(f.name)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && info.ID != f.st.id:
		return f.replaced()
	case err != nil:
		return err
	case info.Size == f.st.length:
		f.look()
		return nil
	case f.h == nil:
		return f.attach()
	}
	return f.changed(info.Size)
}

// inspectJournal makes the journal anew if someone removed it.
func (s *Store) inspectJournal() error {
	missing := false
	for i := range s.journal.sides {
		side := &s.journal.sides[i]
		info, err := s.main.state.Lstat(side.name)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.ID != side.id {
			missing = true
		} else if err != nil {
			return fmt.Errorf("look at journal: %w", err)
		}
	}
	if !missing {
		return nil
	}
	if err := s.drain(); err != nil {
		return err
	}
	s.opts.Report(Event{Kind: JournalDamaged, Path: s.main.join(filepath.Join(stateDir, journalName)),
		Detail: "removed by someone else while it was in use; written anew"})
	s.journal.failed = errRewrite
	if err := s.journal.restore(s.syncer.wanted()); err != nil {
		return err
	}
	s.syncer.recorded(s.journal, false)
	return nil
}

// markDurable tells the journal what the last sync reached, if no commit has
// since. With FSYNC always that is synced, too, lest a power cut leaves what follows
// and not it, and passes for one that took what was acknowledged; so it is done only
// where no commit has come for a second, for the next one says the same.
func (s *Store) markDurable() error {
	settled := s.syncer.settled()
	if s.journal.floor >= s.journal.content || settled < s.journal.content {
		return nil
	}
	if s.syncer.piped && s.looked != s.journal.content {
		s.looked = s.journal.content
		return nil
	}
	return s.append(&checkpoint{}, s.syncer.piped)
}

// regainFolders takes up directories that were lost. One that is back is used
// again. One that is gone, or has another in its place, is begun anew there;
// one that is a symbolic link now is not: that is for a person to decide.
func (s *Store) regainFolders() error {
	for _, d := range s.folders {
		moved := d.moved()
		if moved == nil {
			if d.lost != nil {
				d.lost = nil
				s.opts.Report(Event{Kind: DirectoryBack, Path: d.path})
			}
			continue
		}
		d.lost = moved
		if entry, err := s.opts.FS.Lstat(d.path); err == nil && !entry.Mode.IsDir() && !d.link {
			return moved
		}
		if err := s.beginFolder(d); err != nil {
			return err
		}
	}
	return nil
}

// beginFolder makes and locks a directory anew in the place of d. Its files
// begin empty; the table of runs stays.
func (s *Store) beginFolder(d *folder) error {
	// The old lock first: it may be the same directory, whose lock file is gone.
	d.close()
	fresh, err := openFolder(s.opts.FS, d.path, true)
	if err != nil {
		return fmt.Errorf("%w: %w", d.lost, err)
	}
	same := fresh.id.known() && fresh.id == d.id
	*d = *fresh
	j := s.journal
	if d == s.main {
		j.dir = d.state
		for i := range j.sides {
			j.sides[i].close()
		}
		j.setMedium(d.dir.Medium())
		j.failed = errRewrite
	}
	e := Event{Kind: DirectoryBack, Path: d.path}
	if !same {
		files, bytes := 0, int64(0)
		j.forget(func(st *fileState) bool {
			dir, _ := s.location(st.path)
			return dir == d.path
		}, func(st fileState) {
			files++
			bytes += st.length
		})
		e.Detail = fmt.Sprintf("begun anew: %d files with %d committed bytes are not there any more", files, bytes)
		if d == s.main {
			for _, name := range journalNames {
				if _, err := d.state.Lstat(name); err == nil {
					if _, err := aside(&folder{path: filepath.Join(d.path, stateDir), dir: d.state}, name); err != nil {
						return err
					}
				}
			}
		} else {
			j.failed = errRewrite
		}
	}
	for _, f := range s.files {
		if f.folder == d {
			f.letGo()
		}
	}
	s.opts.Report(e)
	return nil
}

// forget takes files out of the journal for good. It must be written anew then.
func (j *journal) forget(which func(*fileState) bool, tell func(fileState)) {
	for _, st := range j.state.files {
		if which(&st) {
			tell(st)
		}
	}
	for _, state := range []*state{j.state, j.durable} {
		for path, st := range state.files {
			if which(&st) {
				delete(state.files, path)
			}
		}
		state.retired = slices.DeleteFunc(state.retired, func(st fileState) bool { return which(&st) })
	}
	for _, c := range j.window {
		c.files = slices.DeleteFunc(c.files, func(st fileState) bool { return which(&st) })
	}
}
