package logfile

import (
	"container/list"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Store owns the log files of one directory, and those in other directories that
// it was given.
//
// One goroutine, the writer, calls its methods; Stats and Synced may be called
// from anywhere.
type Store struct {
	opts      Options // complete
	main      *folder
	folders   []*folder // main first
	settler   *settler
	syncer    *syncer
	writeback *writeback
	keeper    *keeper
	stats     counters

	// journal belongs to the syncer while commits are under way through it, and
	// to the writer otherwise: after drain.
	journal *journal

	// Of the writer.
	files   map[string]*File // by absolute path
	open    *list.List       // of *File with a handle, last written first
	touched []*File          // appended to since the last Commit
	buffers buffers
	// unsettled: files of the journal that could not be brought to their
	// checkpoint at start.
	unsettled map[string]bool
	broken    error // why nothing is committed until Resume
	unsure    bool  // a sync has failed, and what it was to sync may be lost
	// outage: it has been reported that commits fail; since is the number of
	// commits then.
	outage bool
	since  uint64
	swept  time.Time // when Check last looked after all rotated files
	looked uint64    // the last checkpoint that said something when Check last looked
	closed bool
}

// Run is what the collector knows of one run (I4).
type Run struct {
	// Subject is the subject that the run is bound to.
	Subject string
	// Last is the last committed seq; of these, Dropped were dropped by the
	// publisher and Lost never arrived. Excess were dropped, says the publisher,
	// but are in the files. So Last-Dropped-Lost+Excess were written.
	Last, Dropped, Lost, Excess uint64
	// Ended: the run's closing statement was committed.
	Ended bool
	// Rebuilt: the journal was lost and the numbers come from the log files.
	// Last is right as far as the files go. Dropped counts every seq that is not
	// in the files, whether the publisher dropped it or it was lost, so the
	// publisher's own figure is to be taken instead with the run's next batch.
	Rebuilt bool
}

// RunDelta is the new state of one run.
type RunDelta struct {
	ID string
	Run
}

// Runs is the table of the last commit, by run id. The map is the caller's. It
// waits for commits under way.
func (s *Store) Runs() map[string]Run {
	_ = s.drain()
	out := make(map[string]Run, len(s.journal.state.runs))
	for id, r := range s.journal.state.runs {
		out[id] = r.Run
	}
	return out
}

// Source is the position of the last commit. It waits for commits under way.
func (s *Store) Source() Source {
	_ = s.drain()
	return s.journal.state.source
}

// Synced is the position up to which everything is on the disk as far as the
// FSYNC policies ask for it: no crash and no power cut takes Source back behind
// it. So it is how far a stream may be purged; with FSYNC by interval it follows
// Source within the interval, without anyone calling.
//
//	if at := store.Synced(); at.Stream == name && at.Created.Equal(created) {
//		purge up to and including at.Seq, less what is kept for others
//	}
//
// The comparison is needed: after the stream was made anew, Synced is a position
// in the old one until the first sync of the new. With FSYNC never nothing is
// ever known to be on the disk and nothing is promised about power cuts, so it is
// the same as Source; what is in a file whose own policy is never, is not waited
// for either. It may be called from any goroutine, and waits for nothing.
func (s *Store) Synced() Source { return s.syncer.position() }

// Hasten has the next sync by interval begin now, if something waits for one. It
// may be called from any goroutine, and waits for nothing.
func (s *Store) Hasten() { s.syncer.hasten() }

// drain waits until no commit is under way: then the journal is the writer's.
// The error is the one that ended the commits, if one did.
func (s *Store) drain() error { return s.syncer.barrier(false) }

// quiet waits until no commit is under way, so that the journal is the writer's
// and stays so until the next one, and says why none can be made.
func (s *Store) quiet() error {
	if s.closed {
		return ErrClosed
	}
	_ = s.drain()
	return s.usable()
}

// usable says why nothing can be committed, or nil.
func (s *Store) usable() error {
	if s.closed {
		return ErrClosed
	}
	if s.broken != nil {
		return s.broken
	}
	return s.syncer.error()
}

// append writes a checkpoint; with sync, it is on the disk when append returns.
// Whoever owns the journal calls it.
func (s *Store) append(c *checkpoint, sync bool) error {
	if err := s.journal.append(c, s.syncer.settled(), sync); err != nil {
		return err
	}
	s.appended(false)
	return nil
}

// appended notes what the journal has come to. forced: everything is on the disk.
func (s *Store) appended(forced bool) {
	s.syncer.recorded(s.journal, forced)
	s.stats.runs.Store(int64(len(s.journal.state.runs)))
	s.stats.journal.Store(s.journal.sides[0].good)
	s.stats.compactions.Store(s.journal.compactions)
}

// fail notes that nothing is committed until Resume, and says so once.
func (s *Store) fail(err error) error {
	if s.broken == nil {
		s.broken = err
	}
	s.stats.failures.Add(1)
	s.reportOutage(err)
	return err
}

func (s *Store) reportOutage(err error) {
	if s.outage {
		return
	}
	s.outage = true
	s.since = s.stats.commits.Load()
	kind := Failed
	switch {
	case errors.Is(err, ErrDirectoryLost):
		kind = DirectoryLost
	case isFull(err):
		kind = Full
	}
	s.opts.Report(Event{Kind: kind, Path: s.main.path, Err: err})
}

// noteResumed says once that commits work again.
func (s *Store) noteResumed() {
	if s.outage && s.stats.commits.Load() > s.since {
		s.outage = false
		s.opts.Report(Event{Kind: Resumed, Path: s.main.path})
	}
}

// inOrder is the files by path: the same order in every run of a test.
func (s *Store) inOrder() []*File {
	out := make([]*File, 0, len(s.files))
	for _, f := range s.files {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *File) int { return strings.Compare(a.path, b.path) })
	return out
}

