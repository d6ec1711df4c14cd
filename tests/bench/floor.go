package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

// The floor is the part of the work that cannot be left out: the workers encode, send over loopback, and one process writes. Nothing is
// numbered under a lock, kept until it is acknowledged, checked or remembered; a process that dies takes its records with it.

const floorChunk = 64 << 10

func floor() Contestant {
	return Contestant{Name: "floor", About: "no system: our encoder, loopback, one process that writes; nothing numbered, kept, acknowledged or checked", Run: runFloor}
}

func runFloor(_ context.Context, r *Round) (string, error) {
	file := filepath.Join(r.Dir, "app.jsonl")
	w, err := r.Role("floor-writer", "BENCH_FILE="+file)
	if err != nil {
		return "", err
	}
	port, err := w.stdout.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("writer: %w: %s", err, w.stderr.String())
	}
	if err := r.Workers("floor-worker", func(int) []string { return []string{"BENCH_PORT=" + port[:len(port)-1]} }); err != nil {
		return "", err
	}
	if err := w.Await("done"); err != nil {
		return "", err
	}
	r.Done()
	return file, r.Wait(w)
}

// floorWorker encodes with logbraid's own encoder.
func (j job) floorWorker(port string) error {
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	tail := record.AppendTail(nil, record.Identity{App: "bench", Worker: "w" + strconv.Itoa(j.worker), Run: record.NewRun()})
	chunk := make([]byte, 0, floorChunk+1<<10)
	if err := await(); err != nil {
		return err
	}
	var failed error
	j.each(func(msg string, i int) {
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
func floorWriter(file string) error {
	workers, _ := strconv.Atoi(os.Getenv("BENCH_WORKERS"))
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
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
