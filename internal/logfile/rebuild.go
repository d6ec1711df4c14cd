package logfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/logbraid/logbraid/pkg/record"
)

// rebuild makes the table of runs from the JSON files of the directory, rotated
// and compressed ones too: every line says its run and seq. It is for a store
// whose journal is lost or cannot be read. The files themselves are taken up as
// they are when they are opened.
func (r *recovery) rebuild() error {
	s := r.store
	names, err := s.main.dir.List()
	if err != nil {
		return fmt.Errorf("list log files: %w", err)
	}
	families := map[string]map[string]*strand{}
	files := 0
	for _, name := range names {
		base := name
		if rot, ok := parseRotated(name); ok {
			if rot.temporary {
				continue
			}
			base = rot.base
		} else if reservedName(name) {
			continue
		}
		found := families[base]
		if found == nil {
			found = map[string]*strand{}
		}
		if err := r.readStrands(name, found); err != nil {
			r.report(Event{Kind: Rebuilt, Path: s.main.join(name), Detail: "could not be read to its end", Err: err})
		}
		if len(found) > 0 {
			families[base] = found
			files++
		}
	}
	h := r.history
	for _, runs := range families {
		for id, f := range runs {
			// The same record may be in several families of files; the one
			// that has most of the run knows best.
			run := h.base.runs[id]
			run.id, run.Rebuilt = id, true
			run.Last = max(run.Last, f.last)
			if have := run.Excess; f.lines > have {
				run.Excess = f.lines
			}
			h.base.runs[id] = run
		}
	}
	for id, run := range h.base.runs {
		lines := run.Excess
		run.Excess = 0
		if run.Last >= lines {
			run.Dropped = run.Last - lines
		}
		h.base.runs[id] = run
	}
	r.found.Fresh = len(h.base.runs) == 0 && !h.sides[0].exists && !h.sides[1].exists
	if r.found.Fresh {
		return nil
	}
	r.report(Event{Kind: Rebuilt, Path: s.main.path, Detail: fmt.Sprintf("%d runs found in %d files", len(h.base.runs), files)})
	return nil
}

// strand is what a family of files (a log file and its rotated generations) has
// of one run.
type strand struct{ last, lines uint64 }

// readStrands adds what one file has. A file that does not begin with one of our
// lines is left.
func (r *recovery) readStrands(name string, found map[string]*strand) error {
	d := r.store.main
	info, err := d.dir.Lstat(name)
	if err != nil || !info.Mode.IsRegular() {
		return err
	}
	h, err := d.dir.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	var in io.Reader = io.NewSectionReader(h, 0, info.Size)
	switch {
	case strings.HasSuffix(name, Gzip.extension()):
		z, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		in = z
	case strings.HasSuffix(name, Zstd.extension()):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer z.Close()
		in = z
	}
	return scanLines(in, func(line []byte, first bool) bool {
		t, ok := record.ScanTail(line)
		if !ok {
			return !first
		}
		run := found[string(t.Run)]
		if run == nil {
			run = &strand{}
			found[string(t.Run)] = run
		}
		run.last = max(run.last, t.Seq)
		run.lines++
		return true
	})
}

// scanLines calls f for each whole line until it returns false. A line of more
// than a megabyte is none of ours and is passed over.
func scanLines(in io.Reader, f func(line []byte, first bool) bool) error {
	b := bufio.NewReaderSize(in, 1<<20)
	long := false
	for first := true; ; {
		line, err := b.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			long = true
			continue
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if long {
			long = false
			continue
		}
		if !f(bytes.TrimSuffix(line, []byte("\n")), first) {
			return nil
		}
		first = false
	}
}
