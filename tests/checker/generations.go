package checker

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Generations lists the files of a log in the order in which they were written: path.000001, path.000002.gz, ..., path.
// Files set aside as damaged are not among them.
func Generations(path string) ([]string, error) {
	all, err := filepath.Glob(escapeGlob(path) + ".*")
	if err != nil {
		return nil, fmt.Errorf("list generations of %s: %w", path, err)
	}
	type generation struct {
		number int
		name   string
	}
	var found []generation
	for _, name := range all {
		digits := strings.TrimPrefix(name, path+".")
		digits = strings.TrimSuffix(strings.TrimSuffix(digits, ".gz"), ".zst")
		number, err := strconv.Atoi(digits)
		if err != nil || len(digits) < 6 {
			continue
		}
		found = append(found, generation{number, name})
	}
	sort.Slice(found, func(i, j int) bool { return found[i].number < found[j].number })
	var names []string
	for i, g := range found {
		if i > 0 && g.number == found[i-1].number {
			return nil, fmt.Errorf("generation %d twice: %s and %s", g.number, found[i-1].name, g.name)
		}
		names = append(names, g.name)
	}
	if _, err := os.Stat(path); err == nil {
		names = append(names, path)
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no file %s and no generation of it", path)
	}
	return names, nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// open reads plain, gzip and zstd files, told apart by their first bytes.
func open(name string) (io.ReadCloser, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	r := bufio.NewReaderSize(file, 256<<10)
	magic, _ := r.Peek(4)
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open gzip %s: %w", name, err), file.Close())
		}
		return reader{z, file}, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open zstd %s: %w", name, err), file.Close())
		}
		return reader{z.IOReadCloser(), file}, nil
	}
	return reader{r, file}, nil
}

type reader struct {
	io.Reader
	file *os.File
}

func (r reader) Close() error { return r.file.Close() }

// position is where a line stands.
type position struct {
	file string
	line int
}

func (p position) String() string { return filepath.Base(p.file) + ":" + strconv.Itoa(p.line) }

// eachLine calls f with every line of a file, without its newline. whole is false for a last line that has none. The line is
// valid until f returns.
func eachLine(name string, f func(at position, line []byte, whole bool)) error {
	in, err := open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	r := bufio.NewReaderSize(in, 256<<10)
	var long []byte
	for at := (position{name, 1}); ; {
		part, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("read %s: %w", name, err)
		}
		line := part
		if len(long) > 0 {
			long = append(long, part...)
			line = long
		}
		if err != nil { // the end
			if len(line) > 0 {
				f(at, line, false)
			}
			return nil
		}
		f(at, line[:len(line)-1], true)
		long = long[:0]
		at.line++
	}
}
