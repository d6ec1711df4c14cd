package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
	"github.com/logbraid/logbraid/tests/bench/job"
)

// The floor is the part of the work that cannot be left out: the workers encode, send over loopback, and one process writes. Nothing is
// numbered under a lock, kept until it is acknowledged, checked or remembered; a process that dies takes its records with it.

const floorChunk = 64 << 10

// floor encodes with logbraid's own encoder.
func (w worker) floor() error {
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", os.Getenv("BENCH_PORT")))
	if err != nil {
		return err
	}
	tail := record.AppendTail(nil, record.Identity{App: "bench", Worker: "w" + strconv.Itoa(w.Worker), Run: record.NewRun()})
	chunk := make([]byte, 0, floorChunk+1<<10)
	if err := job.Await(); err != nil {
		return err
	}
	var failed error
	w.Each(func(msg string, i int) {
		l := record.GetLine()
		l.Start(time.Now(), record.Info, "etl.load", msg)
		l.Int("rows", int64(i))
		l.Str("table", "orders")
		l.Float("took", 0.25)
		chunk = append(append(chunk, l.Finish(record.TailRoom+4096)...), tail...)
		chunk = record.AppendEnd(chunk, uint64(i+1))
		l.Free()
		if len(chunk) >= floorChunk {
			if _, err := conn.Write(chunk); err != nil {
				failed = err
			}
			chunk = chunk[:0]
		}
	})
	if _, err := conn.Write(chunk); err != nil {
		failed = err
	}
	return errors.Join(failed, conn.Close())
}

// floorWriter appends whole lines of each connection as they come, and ends when all connections have.
func (worker) floorWriter() error {
	workers, _ := strconv.Atoi(os.Getenv("BENCH_WORKERS"))
	f, err := os.OpenFile(os.Getenv("BENCH_FILE"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr().(*net.TCPAddr).Port)
	errs := make([]error, workers)
	var all sync.WaitGroup
	for i := range workers {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		all.Go(func() { errs[i] = appendLines(f, conn) })
	}
	all.Wait()
	return errors.Join(append(errs, l.Close(), f.Close())...)
}

func appendLines(f *os.File, conn net.Conn) error {
	buf := make([]byte, 4*floorChunk)
	kept := 0
	for {
		n, err := conn.Read(buf[kept:])
		end := bytes.LastIndexByte(buf[:kept+n], '\n') + 1
		if _, err := f.Write(buf[:end]); err != nil {
			return err
		}
		kept = copy(buf, buf[end:kept+n])
		if err == io.EOF {
			return conn.Close()
		}
		if err != nil {
			return err
		}
	}
}
