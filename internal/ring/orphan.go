package ring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// ErrUnreadable comes from OpenOrphan and Peek for a file in which neither
// header is whole: nothing in it can be trusted.
var ErrUnreadable = errors.New("not a buffer file of this version, or both headers are damaged")

// Damage is what was wrong with a file and could not be undone.
type Damage struct {
	Header  bool   // a header, or numbers in it, were damaged, and had from the other or from the records
	Records uint64 // records that the file should hold and does not: they are lost
}

// Any reports whether there is any.
func (d Damage) Any() bool { return d.Header || d.Records > 0 }

// String is for messages.
func (d Damage) String() string {
	switch {
	case d.Records > 0 && d.Header:
		return fmt.Sprintf("header damaged, %d records damaged", d.Records)
	case d.Records > 0:
		return fmt.Sprintf("%d records damaged", d.Records)
	case d.Header:
		return "header damaged, all records whole"
	}
	return "none"
}

// Peek tells whose ring the file is, whether its owner lives or not.
func Peek(path string) (Info, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return Info{}, fmt.Errorf("open buffer file: %w", err)
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return Info{}, fmt.Errorf("read buffer file: %w", err)
	}
	info, _, err := readInfo(f, st.Size())
	if err != nil {
		return Info{}, fmt.Errorf("read buffer file %s: %w", path, err)
	}
	return info, nil
}

// readInfo finds a header that is whole: the one in front or, by the file's
// size, the one at the end. both reports whether they agree.
func readInfo(f io.ReaderAt, size int64) (info Info, both bool, err error) {
	page := make([]byte, pageSize)
	read := func(at int64) (Info, error) {
		clear(page)
		if at < 0 {
			return Info{}, ErrUnreadable
		}
		if _, err := f.ReadAt(page, at); err != nil && err != io.EOF {
			return Info{}, err
		}
		return decodeInfo(page)
	}
	front, errFront := read(0)
	if errFront == nil {
		back, errBack := read(int64(front.layout.end()))
		return front, errBack == nil && back == front, nil
	}
	back, errBack := read(size - pageSize)
	if errBack == nil && int64(back.layout.size()) == size {
		return back, false, nil
	}
	return Info{}, false, errFront
}

// OpenOrphan takes the file of an owner that is gone. It returns ErrOwned while
// the owner lives or somebody else drains it, fs.ErrNotExist when somebody has.
//
// The ring that it returns is a copy in memory; the file is never written, only
// locked, and removed in the end. So a drainer that dies in the middle leaves
// what it found, and the next one sends the same bytes under the same seqs,
// those that it adds included: the collector knows them (I4).
func OpenOrphan(path string) (*Ring, Damage, error) {
	f, err := os.OpenFile(path, os.O_RDWR|openFlags, 0)
	if err != nil {
		return nil, Damage{}, fmt.Errorf("open buffer file: %w", err)
	}
	r, damage, err := openOrphan(f, path)
	if err != nil {
		_ = f.Close()
		return nil, damage, err
	}
	return r, damage, nil
}

func openOrphan(f *os.File, path string) (*Ring, Damage, error) {
	if err := lock(f); err != nil {
		return nil, Damage{}, fmt.Errorf("lock buffer file: %w", err)
	}
	// Between open and lock another drainer may have removed it.
	if same, err := isAt(f, path); err != nil || !same {
		return nil, Damage{}, fmt.Errorf("open buffer file: %w", fs.ErrNotExist)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, Damage{}, fmt.Errorf("read buffer file: %w", err)
	}
	r, damage, err := load(f, st.Size())
	if err != nil {
		return nil, Damage{}, fmt.Errorf("read buffer file %s: %w", path, err)
	}
	r.file, r.path, r.modified = f, path, st.ModTime()
	return r, damage, nil
}

// Modified is when the orphan's file was last written: about when its owner died.
func (r *Ring) Modified() time.Time { return r.modified }

// load reads a whole file.
func load(f io.ReaderAt, size int64) (*Ring, Damage, error) {
	info, both, err := readInfo(f, size)
	if err != nil {
		return nil, Damage{}, err
	}
	r, err := newRingInMemory(info)
	if err != nil {
		return nil, Damage{}, err
	}
	n, err := f.ReadAt(r.mem, 0)
	if err != nil && err != io.EOF {
		return nil, Damage{}, errors.Join(err, r.Close())
	}
	damage := r.recover()
	damage.Header = damage.Header || !both || n < len(r.mem)
	return r, damage, nil
}
