package checker

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
)

// An Entry is one accepted log call: the call returned, and its ledger line was written after that.
type Entry struct {
	Source    string // the run of a publisher, or any word of its own for a program that has none
	Goroutine int    // counts from 0
	N         int    // the goroutine's own count: 1, 2, 3, ...
	Level     string
	Logger    string
}

// ID is the text that the worker puts into the record's field "id".
func (e Entry) ID() string {
	return e.Source + "." + strconv.Itoa(e.Goroutine) + "." + strconv.Itoa(e.N)
}

// Writer is the ledger of one source. Its file is opened for appending and every entry is one write(2), so that goroutines may
// share it and a killed worker leaves at most one unfinished line, the last.
type Writer struct{ file *os.File }

var ledgers atomic.Int64 // several runs in one process have several ledgers

// NewWriter creates the ledger of source in dir. run says that source is the id of a run, which its records then must carry.
func NewWriter(dir, worker, source string, run bool) (*Writer, error) {
	var file *os.File
	var err error = fs.ErrExist
	for errors.Is(err, fs.ErrExist) { // a program that executed itself anew has the process id of its predecessor
		name := fmt.Sprintf("%s.%d.%d.ledger", worker, os.Getpid(), ledgers.Add(1))
		file, err = os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o644)
	}
	if err != nil {
		return nil, fmt.Errorf("create ledger: %w", err)
	}
	kind := "source"
	if run {
		kind = "run"
	}
	if _, err := fmt.Fprintf(file, "%s %s %s\n", kind, source, worker); err != nil {
		return nil, errors.Join(fmt.Errorf("write ledger: %w", err), file.Close())
	}
	return &Writer{file}, nil
}

// Accepted notes that a log call has returned.
func (w *Writer) Accepted(goroutine, n int, level, logger string) error {
	var room [160]byte
	line := append(room[:0], "a "...)
	line = strconv.AppendInt(line, int64(goroutine), 10)
	line = append(line, ' ')
	line = strconv.AppendInt(line, int64(n), 10)
	line = append(line, ' ')
	line = append(line, level...)
	line = append(line, ' ')
	line = append(line, logger...)
	line = append(line, '\n')
	_, err := w.file.Write(line)
	return err
}

// End notes what the publisher itself says at the end of its run.
func (w *Writer) End(logged, dropped uint64) error {
	_, err := fmt.Fprintf(w.file, "end %d %d\n", logged, dropped)
	return errors.Join(err, w.file.Close())
}

// Accepted is what the ledgers of a directory say.
type Accepted struct {
	sources map[string]*source
	classes []class // what entries share; an entry keeps an index
}

type class struct{ level, logger string }

type source struct {
	name, worker string
	run          bool
	goroutines   map[int][]uint16 // class of entry n at index n-1
	ended        bool
	logged       uint64 // by the publisher's own count; valid when ended
	dropped      uint64
}

// ReadLedgers reads every ledger in dir. A last line without a newline was being written when its worker was killed: the
// record may or may not be in the log, so it does not count as accepted.
func ReadLedgers(dir string) (*Accepted, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.ledger"))
	if err != nil {
		return nil, fmt.Errorf("list ledgers: %w", err)
	}
	sort.Strings(names)
	a := &Accepted{sources: map[string]*source{}}
	index := map[string]uint16{}
	for _, name := range names {
		if err := a.read(name, index); err != nil {
			return nil, fmt.Errorf("read ledger %s: %w", name, err)
		}
	}
	return a, nil
}

func (a *Accepted) read(name string, index map[string]uint16) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	var s *source
	r := bufio.NewReaderSize(file, 64<<10)
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		line = line[:len(line)-1]
		if s == nil {
			if s, err = a.begin(string(line)); err != nil {
				return err
			}
			continue
		}
		if err := a.entry(s, line, index); err != nil {
			return err
		}
	}
}

func (a *Accepted) begin(line string) (*source, error) {
	w := strings.Fields(line)
	if len(w) != 3 || w[0] != "run" && w[0] != "source" {
		return nil, fmt.Errorf("first line %q", line)
	}
	if a.sources[w[1]] != nil {
		return nil, fmt.Errorf("source %s has two ledgers", w[1])
	}
	s := &source{name: w[1], worker: w[2], run: w[0] == "run", goroutines: map[int][]uint16{}}
	a.sources[s.name] = s
	return s, nil
}

func (a *Accepted) entry(s *source, line []byte, index map[string]uint16) error {
	w := bytes.SplitN(line, []byte{' '}, 4)
	switch {
	case len(w) == 3 && string(w[0]) == "end":
		s.ended = true
		var err1, err2 error
		s.logged, err1 = strconv.ParseUint(string(w[1]), 10, 64)
		s.dropped, err2 = strconv.ParseUint(string(w[2]), 10, 64)
		return errors.Join(err1, err2)
	case len(w) == 4 && string(w[0]) == "a":
		g, err1 := strconv.Atoi(string(w[1]))
		n, err2 := strconv.Atoi(string(w[2]))
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if n != len(s.goroutines[g])+1 {
			return fmt.Errorf("goroutine %d: entry %d follows entry %d", g, n, len(s.goroutines[g]))
		}
		c, ok := index[string(w[3])]
		if !ok {
			level, logger, _ := strings.Cut(string(w[3]), " ")
			c = uint16(len(a.classes))
			index[string(w[3])] = c
			a.classes = append(a.classes, class{level, logger})
		}
		s.goroutines[g] = append(s.goroutines[g], c)
		return nil
	}
	return fmt.Errorf("line %q", line)
}

// Records is how many log calls returned.
func (a *Accepted) Records() int {
	n := 0
	for _, s := range a.sources {
		for _, g := range s.goroutines {
			n += len(g)
		}
	}
	return n
}

// Sources is how many runs and other sources wrote a ledger.
func (a *Accepted) Sources() int { return len(a.sources) }

// Runs lists the run ids that wrote a ledger, sorted.
func (a *Accepted) Runs() []string {
	var runs []string
	for name, s := range a.sources {
		if s.run {
			runs = append(runs, name)
		}
	}
	sort.Strings(runs)
	return runs
}

func (a *Accepted) at(s *source, g, n int) Entry {
	c := a.classes[s.goroutines[g][n-1]]
	return Entry{Source: s.name, Goroutine: g, N: n, Level: c.level, Logger: c.logger}
}
