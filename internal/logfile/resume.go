package logfile

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
)

// Resume brings everything back to the last checkpoint after a failed commit
// (I7): descriptors that have failed are closed, files are opened anew and cut
// to the checkpoint, what was appended is discarded. It waits for the commits
// under way; the done of each has been called when it returns. It waits for a
// sync by interval that is under way too, and none begins before it returns:
// otherwise one that fails would find fault with the descriptors of before.
//
// It returns the table of that checkpoint, which replaces the caller's whole
// table. An error means that the files are out of reach still: nothing is
// committed, and Resume is to be called again later. If nothing has failed, it
// only returns the table.
func (s *Store) Resume() (map[string]Run, error) {
	if s.closed {
		return nil, ErrClosed
	}
	s.Discard()
	s.syncer.pause()
	defer s.syncer.goOn()
	if err := s.usable(); err != nil {
		s.broken = err // until the end of this is reached
		s.reportOutage(err)
		if err := s.repair(); err != nil {
			return nil, fmt.Errorf("resume: %w", err)
		}
		s.broken = nil
	}
	return s.Runs(), nil
}

func (s *Store) repair() error {
	failed, lostEntries := s.syncer.reset()
	s.unsure = s.unsure || failed
	if lostEntries {
		s.journal.failed = errRewrite
	}
	// The journal first: it must never state more than the files hold. They may be
	// out of reach, and stay so, where it is not.
	if s.main.moved() == nil {
		if err := s.journal.restore(s.syncer.wanted()); err != nil {
			return err
		}
	}
	if err := s.regainFolders(); err != nil {
		return err
	}
	// And once more, for a folder that was begun anew.
	if err := s.journal.restore(s.syncer.wanted()); err != nil {
		return err
	}
	s.syncer.recorded(s.journal, false)
	for _, f := range s.inOrder() {
		if err := f.restore(); err != nil {
			return err
		}
	}
	if s.unsure {
		if err := s.rewriteUnsynced(); err != nil {
			return err
		}
		s.unsure = false
	}
	return s.resync()
}

// restore brings one file to its checkpoint, through a new descriptor.
func (f *File) restore() error {
	s := f.store
	st, known := s.journal.state.files[f.st.path]
	if !f.suspect && !s.unsure && f.known && f.st == st && (f.h == nil || f.h.clean()) {
		return nil // not part of what has failed
	}
	f.letGo()
	f.retired = nil
	if known {
		if err := f.settle(st); err != nil {
			return err
		}
	} else {
		// Never registered, so nothing was ever written to it.
		f.st = f.absent(max(f.st.generation, 1))
		f.known = false
	}
	if !f.st.absent { // otherwise it is made when there is something to write
		if err := f.attach(); err != nil {
			return err
		}
		f.touch()
	}
	f.suspect = false
	return nil
}

// resync has everything synced that is committed and not known to be on the
// disk, whoever wrote it.
func (s *Store) resync() error {
	for _, u := range s.journal.unsynced() {
		dir, name := s.location(u.path)
		d, err := s.folderAt(dir, false)
		if err != nil {
			continue // out of reach
		}
		at, err := locate(d, name, &u.fileState)
		if err != nil || at.fit != fits {
			continue // reported
		}
		if err := s.syncSoon(d, at.name); err != nil {
			return err
		}
	}
	return nil
}

// syncSoon has a file synced of which it is not known what is on the disk.
func (s *Store) syncSoon(d *folder, name string) error {
	f, err := d.dir.Open(name, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	h := newHandle(f, d.join(name))
	h.written++
	policy := s.opts.FSync
	if policy.mode == modeNever {
		policy = Policy{} // the file's own is another
	}
	s.syncer.mark(h, policy)
	h.release()
	return nil
}

// rewriteUnsynced is for a sync by interval that failed: what was acknowledged
// since the last good one can be read, but the kernel may have given up writing
// it to the disk, and a further fsync would say nothing of it. Written again, it
// is dirty again, and can be synced again.
func (s *Store) rewriteUnsynced() error {
	for _, st := range s.journal.unsynced() {
		if err := s.rewrite(st); err != nil {
			return err
		}
	}
	return nil
}

// unsynced is what is committed and not known to be on the disk, by file.
func (j *journal) unsynced() []unsynced {
	var out []unsynced
	add := func(st fileState) {
		u := unsynced{fileState: st}
		if safe, ok := j.durable.files[st.path]; ok && safe.generation == st.generation {
			u.from = safe.length
		}
		// Of a retired one it may be that it was cut off, and that is not on
		// the disk.
		if !st.unsynced && (st.retired || u.from < st.length) {
			out = append(out, u)
		}
	}
	for _, st := range j.state.files {
		add(st)
	}
	for _, st := range j.state.retired {
		add(st)
	}
	slices.SortFunc(out, func(a, b unsynced) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.generation, b.generation))
	})
	return out
}

type unsynced struct {
	fileState
	from int64 // up to here it is on the disk
}

func (s *Store) rewrite(u unsynced) error {
	dir, name := s.location(u.path)
	d, err := s.folderAt(dir, false)
	if err != nil {
		return err
	}
	at, err := locate(d, name, &u.fileState)
	if err != nil || at.fit != fits {
		return err // what does not fit, has been reported
	}
	h, err := d.dir.Open(at.name, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("write %s again: %w", at.name, err)
	}
	defer h.Close()
	p := make([]byte, 1<<20)
	for from := u.from; from < u.length; {
		n, err := h.ReadAt(p[:min(int64(len(p)), u.length-from)], from)
		if n == 0 {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("write %s again: %w", at.name, err)
		}
		if _, err := h.WriteAt(p[:n], from); err != nil {
			return fmt.Errorf("write %s again: %w", at.name, err)
		}
		from += int64(n)
	}
	if err := h.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", at.name, err)
	}
	return nil
}
