package faults

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/collector"
	"github.com/logbraid/logbraid/tests/harness"
)

// nonBlocking is the write end of a pipe as a program gets it from a parent that has made it non-blocking: EAGAIN when it is full.
type nonBlocking int

func (fd nonBlocking) Write(p []byte) (int, error) {
	n, err := syscall.Write(int(fd), p)
	if err != nil {
		return 0, &os.PathError{Op: "write", Path: "pipe", Err: err}
	}
	return n, nil
}

// Row 21: the console is a pipe that nobody reads, non-blocking, so that writes are short or fail with EAGAIN; later a slow reader
// comes. The files do not wait for it, and what it reads are whole lines; what was left out is counted and told.
func TestFault21ConsolePipe(t *testing.T) {
	broker := harness.StartBroker(t, harness.BrokerSpec{})
	r := &rig{t: t, broker: broker, proxy: harness.StartProxy(t, broker.Addr()), ledgers: t.TempDir()}
	dir := t.TempDir()
	var handlers []string
	handlers, r.logs = harness.Logs(dir)
	var pipe [2]int
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(pipe[1], true); err != nil {
		t.Fatal(err)
	}
	reader := os.NewFile(uintptr(pipe[0]), "pipe")
	defer reader.Close()
	c, err := collector.Start(context.Background(), collector.Config{
		Dir: dir, Handlers: append(handlers, "console://stdout"), NATS: natsconn.Config{URL: broker.URL},
		ConsoleOut: nonBlocking(pipe[1]), Diagnostics: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	w := r.worker("w1", harness.WorkerSpec{Payload: 100})
	w.Log(3000) // many times what a pipe holds
	w.Flush()   // though nobody reads
	var shown bytes.Buffer
	read := make(chan error, 1)
	go func() {
		small := make([]byte, 997)
		for {
			n, err := reader.Read(small)
			shown.Write(small[:n])
			if err != nil {
				if err == io.EOF {
					err = nil
				}
				read <- err
				return
			}
		}
	}()
	r.finish(w)
	ctx, cancel := context.WithTimeout(context.Background(), harness.Guard)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
	stats := c.Stats()
	if err := syscall.Close(pipe[1]); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	harness.Check(t, r.ledgers, r.logs...)
	console := stats.Handlers[2]
	rows, torn := 0, 0
	for line := range strings.Lines(shown.String()) {
		switch {
		case strings.Contains(line, " etl.load[w1] row ") && strings.Contains(line, " id=") && strings.HasSuffix(line, "\n"):
			rows++
		case strings.HasPrefix(line, "-- ") || strings.Contains(line, "logbraid"):
		default:
			torn++
			t.Errorf("not a whole line: %q", line)
		}
		if torn > 5 {
			break
		}
	}
	if console.Skipped == 0 && rows != 3000 || rows > 3000 || rows == 0 {
		t.Errorf("%d lines were shown; %+v", rows, console)
	}
	t.Logf("%d of 3000 lines shown, %d left out", rows, console.Skipped)
}

// Row 33: a disk that takes 100 ms for each sync, FSYNC=always. The worker waits; memory is bounded everywhere; 0L0D.
func TestFault33SlowDisk(t *testing.T) {
	if err := harness.CanTrace(); err != nil {
		t.Skip(err)
	}
	r := &rig{t: t, ledgers: t.TempDir()}
	r.broker = harness.StartBroker(t, harness.BrokerSpec{})
	r.proxy = harness.StartProxy(t, r.broker.Addr())
	dir := t.TempDir()
	var handlers []string
	handlers, r.logs = harness.Logs(dir)
	r.collector = harness.StartCollector(t, harness.CollectorSpec{URL: r.broker.URL, Dir: dir, Handlers: handlers, FSync: "always"},
		harness.Traced(harness.TraceSpec{Under: []string{dir}, Calls: []string{"fsync", "fdatasync"}, At: 1, Act: harness.Delay, Delay: 100, Always: true}))
	w1 := r.worker("w1", harness.WorkerSpec{Payload: 200}, "LOGBRAID_BUFFER=256KiB")
	w2 := r.worker("w2", steady)
	w1.BeginLog(3000) // about 1.5 MB, six times the buffer
	w2.BeginLog(300)
	queued := 0
	harness.Until(t, "the records to be written", func() bool {
		s := r.collector.Stats()
		queued = max(queued, s.QueuedBytes)
		return s.Written >= 3300
	})
	w1.WaitLogged()
	w2.WaitLogged()
	if queued > 4<<20 {
		t.Errorf("%d bytes in the collector's queue", queued)
	}
	r.finish(w1, w2)
	r.check()
}