// folderAt is the folder of a directory, opened and locked if it is not yet.
func (s *Store) folderAt(path string, create bool) (*folder, error) {
	for _, d := range s.folders {
		if d.path == path {
			return d, d.lost
		}
	}
	// The same directory by another path?
	if dir, err := s.opts.FS.OpenDir(path, create); err == nil {
		info, err := dir.Stat()
		_ = dir.Close()
		if err != nil {
			return nil, fmt.Errorf("look at directory %s: %w", path, err)
		}
		for _, d := range s.folders {
			if info.ID.known() && d.id == info.ID {
				return d, d.lost
			}
		}
	}
	d, err := openFolder(s.opts.FS, path, create)
	if err != nil {
		return nil, err
	}
	s.folders = append(s.folders, d)
	return d, nil
}

// Close discards what is not committed, waits for commits under way, forces to
// the disk what its policy has not yet, and releases the locks. A second call
// does nothing.
func (s *Store) Close() error {
	if s.closed {
		return nil
	}
	s.Discard()
	_ = s.drain()
	var err error
	if s.broken == nil {
		err = s.finish()
	}
	if s.main.moved() == nil {
		// What was withdrawn is better not found at the next start. If it is all the
		// same, recovery looks at what it states.
		_ = s.journal.restore(s.syncer.wanted())
	}
	s.closed = true
	s.keeper.close()
	s.syncer.close()
	s.writeback.close()
	for _, f := range s.files {
		f.letGo()
	}
	s.journal.close()
	for _, d := range slices.Backward(s.folders) {
		d.close()
	}
	if err != nil {
		return fmt.Errorf("close log store: %w", err)
	}
	return nil
}

// finish brings to the disk what waits for it, and says so in the journal.
func (s *Store) finish() error {
	if s.journal.floor >= s.journal.content && s.syncer.idle() {
		return s.syncer.error()
	}
	if err := s.syncer.flush(); err != nil {
		return err
	}
	return s.append(&checkpoint{}, true)
}
