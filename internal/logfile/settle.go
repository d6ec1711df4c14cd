package logfile

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
)

// settler brings what is on the disk to what a checkpoint says (I6). It is used
// at start, and by Resume after a failure. Doing it twice, or again after it was
// interrupted anywhere, leads to the same end.
type settler struct {
	report func(Event)
	now    func() int64
	// keepCut: bytes that are cut off are kept aside. For a journal with missing
	// entries: what looks uncommitted may not be.
	keepCut bool
	cut     int64 // bytes cut off
}

// fit says how a file compares with a checkpoint.
type fit uint8

const (
	fits fit = iota
	shorter
	differs
	nowhere
)

// place is where a generation was found, and how it fits.
type place struct {
	name string
	info Info
	fit  fit
}

// locate finds the generation st, whose file was called name: under that name,
// under its rotated name, or, if someone else renamed it, anywhere in the
// directory. By identity first; where that fails (a restored backup has other
// inodes), by length and checksum; and then by the inode alone, for after a power
// cut, which takes the end of the file, the device may have another number too.
func locate(d *folder, name string, st *fileState) (place, error) {
	candidates := [2]place{{name: name}, {name: rotatedName(name, st.generation)}}
	for i := range candidates {
		c := &candidates[i]
		if err := c.look(d, st); err != nil {
			return place{}, err
		}
		if c.fit != nowhere && st.id.known() && c.info.ID == st.id {
			return *c, nil
		}
	}
	for _, c := range candidates {
		if c.fit == fits && st.length > 0 {
			return c, nil
		}
	}
	for _, c := range candidates {
		if c.fit != nowhere && c.info.ID.fromBefore(st.id) {
			return c, nil
		}
	}
	// Nothing is told by the content of an empty file. Where one should be
	// written next, any will do.
	if c := candidates[0]; c.fit == fits && c.info.Size == 0 && !st.retired {
		return c, nil
	}
	if st.id.known() && st.length > 0 {
		return search(d, st)
	}
	if c := candidates[0]; c.fit != nowhere && !c.info.ID.known() {
		return c, nil // no identities here: it is where it should be, and wrong
	}
	return place{fit: nowhere}, nil
}

// search looks for the generation under any name.
func search(d *folder, st *fileState) (place, error) {
	names, err := d.dir.List()
	if err != nil {
		return place{}, err
	}
	for _, name := range names {
		info, err := d.dir.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return place{}, err
		}
		if !info.ID.fromBefore(st.id) {
			continue
		}
		c := place{name: name}
		if err := c.look(d, st); err != nil {
			return place{}, err
		}
		if c.fit == fits {
			return c, nil
		}
	}
	return place{fit: nowhere}, nil
}

