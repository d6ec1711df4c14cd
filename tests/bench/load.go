package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/logbraid/logbraid/tests/bench/job"
)

// A Load is the work that every contestant gets: Workers processes, each logging Records records of
// about 250 bytes as JSON: a message of 80 bytes and three fields.
type Load struct {
	Workers int
	Records int
	Pace    time.Duration // between two records of a worker; 0: as fast as it goes
	Warm    int           // bytes that each worker logs before the clock runs, in records of their own
}

// Total is the number of records of all workers.
func (l Load) Total() int { return l.Workers * l.Records }

// complete reads a file that a contestant wrote and reports what is wrong with it: every record of every
// worker must be there, once, in order per worker, in a line of its own.
func complete(path string, l Load) error { return completeShare(path, l, 0, 1) }

// completeShare is complete for a file that is to have every of-th record only, from first on.
func completeShare(path string, l Load, first, of int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	next := make([]int, l.Workers)
	for w := range next {
		next[w] = first
	}
	r := bufio.NewReaderSize(f, 1<<20)
	for n := 1; ; n++ {
		line, err := r.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 {
			break
		}
		if err != nil {
			return fmt.Errorf("%s line %d: %w", path, n, err)
		}
		worker, i, found, whole := job.Find(line)
		if !found {
			continue // a system's own lines: start messages and the like
		}
		if !whole || worker >= l.Workers {
			return fmt.Errorf("%s line %d is torn", path, n)
		}
		if i != next[worker] {
			return fmt.Errorf("%s line %d: worker %d has record %d where %d should be", path, n, worker, i, next[worker])
		}
		next[worker] += of
	}
	for w, n := range next {
		if n < l.Records {
			return fmt.Errorf("%s: worker %d has no record from %d of %d on", path, w, n, l.Records)
		}
	}
	return nil
}

// Job is what one of the workers has to do.
func (l Load) Job(worker int) job.Job {
	return job.Job{Worker: worker, Records: l.Records, Pace: l.Pace, Warm: l.Warm}
}
