package logfile

import (
	"container/list"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Open locks dir, which is made (0750) where it is missing, and recovers what is
// in it: every file of the journal is brought to its checkpoint (I6).
//
// Damage does not keep it from starting: it is reported, what is damaged is kept
// aside, and the store goes on. Errors are a *LockedError, ErrVersion, or a
// directory or journal that cannot be read or made.
func Open(dir string, o Options) (*Store, *Recovery, error) { return open(dir, o, false) }

func open(dir string, o Options, inline bool) (*Store, *Recovery, error) {
	begin := time.Now()
	o = o.complete()
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("open log directory: %w", err)
	}
	main, err := openMain(path, &o)
	if err != nil {
		return nil, nil, fmt.Errorf("open log directory %s: %w", dir, err)
	}
	s := newStore(main, o)
	r := &recovery{store: s, found: &Recovery{}}
	if err := r.run(); err != nil {
		for _, d := range s.folders {
			d.close()
		}
		if s.journal != nil {
			s.journal.close()
		}
		return nil, nil, fmt.Errorf("open log directory %s: %w", dir, err)
	}
	s.keeper = newKeeper(o, inline)
	s.syncer = newSyncer(s, inline)
	s.writeback = newWriteback(inline)
	if o.FSync.mode == modeAlways {
		s.syncer.pipeline()
	}
	if err := r.finish(); err != nil {
		_ = s.Close()
		return nil, nil, fmt.Errorf("open log directory %s: %w", dir, err)
	}
	s.settler.report = func(e Event) {
		if e.Kind != Truncated { // what Resume cuts off has just failed, and that was said
			o.Report(e)
		}
	}
	r.found.Took = time.Since(begin)
	return s, r.found, nil
}

// openMain waits for the lock as long as it may.
func openMain(path string, o *Options) (*folder, error) {
	const again = 10 * time.Millisecond
	for waited := time.Duration(0); ; waited += again {
		d, err := openFolder(o.FS, path, true)
		if !errors.Is(err, ErrLocked) || waited >= o.LockWait {
			return d, err
		}
		time.Sleep(again)
	}
}

func newStore(main *folder, o Options) *Store {
	s := &Store{
		opts:      o,
		main:      main,
		folders:   []*folder{main},
		files:     map[string]*File{},
		open:      list.New(),
		unsettled: map[string]bool{},
		swept:     o.Clock(),
	}
	s.settler = &settler{report: o.Report, now: func() int64 { return o.Clock().Unix() }}
	return s
}

// recovery is the work of Open.
type recovery struct {
	store   *Store
	history *history
	found   *Recovery
	changed []fileState // what the journal is to be told
	// damaged: the journal is to be written anew.
	damaged bool
}

func (r *recovery) report(e Event) {
	r.found.Events = append(r.found.Events, e)
	r.store.opts.Report(e)
}

// run reads the journal, chooses the checkpoint, and brings the files to it.
func (r *recovery) run() error {
	s := r.store
	s.settler.report = r.report
	h, err := readJournal(s.main.state)
	if err != nil {
		return err
	}
	r.history = h
	r.examineJournal()
	if !h.found {
		if err := r.rebuild(); err != nil {
			return err
		}
	}
	number := r.choose()
	s.journal = newJournal(s.main.state, s.opts, h, number)
	r.settle()
	r.found.Cut = s.settler.cut
	s.settler.keepCut = false
	rewrite := r.rewrite()
	if rewrite {
		s.journal.setMedium(s.main.dir.Medium())
	}
	return s.journal.open(rewrite)
}

// examineJournal reports what cannot be read, and keeps a damaged file aside.
func (r *recovery) examineJournal() {
	h := r.history
	cut := h.cut(r.sameMedium())
	for i := range h.sides {
		side := &h.sides[i]
		if !side.damaged() && cut[i] == "" {
			continue
		}
		r.damaged = true
		name := journalNames[i]
		e := Event{Kind: JournalDamaged, Path: r.store.main.join(filepath.Join(stateDir, name))}
		for _, b := range side.bad {
			e.Detail += fmt.Sprintf("bytes %d to %d are no entries; ", b.from, b.to)
		}
		if !side.header {
			e.Detail += "no header; "
		}
		if cut[i] != "" {
			e.Detail += cut[i] + "; "
		}
		e.Detail += fmt.Sprintf("%d entries can be read", len(side.entries))
		if !side.exists {
			r.report(e)
			continue
		}
		state := &folder{path: r.store.main.join(stateDir), dir: r.store.main.state}
		kept, err := copyWhole(state, name)
		if err != nil {
			e.Err = err
		} else {
			e.Kept = state.join(kept)
		}
		r.report(e)
	}
	if h.missing > 0 {
		r.store.settler.keepCut = true
		r.report(Event{Kind: JournalDamaged, Path: r.store.main.join(filepath.Join(stateDir, journalName)),
			Detail: fmt.Sprintf("at least %d entries are in neither copy; what they alone said is lost", h.missing)})
	}
	// The last entry of both is damaged: there was one more.
	if h.sides[0].damagedEnd() && h.sides[1].damagedEnd() {
		r.store.settler.keepCut = true
	}
}

// damagedEnd reports whether there is something behind the last good entry that
// may have been one.
func (s *scan) damagedEnd() bool { return !s.exists || s.torn > 0 || s.badEnd }

// copyWhole copies a file to NAME.damaged-N. It stays in its place until it is
// written anew, for a crash in between must not leave nothing.
func copyWhole(d *folder, name string) (string, error) {
	h, err := d.dir.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return "", err
	}
	return copyAside(d, name, h, 0, info.Size)
}