// look compares the file of a name with the checkpoint.
func (c *place) look(d *folder, st *fileState) error {
	info, err := d.dir.Lstat(c.name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode.IsRegular() {
		c.fit = nowhere
		return nil
	}
	if err != nil {
		return err
	}
	c.info = info
	if info.Size < st.length {
		c.fit = shorter
		return nil
	}
	if st.tail.length == 0 {
		c.fit = fits
		return nil
	}
	h, err := d.dir.Open(c.name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	same, err := endsIn(h, st.length, st.tail)
	if err != nil {
		return err
	}
	c.fit = fits
	if !same {
		c.fit = differs
	}
	return nil
}

// endsIn reports whether the bytes before length have the checksum of t.
func endsIn(h Handle, length int64, t tail) (bool, error) {
	var crc uint32
	p := make([]byte, min(int64(t.length), 256<<10))
	for at := length - int64(t.length); at < length; {
		n, err := h.ReadAt(p[:min(int64(len(p)), length-at)], at)
		if n == 0 {
			if err == nil || err == io.EOF {
				return false, nil
			}
			return false, err
		}
		crc = crc32.Update(crc, castagnoli, p[:n])
		at += int64(n)
	}
	return crc == t.crc, nil
}

// active brings the generation that a checkpoint says is being written into that
// state. It returns the states to go on from: the generation that is to be
// written next is the last of them, and a rotated one may come before it. Where
// they are not just st, they must get into the journal before anything is
// written.
//
// newer is the identity of a file of ours that may have taken the name since
// the checkpoint: what is in that one was never committed.
func (s *settler) active(d *folder, name string, st fileState, newer FileID) ([]fileState, error) {
	p, err := locate(d, name, &st)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", name, err)
	}
	path := d.join(name)
	var out []fileState
	switch {
	case p.fit == fits:
		if err := s.cutOff(d, p, &st, p.name != name); err != nil {
			return nil, err
		}
		st.id = p.info.ID
		if p.name == name {
			return []fileState{st}, nil
		}
		if p.name == rotatedName(name, st.generation) {
			if !st.unsynced && st.length > 0 {
				old := st
				old.retired = true
				out = append(out, old)
			}
		} else {
			s.report(Event{Kind: Renamed, Path: path, Kept: d.join(p.name), Expected: st.length, Found: st.length})
		}
	case p.fit == nowhere:
		if st.length > 0 {
			s.report(Event{Kind: Deleted, Path: path, Expected: st.length})
		}
	case p.name != name:
		s.report(Event{Kind: Damaged, Path: d.join(p.name), Expected: st.length, Found: p.info.Size, Detail: p.fit.sentence(&st)})
	case p.info.Size == 0:
		s.report(Event{Kind: Emptied, Path: path, Expected: st.length})
	default:
		kept, err := aside(d, name)
		if err != nil {
			return nil, err
		}
		s.report(Event{Kind: Damaged, Path: path, Kept: d.join(kept), Expected: st.length, Found: p.info.Size, Detail: p.fit.sentence(&st)})
	}
	next, err := s.next(d, name, st, newer)
	if err != nil {
		return nil, err
	}
	return append(out, next), nil
}

func (f fit) sentence(st *fileState) string {
	if f == shorter {
		return "committed bytes are missing at the end"
	}
	return fmt.Sprintf("the %d bytes before byte %d are not those that were committed", st.tail.length, st.length)
}

// next is the state of the generation after st, whose file no longer has the
// name.
func (s *settler) next(d *folder, name string, st fileState, newer FileID) (fileState, error) {
	n := fileState{
		absent:     true,
		path:       st.path,
		generation: max(st.generation, d.highest[name]) + 1,
		born:       s.now(),
		unsynced:   st.unsynced,
	}
	info, err := d.dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return st, fmt.Errorf("look at %s: %w", name, err)
	case info.Mode.IsRegular() && info.Size == 0:
		n.id, n.absent = info.ID, false
	case info.Mode.IsRegular() && info.ID.fromBefore(newer):
		n.id, n.absent = info.ID, false
		if err := s.cutOff(d, place{name: name, info: info}, &n, false); err != nil {
			return st, err
		}
	default:
		kept, err := aside(d, name)
		if err != nil {
			return st, err
		}
		s.report(Event{Kind: Damaged, Path: d.join(name), Kept: d.join(kept), Found: info.Size,
			Detail: "a file that is not in the journal was in its place"})
	}
	return n, nil
}

// retired checks a generation that was rotated, and finishes its rotation.
func (s *settler) retired(d *folder, name string, st fileState) error {
	p, err := locate(d, name, &st)
	if err != nil {
		return fmt.Errorf("look for %s: %w", rotatedName(name, st.generation), err)
	}
	path := d.join(rotatedName(name, st.generation))
	switch p.fit {
	case nowhere: // compressed, or removed by retention
	case fits:
		if err := s.cutOff(d, p, &st, true); err != nil {
			return err
		}
		if p.name == name {
			// The rename did not get to the disk.
			if err := d.dir.Rename(name, rotatedName(name, st.generation)); err != nil {
				return fmt.Errorf("rotate %s: %w", name, err)
			}
		}
	default:
		s.report(Event{Kind: Damaged, Path: path, Expected: st.length, Found: p.info.Size, Detail: p.fit.sentence(&st)})
	}
	return nil
}

// cutOff takes away what stands behind the committed bytes. A final generation
// is synced; one that goes on being written is synced before anything that is
// written next is acknowledged.
func (s *settler) cutOff(d *folder, p place, st *fileState, final bool) error {
	name, size := p.name, p.info.Size
	if size <= st.length {
		return nil
	}
	h, err := d.dir.Open(name, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer h.Close()
	e := Event{Kind: Truncated, Path: d.join(name), Expected: st.length, Found: size}
	if s.keepCut {
		kept, err := copyAside(d, name, h, st.length, size)
		if err != nil {
			return err
		}
		e.Kept = d.join(kept)
	}
	if err := h.Truncate(st.length); err != nil {
		return fmt.Errorf("truncate %s: %w", name, err)
	}
	if final && !st.unsynced {
		if err := h.Sync(); err != nil {
			return fmt.Errorf("sync %s: %w", name, err)
		}
	}
	s.cut += size - st.length
	s.report(e)
	return nil
}
