// Package verify proves, from nothing but a log's JSON files, that the log is whole: of each run
// every seq from 1 on is there once and in order, or told as dropped, and no line is torn. It is
// the engine of "collector verify".
//
// The files are what one handler has written, rotated or compressed, given in any order. Records
// that a handler's filter keeps out are missing in its files: verify those of a handler without.
//
// One goroutine reads, a few scan chunks of whole lines, one merges in the order of the lines:
//
//	files -> [read] -> chunk -> [scan] x GOMAXPROCS -> segments -> [merge] -> runs -> Report
//	             \________________ in the order of reading ___________/
//
// Memory does not grow with the files: some chunks of 256 KiB, and per run what its gaps take, at
// most 1 MiB (see intervals).
package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
)

// Options say how to read. The zero value is right for a complete log.
type Options struct {
	Partial bool      // the beginnings of runs may lie in files that are gone: do not miss seqs before the first
	Full    bool      // parse every line, also those that look like ours at both ends; a good deal slower
	Stdin   io.Reader // what "-" stands for
}

const (
	chunkSize = 256 << 10
	maxLine   = 16 << 20 // a longer line is torn
	maxTorn   = 20       // torn lines that a report names
)

// Files reads the files and reports on them as one log. The error is about a file that cannot be
// opened or read, or ctx; what is wrong with the log is in the report.
func Files(ctx context.Context, paths []string, o Options) (*Report, error) {
	scanners := runtime.GOMAXPROCS(0)
	chunks := 2*scanners + 2
	v := &verifier{
		ctx:      ctx,
		stdin:    o.Stdin,
		registry: registry{runs: map[string]*run{}},
		free:     make(chan *chunk, chunks),
		work:     make(chan *chunk, chunks),
		order:    make(chan *chunk, chunks),
		report:   &Report{Partial: o.Partial},
	}
	for range chunks {
		v.free <- &chunk{buf: make([]byte, 0, chunkSize), scanned: make(chan struct{}, 1)}
	}
	for range scanners {
		go func() {
			s := scanner{registry: &v.registry, full: o.Full, known: map[string]*run{}}
			for c := range v.work {
				s.scan(c)
				c.scanned <- struct{}{}
			}
		}()
	}
	for _, path := range paths {
		v.report.Files = append(v.report.Files, File{Name: path})
	}
	failed := make(chan error, 1)
	go func() {
		failed <- v.read(paths)
		close(v.work)
		close(v.order)
	}()
	for c := range v.order {
		<-c.scanned
		v.merge(c)
		if c.buf = c.buf[:0]; cap(c.buf) > 2*chunkSize {
			c.buf = make([]byte, 0, chunkSize)
		}
		v.free <- c
	}
	if err := <-failed; err != nil {
		return nil, err
	}
	v.report.finish(v.registry.runs)
	return v.report, nil
}

type verifier struct {
	ctx      context.Context
	stdin    io.Reader
	registry registry
	free     chan *chunk // those that nobody uses; there are as many as each channel holds
	work     chan *chunk // to the scanners
	order    chan *chunk // the same ones to the merging goroutine
	report   *Report     // owned by the merging goroutine
}

// read cuts the files into chunks of whole lines.
func (v *verifier) read(paths []string) error {
	for stream, path := range paths {
		r, err := openStream(path, v.stdin)
		if err != nil {
			return err
		}
		err = v.readStream(stream, r)
		r.Close()
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
	return nil
}

func (v *verifier) readStream(stream int, r io.Reader) error {
	var rest []byte // the beginning of a line that the next chunk goes on with
	for {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		c := <-v.free
		c.stream, c.cut = stream, ""
		buf, err := readChunk(append(c.buf, rest...), r)
		end := bytes.LastIndexByte(buf, '\n') + 1
		var path *fs.PathError
		switch {
		case errors.As(err, &path):
			return err
		case err != nil: // the end, of the file or of what could be unpacked of it
			end = len(buf)
			if err != io.EOF {
				c.cut = err.Error()
			}
		case end == 0:
			end = len(buf)
			c.cut = "longer than 16 MiB"
		}
		c.buf, rest = buf[:end], append(rest[:0], buf[end:]...)
		cut := c.cut
		v.order <- c
		v.work <- c
		if err != nil {
			return nil
		}
		if cut != "" {
			if rest, err = skipLine(rest, r); err != nil {
				return nil // the chunk that is on its way says that the line has no end
			}
		}
	}
}

// readChunk fills buf up, and goes on until a newline is in it or the line is longer than maxLine.
func readChunk(buf []byte, r io.Reader) ([]byte, error) {
	for {
		for len(buf) < cap(buf) {
			n, err := r.Read(buf[len(buf):cap(buf)])
			if buf = buf[:len(buf)+n]; err != nil {
				return buf, err
			}
		}
		if len(buf) >= maxLine || bytes.IndexByte(buf, '\n') >= 0 {
			return buf, nil
		}
		buf = slices.Grow(buf, len(buf))
	}
}

// skipLine reads up to a newline, and returns what it has read behind it.
func skipLine(buf []byte, r io.Reader) ([]byte, error) {
	buf = slices.Grow(buf[:0], 64<<10)
	for {
		n, err := r.Read(buf[:cap(buf)])
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			return buf[i+1 : n], nil // an error comes again
		}
		if err != nil {
			return nil, err
		}
	}
}

// merge takes what a scanner has found, in the order of the lines.
func (v *verifier) merge(c *chunk) {
	f := &v.report.Files[c.stream]
	for _, t := range c.torn {
		v.report.torn(f, f.Lines+uint64(t.line)+1, t.what)
	}
	f.Bytes += int64(len(c.buf))
	f.Lines += uint64(c.lines)
	v.report.Other += uint64(c.other)
	for _, s := range c.segments {
		s.run.add(c.stream, s.first, s.last)
	}
	for _, t := range c.told {
		t.run.told = tell(t.run.told, t.told)
	}
	for _, l := range c.lost {
		r := v.registry.find(l.identity)
		r.lost = tell(r.lost, l.told)
	}
}
