package logfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

var journalNames = [2]string{journalName, journalName + ".copy"}

// compactAt is the size of the journal in bytes at which it is compacted, unless
// its snapshot alone is a quarter of that.
const compactAt = 4 << 20

// journal appends checkpoints and holds the state that they add up to. One
// goroutine at a time uses it: the writer, or with FSYNC always the syncer while
// commits are under way.
type journal struct {
	dir    Dir
	opts   Options // complete
	sides  [2]side
	buf    []byte
	failed error // why nothing may be appended before restore

	// state is what is committed, at the checkpoint number.
	state  *state
	number uint64
	// content is the last checkpoint that says something, other than how far
	// things are on the disk.
	content uint64
	next    uint64   // never used yet
	ended   []string // ended runs, the longest ended first
	// quiet are runs that have not ended, but may be forgotten, the longest quiet
	// first; sought: it is as of today.
	quiet  []string
	sought bool

	// durable is what is known to be on the disk (or is never synced anyway), at
	// the checkpoint floor, and window leads from there to state. A snapshot
	// contains no more than durable, so that after a power cut it is still
	// possible to go back to it.
	durable *state
	floor   uint64
	window  []*checkpoint

	step        int64 // compactAt
	limit       int64 // compact when a file is longer
	compactions uint64
}

// side is one of the two files.
type side struct {
	name string
	h    *handle // nil: to be restored
	good int64   // the length up to which the file holds what it should
	id   FileID  // of the file that h is
}

// newJournal takes over what recovery found, at a checkpoint.
func newJournal(dir Dir, o Options, h *history, number uint64) *journal {
	j := &journal{dir: dir, opts: o, step: compactAt, limit: compactAt}
	j.state = h.at(number)
	j.number, j.content = number, number
	j.next = max(h.highest, number) + 1
	j.floor = min(h.floor, number)
	j.durable = h.at(j.floor)
	for _, c := range h.entries {
		if c.number > j.floor && c.number <= number {
			j.window = append(j.window, c)
		}
	}
	for i := range j.sides {
		j.sides[i] = side{name: journalNames[i], good: h.sides[i].end}
	}
	for id, r := range j.state.runs {
		if r.Ended {
			j.ended = append(j.ended, id)
		}
	}
	slices.SortFunc(j.ended, func(a, b string) int {
		return cmp.Or(cmp.Compare(j.state.runs[a].changed, j.state.runs[b].changed), cmp.Compare(a, b))
	})
	return j
}

// append writes a checkpoint to both files and makes it the state. With sync, it is
// on the disk when append returns. settled is the number up to which everything
// else is, or selfSettled.
//
// After an error nothing has changed but what the files hold; restore must come
// before the next append.
func (j *journal) append(c *checkpoint, settled uint64, sync bool) error {
	if err := j.write(c, settled); err != nil {
		return err
	}
	if sync {
		if err := j.sync(); err != nil {
			return err
		}
	}
	j.accept(c)
	return nil
}

// write is the first part of append: the checkpoint gets its number, and is in both
// files. accept is the last; in between it may be withdrawn.
func (j *journal) write(c *checkpoint, settled uint64) error {
	if j.failed != nil {
		return j.failed
	}
	c.number, c.previous = j.next, j.number
	j.next++
	c.durable = max(min(settled, c.number), j.floor)
	for i := range c.runs {
		c.runs[i].changed = c.number
	}
	for i := range c.files {
		if c.files[i].retired {
			c.files[i].since = c.number
		}
	}
	for i := range c.days {
		c.days[i].number = c.number
	}
	c.evicted = j.evict(c)
	j.buf = appendEntry(j.buf[:0], c)
	for i := range j.sides {
		s := &j.sides[i]
		if err := s.write(j.buf); err != nil {
			j.failed = fmt.Errorf("write %s: %w", s.name, err)
			return j.failed
		}
	}
	return nil
}

// sync forces the first file to the disk. The copy is there for damage, not for
// power cuts. After an error, entries of before may be gone from the disk, too.
func (j *journal) sync() error {
	s := &j.sides[0]
	if err := s.h.Sync(); err != nil {
		j.failed = fmt.Errorf("sync %s: %w: %w", s.name, errRewrite, err)
		return j.failed
	}
	return nil
}

// withdraw has a written checkpoint cut off: what it states could not be forced to
// the disk.
func (j *journal) withdraw(err error) {
	if j.failed == nil {
		j.failed = err
	}
}

// selfSettled says that nothing of a checkpoint, or of those before it, waits for
// a sync.
const selfSettled = math.MaxUint64

func (s *side) write(p []byte) error {
	n, err := s.h.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return err
}

// accept makes a written checkpoint the state.
func (j *journal) accept(c *checkpoint) {
	for i := range j.sides {
		j.sides[i].good += int64(len(j.buf))
	}
	if len(c.evicted) > 0 {
		j.evicted(c.evicted)
	}
	if len(c.days) > 0 {
		j.sought = false
	}
	for i := range c.runs {
		r := &c.runs[i]
		if r.Ended && !j.state.runs[r.id].Ended {
			j.ended = append(j.ended, r.id)
		}
	}
	j.state.apply(c)
	j.number = c.number
	if len(c.runs)+len(c.files)+len(c.evicted) > 0 || c.source != nil {
		j.content = c.number
	}
	j.window = append(j.window, c)
	j.settle(c.durable)
	if j.sides[0].good > j.limit {
		j.shrink()
	}
}

