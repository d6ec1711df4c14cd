package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
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
// comes. The files do not wait for it, and what it reads are whole lines; what was left out, since it is more than the console's
// queue holds, is counted and told where it is missing.
func TestFault21ConsolePipe(t *testing.T) { both(t, consolePipe) }

func consolePipe(t *testing.T, delivery string) {
	r := newBroker(t, delivery, harness.BrokerSpec{})
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
		Dir: dir, Handlers: append(handlers, "console://stdout"), NATS: natsconn.Config{URL: r.broker.URL}, Delivery: delivery,
		ConsoleOut: nonBlocking(pipe[1]), Diagnostics: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	records, payload := 4000, 6<<10 // some 30 MB of text; the console keeps 16 MiB
	if harness.Race {
		records, payload = 3000, 100 // which it keeps: pkg/collector's TestStuckConsole leaves some out there, too
	}
	w := r.worker("w1", harness.WorkerSpec{Payload: payload})
	ctx, cancel := guarded()
	defer cancel()
	w.Log(records)
	w.Flush() // though nobody reads
	if err := c.CatchUp(ctx); err != nil {
		t.Error(err)
	}
	var shown bytes.Buffer
	read := make(chan error, 1)
	go func() {
		small := make([]byte, 9973)
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
	if err := c.CatchUp(ctx); err != nil {
		t.Error(err)
	}
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
	rows, own, told, gaps, torn := 0, 0, 0, 0, 0
	for line := range strings.Lines(shown.String()) {
		var n int
		switch {
		case strings.Contains(line, " etl.load[w1] row ") && strings.Contains(line, " id=") && strings.HasSuffix(line, "\n"):
			rows++
		case sscanf(line, "-- %d lines left out", &n):
			told += n
			gaps++
		case strings.Contains(line, "logbraid"):
			own++
		default:
			torn++
			t.Errorf("not a whole line: %q", line)
		}
		if torn > 5 {
			break
		}
	}
	t.Logf("%d of %d lines shown, %d left out in %d places", rows, records, console.Skipped, gaps)
	if console.Skipped == 0 && !harness.Race || rows == 0 {
		t.Error("the test is too small: nothing was left out, or everything")
	}
	if uint64(told) != console.Skipped || uint64(rows+own) != console.Records || rows+told < records || rows+told > records+10 {
		t.Errorf("%d records and %d of the collector's own were shown, %d were told as left out; counted: %+v", rows, own, told, console)
	}
}

func sscanf(line, format string, n *int) bool {
	_, err := fmt.Sscanf(line, format, n)
	return err == nil
}

// Row 33: a disk that takes 100 ms for each sync, FSYNC=always. The workers wait; the resident memory of collector, broker and worker
// is bounded, though many times as much is logged; 0L0D. With a stream nobody waits but the collector, and what that reads ahead is
// bounded, too.
func TestFault33SlowDisk(t *testing.T) {
	if err := harness.CanTrace(); err != nil {
		t.Skip(err)
	}
	t.Parallel() // it waits nearly all the time
	for _, tt := range []slowDisk{
		{"direct", 200, 4 << 20, []string{"collector", "broker", "worker"}},
		// The broker keeps what it has just stored in memory, for a time of its own; the collector's memory is its queue and what comes
		// in, doubled by the garbage collector, which would take hundreds of megabytes to show.
		{"stream", 800, 25 << 20, []string{"worker"}},
	} {
		t.Run(tt.delivery, func(t *testing.T) {
			t.Parallel()
			tt.run(t)
		})
	}
}

type slowDisk struct {
	delivery string
	each     int      // records of each worker, of 15 KiB: 200 are 12 MB of all of them
	queued   int      // the most bytes in the collector's queue
	bounded  []string // whose memory does not grow
}

func (s slowDisk) run(t *testing.T) {
	dir := t.TempDir()
	handlers, logs := harness.Logs(dir)
	r := newRig(t, s.delivery, setup{collector: harness.CollectorSpec{Dir: dir, Handlers: handlers[:1], FSync: "always"}},
		harness.Traced(harness.TraceSpec{Under: []string{dir}, Calls: []string{"fsync", "fdatasync"}, At: 1, Act: harness.Delay, Delay: 100, Always: true}),
		harness.Env("GOMEMLIMIT=2GiB")) // far away, but with a limit a collector leaves the heap's pace alone (docs/adr/0010)
	r.logs = logs[:1]
	var workers []*harness.Worker
	for _, name := range []string{"w1", "w2", "w3", "w4"} {
		workers = append(workers, r.worker(name, harness.WorkerSpec{Payload: 12 << 10}, "LOGBRAID_BUFFER=1MiB"))
	}
	log := func(n int) {
		for _, w := range workers {
			w.BeginLog(n)
		}
	}
	log(50) // so that all have what they need for their work
	for _, w := range workers {
		w.WaitLogged()
		r.written(w)
	}
	parts := map[string]int{"collector": r.collector.PID, "broker": r.broker.Pid(), "worker": workers[0].Pid()}
	before, most := map[string]int64{}, map[string]int64{}
	resident := func(into map[string]int64) {
		for name, pid := range parts {
			n, err := harness.ResidentBytes(pid)
			if err != nil {
				t.Fatal(err)
			}
			into[name] = max(into[name], n)
		}
	}
	resident(before)
	log(s.each)
	queued := 0
	harness.Until(t, "the records to be written", func() bool {
		now := r.collector.Stats()
		queued = max(queued, now.QueuedBytes)
		resident(most)
		return now.Written >= uint64(len(workers)*(50+s.each))
	})
	for _, w := range workers {
		w.WaitLogged()
	}
	for name := range parts {
		grown := most[name] - before[name]
		t.Logf("%s: %d MiB, %d more", name, before[name]>>20, grown>>20)
		if bound := map[bool]int64{false: 10 << 20, true: 40 << 20}[harness.Race]; grown > bound && slices.Contains(s.bounded, name) {
			t.Errorf("the %s grew by %d bytes", name, grown)
		}
	}
	if queued > s.queued {
		t.Errorf("%d bytes in the collector's queue", queued)
	}
	r.finish(workers...)
	r.check()
}