// rewrite reports whether the journal must be written anew, because the files
// differ, or are damaged or missing.
func (r *recovery) rewrite() bool {
	a, b := &r.history.sides[0], &r.history.sides[1]
	return r.damaged || !r.history.found || !a.exists || !b.exists || a.last() != b.last() ||
		a.end < int64(len(journalHeader)) || b.end < int64(len(journalHeader))
}

func (s *scan) last() uint64 {
	last := uint64(0)
	for _, c := range s.entries {
		last = max(last, c.number)
	}
	return last
}

// settle brings every file of the chosen checkpoint to its state, as far as its
// directory can be had.
func (r *recovery) settle() {
	s := r.store
	j := s.journal
	newest := j.state
	if j.number != r.history.newest {
		newest = r.history.at(r.history.newest)
	}
	for _, st := range j.state.retired {
		d, name, err := r.folder(&st)
		if err == nil {
			err = s.settler.retired(d, name, st)
		}
		if err != nil {
			r.report(Event{Kind: Failed, Path: st.path, Err: err})
		}
	}
	for _, path := range sortedKeys(j.state.files) {
		st := j.state.files[path]
		newer := FileID{}
		if n, ok := newest.files[path]; ok && n.generation != st.generation {
			newer = n.id
		}
		d, name, err := r.folder(&st)
		var settled []fileState
		if err == nil {
			settled, err = s.settler.active(d, name, st, newer)
		}
		if err != nil {
			s.unsettled[path] = true
			r.report(Event{Kind: Failed, Path: st.path, Err: err})
			continue
		}
		if len(settled) > 1 || settled[0] != st {
			r.changed = append(r.changed, settled...)
		}
	}
	r.withdraw()
	// What was begun after the chosen checkpoint was never committed.
	for _, path := range sortedKeys(newest.files) {
		if _, ok := j.state.files[path]; !ok {
			if err := r.empty(newest.files[path]); err != nil {
				r.report(Event{Kind: Failed, Path: path, Err: err})
			}
		}
	}
}

// withdraw keeps aside the generations that were begun after the chosen
// checkpoint and have been rotated since.
func (r *recovery) withdraw() {
	chosen := r.store.journal
	done := map[string]bool{}
	for _, c := range r.history.entries {
		if c.number <= chosen.number {
			continue
		}
		for _, st := range c.files {
			d, name, err := r.folder(&st)
			if err != nil || st.generation <= chosen.state.files[st.path].generation {
				continue
			}
			name = rotatedName(name, st.generation)
			if done[d.join(name)] {
				continue
			}
			done[d.join(name)] = true
			info, err := d.dir.Lstat(name)
			if err != nil || st.id.known() && !info.ID.fromBefore(st.id) {
				continue
			}
			kept, err := aside(d, name)
			r.report(Event{Kind: PowerCut, Path: d.join(name), Kept: d.join(kept), Found: info.Size, Err: err,
				Detail: "begun after the checkpoint that was gone back to"})
		}
	}
}

// empty takes everything out of a file that the chosen checkpoint does not have.
func (r *recovery) empty(st fileState) error {
	d, name, err := r.folder(&st)
	if err != nil {
		return err
	}
	info, err := d.dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode.IsRegular() || info.ID != st.id && !info.ID.fromBefore(st.id)) {
		return nil
	}
	if err != nil {
		return err
	}
	st.id, st.length, st.tail = info.ID, 0, tail{}
	if err := r.store.settler.cutOff(d, place{name: name, info: info}, &st, false); err != nil {
		return err
	}
	r.changed = append(r.changed, st)
	return nil
}

func (r *recovery) folder(st *fileState) (*folder, string, error) {
	dir, name := r.store.location(st.path)
	d, err := r.store.folderAt(dir, false)
	return d, name, err
}

// finish tells the journal what recovery changed, and has what was committed,
// but not synced, synced.
func (r *recovery) finish() error {
	s := r.store
	s.syncer.recorded(s.journal, false)
	s.stats.runs.Store(int64(len(s.journal.state.runs)))
	c := &checkpoint{files: r.changed}
	if medium := s.main.dir.Medium(); medium != s.journal.state.medium {
		c.medium = medium
	}
	unproven := r.unproven()
	if len(c.files) > 0 || c.medium != "" || s.journal.number != r.history.newest {
		if err := s.append(c, s.opts.FSync.mode != modeNever); err != nil {
			// A full disk, perhaps. Recovery would find the same again; until
			// Resume nothing is committed.
			_ = s.fail(err)
			for _, st := range r.changed {
				s.unsettled[st.path] = true
			}
		}
	}
	if unproven && s.broken == nil {
		if err := s.prove(); err != nil {
			s.unsure = true
			_ = s.fail(err)
		}
	}
	return s.resync()
}

// unproven reports whether the last checkpoint is an awaited one that may not be on
// the disk, or not with what it states.
func (r *recovery) unproven() bool {
	j := r.store.journal
	return slices.ContainsFunc(j.window, func(c *checkpoint) bool { return c.awaited })
}

// prove brings what is committed to the disk, before somebody is told that it is a
// resend. It is written again: if a sync of it has failed, in the process before,
// another one would say nothing.
func (s *Store) prove() error {
	if err := s.rewriteUnsynced(); err != nil {
		return err
	}
	if err := s.syncer.flush(); err != nil {
		return err
	}
	return s.append(&checkpoint{}, true)
}