// setMedium is for a journal that is about to be written anew.
func (j *journal) setMedium(medium string) {
	j.state.medium, j.durable.medium = medium, medium
}

// settle notes that checkpoints up to number are on the disk.
func (j *journal) settle(number uint64) {
	n := 0
	for n < len(j.window) && j.window[n].number <= number {
		j.durable.apply(j.window[n])
		j.floor = j.window[n].number
		n++
	}
	j.window = slices.Delete(j.window, 0, n)
	j.durable.forgetRetired(j.floor)
}

// open opens the files as recovery found them, and makes what is missing. Where
// that is not possible, append fails until restore succeeds.
func (j *journal) open(rewrite bool) error {
	if rewrite {
		if err := j.compact(); err == nil {
			return nil
		}
		// No room, most likely. What is there can still be appended to.
	}
	return j.reopen(j.opts.FSync.mode != modeNever)
}

// restore makes the journal usable after an error: what was written behind the
// last checkpoint is cut off, through descriptors that have not failed (I7). It
// must come before the files are cut, for a checkpoint must never state more
// than there is; with sync, not after a power cut either.
func (j *journal) restore(sync bool) error {
	if j.failed == nil {
		return nil
	}
	if !errors.Is(j.failed, errRewrite) && j.reopen(sync) == nil {
		j.failed = nil
		return nil
	}
	if err := j.compact(); err != nil {
		return err
	}
	j.failed = nil
	return nil
}

// errRewrite marks failures after which a file must be written anew.
var errRewrite = errors.New("journal must be written anew")

// reopen opens both files and cuts them to what is good.
func (j *journal) reopen(sync bool) error {
	for i := range j.sides {
		s := &j.sides[i]
		s.close()
		if err := j.reopenSide(s, sync); err != nil {
			j.failed = fmt.Errorf("reopen %s: %w: %w", s.name, errRewrite, err)
			return j.failed
		}
	}
	return nil
}

func (j *journal) reopenSide(s *side, sync bool) error {
	f, err := j.dir.Open(s.name, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	h := newHandle(f, s.name)
	info, err := h.Stat()
	switch {
	case err != nil:
	case s.good < int64(len(journalHeader)) || info.Size < s.good:
		err = fmt.Errorf("%d bytes long, should be %d: %w", info.Size, s.good, errRewrite)
	case info.Size > s.good:
		// Synced, for the files are cut next, and the cut-off checkpoint must
		// not come back after that.
		if err = h.Truncate(s.good); err == nil && sync {
			err = h.Sync()
		}
	}
	if err != nil {
		h.release()
		return err
	}
	s.h, s.id = h, info.ID
	return nil
}

// shrink compacts the journal when it has become long. That it fails is no
// reason to fail the checkpoint.
func (j *journal) shrink() {
	if err := j.compact(); err != nil {
		j.limit = j.sides[0].good + j.step
		j.opts.Report(Event{Kind: HousekeepingFailed, Path: journalName, Err: err})
	}
}

// compact writes both files anew, as short as possible: temporary name, fsync,
// rename, fsync of the directory.
func (j *journal) compact() error {
	data := []byte(journalHeader)
	data = appendEntry(data, j.durable.snapshot(j.floor, j.floor))
	snapshot := int64(len(data))
	for _, c := range j.window {
		data = appendEntry(data, c)
	}
	renamed := 0
	var err error
	for i := range j.sides {
		if err = j.replace(&j.sides[i], data); err != nil {
			err = fmt.Errorf("compact %s: %w", j.sides[i].name, err)
			break
		}
		renamed++
	}
	// Until this has succeeded, a power cut could bring back the old files
	// without what is appended to the new ones from here on.
	if renamed > 0 {
		if e := j.dir.Sync(); e != nil {
			err = fmt.Errorf("sync journal directory: %w: %w", errRewrite, e)
			j.failed = err
		}
	}
	if err != nil {
		return err
	}
	j.limit = max(j.step, 4*snapshot)
	j.compactions++
	return nil
}

func (j *journal) replace(s *side, data []byte) error {
	tmp := s.name + ".tmp"
	f, err := j.dir.Open(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	n := side{name: s.name, h: newHandle(f, s.name), good: int64(len(data))}
	err = n.write(data)
	if err == nil {
		err = n.h.Sync()
	}
	if err == nil {
		var info Info
		info, err = n.h.Stat()
		n.id = info.ID
	}
	if err == nil {
		if err = j.dir.Rename(tmp, s.name); err != nil {
			// Whether it has happened is not known.
			err = fmt.Errorf("%w: %w", errRewrite, err)
			j.failed = err
		}
	}
	if err != nil {
		n.close()
		_ = j.dir.Remove(tmp)
		return err
	}
	s.close()
	*s = n
	return nil
}

func (s *side) close() {
	if s.h != nil {
		s.h.release()
		s.h = nil
	}
}

func (j *journal) close() {
	for i := range j.sides {
		j.sides[i].close()
	}
}
