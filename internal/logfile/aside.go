package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
)

// aside renames what is damaged to NAME.damaged-N, so that nothing is ever
// thrown away, and returns the name.
func aside(d *folder, name string) (string, error) {
	kept, err := freeName(d.dir, name)
	if err != nil {
		return "", err
	}
	if err := d.dir.Rename(name, kept); err != nil {
		return "", fmt.Errorf("keep %s aside: %w", name, err)
	}
	if err := d.dir.Sync(); err != nil {
		return "", fmt.Errorf("keep %s aside: %w", name, err)
	}
	return kept, nil
}

// copyAside copies bytes from up to size of a file into NAME.damaged-N, on the
// disk when it returns.
func copyAside(d *folder, name string, h Handle, from, size int64) (string, error) {
	kept, err := freeName(d.dir, name)
	if err != nil {
		return "", err
	}
	if err := copyTo(d.dir, kept, io.NewSectionReader(h, from, size-from)); err != nil {
		return "", fmt.Errorf("keep the end of %s aside: %w", name, err)
	}
	return kept, nil
}

// copyTo makes a file of what r gives, whole or not at all.
func copyTo(dir Dir, name string, r io.Reader) error {
	out, err := dir.Open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{out}, r)
	if err == nil {
		err = out.Sync()
	}
	if e := out.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = dir.Sync()
	}
	if err != nil {
		_ = dir.Remove(name)
	}
	return err
}

func freeName(dir Dir, name string) (string, error) {
	for n := 1; ; n++ {
		kept := name + "." + damagedMark + strconv.Itoa(n)
		_, err := dir.Lstat(kept)
		if errors.Is(err, fs.ErrNotExist) {
			return kept, nil
		}
		if err != nil {
			return "", fmt.Errorf("keep %s aside: %w", name, err)
		}
	}
}

// lastLine is the offset behind the last newline before size, 0 if there is
// none.
func lastLine(h Handle, size int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for end := size; end > 0; {
		begin := max(0, end-int64(len(buf)))
		p := buf[:end-begin]
		if n, err := h.ReadAt(p, begin); n < len(p) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		if i := bytes.LastIndexByte(p, '\n'); i >= 0 {
			return begin + int64(i) + 1, nil
		}
		end = begin
	}
	return 0, nil
}

// readTail is the tail of a file of that length.
func readTail(h Handle, length int64) (tail, error) {
	p := make([]byte, min(length, shortTail))
	if n, err := h.ReadAt(p, length-int64(len(p))); n < len(p) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return tail{}, err
	}
	return tailOf(p), nil
}
