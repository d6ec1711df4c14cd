package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
	"unsafe"
)

// A Load is the work that every contestant gets: Workers processes, each logging Records records of
// about 250 bytes as JSON: a message of 80 bytes and three fields.
type Load struct {
	Workers int           `json:"workers"`
	Records int           `json:"records"`
	Pace    time.Duration // between two records of a worker; 0: as fast as it goes
	Warm    int           // bytes that each worker logs before the clock runs, in records of their own
}

// Total is the number of records of all workers.
func (l Load) Total() int { return l.Workers * l.Records }

// message is what record i of a worker says: 80 bytes that differ from record to record, beginning with
// what the check looks for.
func message(dst []byte, worker, i int) []byte {
	const filler = " row loaded from the staging table and handed on to the next step of the job...."
	start := len(dst)
	dst = append(dst, "rec w"...)
	dst = strconv.AppendInt(dst, int64(worker), 10)
	dst = append(dst, '#')
	dst = strconv.AppendInt(dst, int64(i), 10)
	dst = append(dst, ';')
	return append(dst, filler[:80-(len(dst)-start)]...)
}

// inPlace is a message as the string that it is logged as, without a copy: garbage of the load's own, the same for all,
// would only hide their differences. Every contestant has encoded it by the time its log call returns.
func inPlace(msg []byte) string { return unsafe.String(unsafe.SliceData(msg), len(msg)) }

// complete reads a file that a contestant wrote and reports what is wrong with it: every record of every
// worker must be there, once, in order per worker, in a line of its own. The marker "rec wW#I;" is in every
// line of every contestant, whatever its format.
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
		at := bytes.Index(line, []byte("rec w"))
		if at < 0 {
			continue // a system's own lines: start messages and the like
		}
		worker, i, ok := marker(line[at+len("rec w"):])
		if !ok || worker >= l.Workers {
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

// marker reads "W#I;".
func marker(b []byte) (worker, i int, ok bool) {
	hash := bytes.IndexByte(b, '#')
	if hash < 0 {
		return 0, 0, false
	}
	semi := bytes.IndexByte(b, ';')
	if semi < hash {
		return 0, 0, false
	}
	worker, err1 := strconv.Atoi(string(b[:hash]))
	i, err2 := strconv.Atoi(string(b[hash+1 : semi]))
	return worker, i, err1 == nil && err2 == nil
}
