package logfile

import (
	"fmt"
	"slices"
	"time"
)

// Source is the position in a stream (I8): everything of it up to Seq is dealt
// with. A stream that was made anew has another Created, and its seqs say nothing
// about those of the old one.
//
// Its way through a store: each Commit states, beside the bytes and the runs, how
// far it took the stream. After Open and after Resume, Store.Source is where to
// read on, at Seq + 1: it has gone back together with the files and the table
// (I6). The zero value means from the start; it also comes when the journal was
// lost. And Store.Synced is how far the stream may be purged.
type Source struct {
	Stream  string
	Created time.Time // kept to the nanosecond, in UTC
	Seq     uint64
	// Time is when the message Seq was stored. A broker that lost the end of a
	// stream to damage gives the same seqs again, in a stream of the same Created:
	// the time tells them apart.
	Time time.Time
}

// Commit is what one checkpoint states besides the appended bytes. All values
// are absolute.
type Commit struct {
	Runs   []RunDelta // nothing of the slice is kept
	Source *Source    // nil: as before; not kept
}

// Commit writes what was appended since the last Commit, with one write per
// file, or one for each piece that was lent and for what stands between them,
// then the checkpoint, and then calls done(nil) (I5). Files that are due
// are rotated before they are written.
//
// done is called exactly once for each Commit, in the order of the calls. If
// FSYNC is always, for the store or for any of its files, it is called from a
// goroutine of the store, and Commit returns as soon as the bytes are written;
// it then waits only while 64 commits are under way. Otherwise done is called
// before Commit returns. done must not block and must not call the Store.
//
// An error means that nothing of this commit counts. From then on the store
// takes no commit: what was appended is discarded, and each further Commit,
// those already under way included, ends in ErrRolledBack, because it builds on
// seqs that are not in the files. The caller acknowledges none of them, calls
// Resume, and replaces its whole table by the one that Resume returns; what the
// publishers then resend fills in.
func (s *Store) Commit(c Commit, done func(error)) {
	if err := s.usable(); err != nil {
		if err != ErrClosed {
			s.reportOutage(err)
			err = fmt.Errorf("%w: %w", ErrRolledBack, err)
		}
		s.Discard()
		s.tell(done, err)
		return
	}
	if err := s.write(); err != nil {
		err = s.fail(err)
		s.Discard()
		s.tell(done, err)
		return
	}
	p := &pending{checkpoint: s.state(c), sync: s.strictest(), done: done}
	s.release()
	if s.syncer.piped {
		s.syncer.submit(p)
	} else if p.checkpoint == nil {
		done(nil)
	} else if err := s.append(p.checkpoint, false); err != nil {
		done(s.fail(err))
	} else {
		s.committed()
		done(nil)
	}
	s.noteResumed()
}

// committed counts, from whichever goroutine commits.
func (s *Store) committed() { s.stats.commits.Add(1) }

// tell calls done with an error, after those of the commits under way.
func (s *Store) tell(done func(error), err error) {
	if s.syncer.piped && !s.closed {
		s.syncer.submit(&pending{err: err, done: done})
		return
	}
	done(err)
}

// write writes what waits for the touched files: first what is there, then what is still being made.
func (s *Store) write() error {
	now := s.opts.Clock()
	if !slices.ContainsFunc(s.touched, (*File).followed) {
		return s.writeFiles(s.touched, now)
	}
	var there, following []*File
	for _, f := range s.touched {
		if f.followed() {
			following = append(following, f)
		} else {
			there = append(there, f)
		}
	}
	if err := s.writeFiles(there, now); err != nil {
		return err
	}
	for i, f := range following {
		if f.arrive(); f.waiting.size == 0 {
			continue // nothing came of it
		}
		if err := s.writeFiles(following[i:i+1], now); err != nil {
			return err
		}
	}
	return nil
}

// writeFiles brings files into place and writes what waits for them.
func (s *Store) writeFiles(files []*File, now time.Time) error {
	var begun []*File
	for _, f := range files {
		if !f.known {
			if err := f.attach(); err != nil {
				return fmt.Errorf("open %s: %w", f.path, err)
			}
		}
		if f.due(f.waiting.size, now) {
			if err := f.rotate(); err != nil {
				return err
			}
		}
		if !f.known {
			begun = append(begun, f)
		}
	}
	if err := s.register(begun); err != nil {
		return err
	}
	for _, f := range files {
		if err := f.ready(); err != nil {
			return err
		}
		if err := f.write(); err != nil {
			return err
		}
	}
	return nil
}

// ready makes sure that the file is open, is what the journal says, and is
// where its name leads.
func (f *File) ready() error {
	var err error
	if f.h == nil {
		err = f.attach()
	} else {
		err = f.examine()
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", f.path, err)
	}
	if f.known {
		return nil
	}
	return f.store.register([]*File{f})
}

// state is the checkpoint of a commit whose bytes are written; nil if nothing
// has changed.
func (s *Store) state(c Commit) *checkpoint {
	if len(c.Runs) == 0 && c.Source == nil && len(s.touched) == 0 {
		return nil
	}
	p := &checkpoint{runs: make([]runState, len(c.Runs)), files: make([]fileState, len(s.touched))}
	for i := range c.Runs {
		p.runs[i] = runState{id: c.Runs[i].ID, Run: c.Runs[i].Run}
	}
	for i, f := range s.touched {
		p.files[i] = f.st
	}
	if c.Source != nil {
		source := *c.Source
		p.source = &source
	}
	return p
}

// strictest reports whether a file that was touched, or the store if none was,
// wants its bytes on the disk before the acknowledgement.
func (s *Store) strictest() bool {
	for _, f := range s.touched {
		if f.policy.mode == modeAlways {
			return true
		}
	}
	return len(s.touched) == 0 && s.opts.FSync.mode == modeAlways
}

// release gives the buffers back.
func (s *Store) release() {
	for i, f := range s.touched {
		f.arrive() // whoever makes lines has the piece that they are made of, until it is asked
		s.buffers.give(f.waiting.copied)
		clear(f.waiting.lent)
		f.waiting = gathered{lent: f.waiting.lent[:0]}
		s.touched[i] = nil
	}
	s.touched = s.touched[:0]
}

// Discard forgets what was appended since the last Commit.
func (s *Store) Discard() { s.release() }
