package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"syscall"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/pkg/record"
)

// fileHandler writes records to a file, or to one file for each value of its path's placeholders, as they
// are or rendered. The writer owns it.
type fileHandler struct {
	index   int // of the route
	path    template
	options logfile.FileOptions
	paths   *paths
	log     *diagnostics
	render  renderer // nil: as they are
	scratch []byte
	aside   aside // of text in a file without placeholders

	file  *logfile.File // of a path without placeholders
	split *splitter     // of a path with some

	failed atomic.Uint64 // records that the format failed for
	opened atomic.Int64  // files
}

// open opens the file of a path without placeholders, so that one that cannot be written is a problem at
// the start.
func (h *fileHandler) open() (err error) {
	if len(h.path.fields) > 0 {
		h.split = &splitter{
			handler: h, most: maxFiles, files: make(map[values]*logfile.File), known: make(map[*logfile.File]bool),
		}
		return nil
	}
	h.file, err = h.paths.open(h.path.expand(values{}, ""), h.index, h.options)
	h.opened.Store(1)
	return err
}

func (h *fileHandler) take(g *group, p piece, n int, from *run) error {
	t := &g.tally.routes[h.index]
	t.records += uint64(n)
	if h.file != nil && h.aside.render != nil && (h.aside.busy || len(p.lines) >= worthAside) {
		if !p.lasting {
			p.lines = bytes.Clone(p.lines)
		}
		h.aside.put(p.lines)
		return nil
	}
	if h.file != nil {
		t.bytes += h.append(h.file, p)
		return nil
	}
	// Lines of one file that stand together go there together.
	var file *logfile.File
	begin, end := 0, 0
	for line := range Lines(p.lines).All() {
		f, err := h.split.fileFor(line, from)
		if err != nil {
			return err
		}
		if f != file && end > begin {
			t.bytes += h.append(file, p.part(p.lines[begin:end]))
			begin = end
		}
		file = f
		end += len(line) + 1
	}
	t.bytes += h.append(file, p.part(p.lines[begin:end]))
	return nil
}

// worthLending is from how many bytes on a write of their own costs less than copying them.
const worthLending = 32 << 10

// append gives lines to a file and returns how many bytes that makes there.
func (h *fileHandler) append(f *logfile.File, p piece) uint64 {
	if h.render == nil {
		switch {
		case !p.lasting || len(p.lines) < worthLending:
			f.Append(p.lines)
		case p.summed:
			f.Lend(p.lines, &p.sum)
		default:
			f.Lend(p.lines, nil)
		}
		return uint64(len(p.lines))
	}
	h.scratch = appendRendered(h.scratch[:0], p.lines, h.render)
	f.Append(h.scratch)
	size := len(h.scratch)
	if size > maxGroup {
		h.scratch = nil // something huge, once in a while: not kept for ever
	}
	return uint64(size)
}

func (h *fileHandler) filled(g *group) {
	if !h.aside.busy {
		return
	}
	h.file.Follow(func() ([]byte, *uint32) {
		text, sum := h.aside.wait() // stays until the next group
		g.tally.routes[h.index].bytes += uint64(len(text))
		return text, &sum
	})
}

func (h *fileHandler) committed(*group) {}

func (h *fileHandler) stats(s *HandlerStats) {
	s.Errors = h.failed.Load()
	s.Files = int(h.opened.Load())
}

// close leaves the files open: they belong to the store.
func (h *fileHandler) close(context.Context) error {
	h.aside.close()
	return nil
}

// values are what a record fills into a path's placeholders.
type values [placeholders]string

// splitter finds the file of each record for a path with placeholders.
type splitter struct {
	handler *fileHandler
	most    int // files; maxFiles
	files   map[values]*logfile.File
	known   map[*logfile.File]bool
	other   *logfile.File // for what goes beyond maxFiles

	// The last answer, since records of one logger come in rows.
	from   *run
	logger string
	file   *logfile.File
}

// Workers choose the names, so there is a limit to how many files they can make, and to how much memory
// the names take. What goes beyond the first has a file of its own; what goes beyond the second is looked up anew
// each time.
const (
	maxFiles     = 1024
	maxKnownName = 512
)

func (s *splitter) fileFor(line []byte, from *run) (*logfile.File, error) {
	head, _ := record.ScanHead(line)
	if from == s.from && string(head.Logger) == s.logger {
		return s.file, nil
	}
	logger := string(head.Logger)
	var v values
	size := 0
	for _, field := range s.handler.path.fields {
		v[field] = [placeholders]string{logger, from.id.App, from.id.Worker}[field]
		size += len(v[field])
	}
	f := s.files[v]
	if f == nil {
		var err error
		if f, err = s.open(v); err != nil {
			return nil, err
		}
		if size <= maxKnownName && len(s.files) < 2*s.most {
			s.files[v] = f
		}
	}
	s.from, s.logger, s.file = from, logger, f
	return f, nil
}

// open opens the file for the values. A file that cannot be had for a reason of its own must not hold up the
// others: its records go where those beyond maxFiles go.
func (s *splitter) open(v values) (*logfile.File, error) {
	h := s.handler
	path := h.path.expand(v, "")
	if h.paths.taken(path, h.index) {
		// Another handler's file: one file has one handler. No record's own name has an escape like this.
		path = h.path.expand(v, fmt.Sprintf("%%also%d", h.index))
	}
	if len(s.known) < s.most || h.paths.has(path, h.index) {
		f, err := s.openPath(path)
		if err == nil || !ownFault(err) {
			return f, err
		}
		h.log.often(slog.LevelError, "log file cannot be used, its records go elsewhere", h.path.other(),
			"path", path, "error", err)
	}
	if s.other == nil {
		var err error
		if s.other, err = s.openPath(h.path.other()); err != nil {
			return nil, err
		}
	}
	return s.other, nil
}

func (s *splitter) openPath(path string) (*logfile.File, error) {
	h := s.handler
	f, err := h.paths.open(path, h.index, h.options)
	if err == nil && !s.known[f] {
		s.known[f] = true
		h.opened.Add(1)
	}
	return f, err
}

// ownFault reports whether err is about the one path: something else is there, or it must not be touched. Trying
// again will not help, while it may against a lack of descriptors or room.
func ownFault(err error) bool {
	for _, own := range []error{
		fs.ErrPermission, syscall.EISDIR, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EINVAL,
		logfile.ErrReservedName,
	} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}
