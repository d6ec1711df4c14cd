package embedded

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

const (
	// scanEvery is how often the buffer directory is looked through, less often
	// when that takes long: a thousand workers, 50 us each, would be a fifth of a
	// processor. A worker's last records are in the log within a second of its death.
	scanEvery  = 250 * time.Millisecond
	scanAtMost = 800 * time.Millisecond

	// expireEvery is how often the tokens of open connections are compared with
	// their files.
	expireEvery = 2 * time.Second

	// tellTimeout bounds how long the record of a death may take to arrive. It is
	// in a buffer file by then, so one that takes longer is not lost.
	tellTimeout = 2 * time.Second
)

// OrphanStats count what dead workers left and the master delivered.
type OrphanStats struct {
	Buffers uint64 // buffer files delivered and removed
	Records uint64 // records in them that nobody had acknowledged
	Crashes uint64 // crash outputs of the Go runtime
	Damaged uint64 // buffer files that were damaged
	Deaths  uint64 // records that say that a worker has died
}

// orphans is the goroutine that looks after what workers leave behind:
//
//	buffer/*.ring of the dead --Drain--> collector
//	            what it found --+
//	                            +--> a record that says how the worker died
//	                   Exited --+
type orphans struct {
	m    *Master
	stop chan struct{}
	done chan struct{}
	wake chan struct{} // holds one: something has come in

	mu    sync.Mutex
	exits []death // told by Exited, not looked at yet
	count OrphanStats

	// Of the goroutine alone.
	failure string  // what Drain said last, so that it is told once
	ended   []death // how a process ended whose buffer is still to be drained
	silent  []death // drained, and nobody has told yet how the process ended
}

func startOrphans(m *Master) *orphans {
	o := &orphans{m: m, stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1)}
	go o.run()
	return o
}

func (o *orphans) stats() OrphanStats {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count
}

// exited takes over what Exited was told.
func (o *orphans) exited(d death) {
	o.mu.Lock()
	o.exits = append(o.exits, d)
	o.mu.Unlock()
	o.kick()
}

// kick has the next scan begin at once.
func (o *orphans) kick() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// finish ends the goroutine after a last scan, for which it may take until ctx ends.
func (o *orphans) finish(ctx context.Context) {
	close(o.stop)
	<-o.done
	o.scan(ctx)
	o.bury(time.Time{})
}

func (o *orphans) run() {
	defer close(o.done)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-o.stop; cancel() }()

	next := time.NewTimer(scanEvery)
	defer next.Stop()
	var expired time.Time
	for {
		began := time.Now()
		o.scan(ctx)
		o.bury(time.Now().Add(-deathWait))
		if now := time.Now(); now.Sub(expired) >= expireEvery {
			o.m.auth.expire(o.m.broker.server())
			expired = now
		}
		next.Reset(min(max(scanEvery, 20*time.Since(began)), scanAtMost))
		select {
		case <-o.stop:
			return
		case <-next.C:
		case <-o.wake:
		}
	}
}

// scan takes over what Exited was told, then drains the buffers of workers that
// are gone: in this order, so that the record of a crash can say how it ended.
func (o *orphans) scan(ctx context.Context) {
	o.mu.Lock()
	o.ended = append(o.ended, o.exits...)
	o.exits = nil
	o.mu.Unlock()

	o.drain(ctx)
}

// drain delivers the buffers whose owners are gone.
func (o *orphans) drain(ctx context.Context) {
	report, err := publisher.Drain(ctx, publisher.DrainConfig{
		Dir:              o.m.state.buffer(),
		NC:               o.m.conn,
		Delivery:         o.m.cfg.Delivery,
		Stream:           o.m.cfg.Stream.Name,
		BatchCompression: o.m.cfg.BatchCompression,
		Annotate:         o.annotate,
		Diagnostics:      o.m.cfg.Diagnostics,
	})
	if text := errorText(err); text != o.failure && ctx.Err() == nil {
		if o.failure = text; err != nil {
			o.m.cfg.Diagnostics.Error("deliver the buffers of dead workers", "error", err)
		}
	}
	o.mu.Lock()
	o.count.Damaged += uint64(len(report.Unreadable))
	for _, run := range report.Runs {
		o.count.Buffers++
		o.count.Records += run.Sent
		if run.Crash != "" {
			o.count.Crashes++
		}
		if run.Damage != "" {
			o.count.Damaged++
		}
	}
	o.mu.Unlock()
	for _, run := range report.Runs {
		if !run.Closed {
			o.silent = append(o.silent, death{
				worker: run.Identity.Worker, pid: run.PID, since: time.Now(),
				run: run.Identity.Run, last: run.Last, recovered: run.Sent,
			})
		}
	}
}

// annotate adds to the record of a crash how the process ended, if that is known
// already. Otherwise the record of its death tells.
func (o *orphans) annotate(id record.Identity, line *record.Line) {
	for _, d := range o.ended {
		if d.worker == id.Worker {
			if sig, ok := signalOf(d.status); ok {
				line.Str("signal", sig.name)
			} else {
				line.Int("exit_status", int64(d.status.ExitCode()))
			}
			return
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// bury brings the halves of deaths together and tells of each once: what the
// buffer of a publisher that was never closed said, and how its process ended.
// Where Exited has not told, it is waited for if that began after the time given;
// the zero time means that there is no more waiting.
func (o *orphans) bury(since time.Time) {
	o.silent = slices.DeleteFunc(o.silent, func(d death) bool {
		i := slices.IndexFunc(o.ended, func(e death) bool { return e.pid == d.pid && e.worker == d.worker })
		switch {
		case i >= 0:
			d.status = o.ended[i].status
			o.ended = slices.Delete(o.ended, i, i+1)
		case !since.IsZero() && d.since.After(since):
			return false
		}
		o.tell(d)
		return true
	})
	// Whoever else has ended and has no buffer here will not be drained: it never
	// had one, or it closed its publisher.
	if len(o.ended) == 0 {
		return
	}
	waiting := owners(o.m.state.buffer())
	o.ended = slices.DeleteFunc(o.ended, func(d death) bool {
		if !since.IsZero() && slices.Contains(waiting, d.pid) {
			return false
		}
		o.tell(d)
		return true
	})
}

// tell puts the record into the log, through the worker's own publisher in this
// process if it has one, so that it stands behind what the worker said last.
func (o *orphans) tell(d death) {
	if !d.worth() {
		return
	}
	o.mu.Lock()
	o.count.Deaths++
	o.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), tellTimeout)
	defer cancel()
	if p := o.m.openPublisher(d.worker); p != nil {
		d.tell(p)
		return
	}
	p, err := o.m.newPublisher(d.worker, smallBuffer)
	if err != nil {
		o.m.cfg.Diagnostics.Error("tell the death of a worker", "worker", d.worker, "error", err)
		return
	}
	d.tell(p)
	var unacked *publisher.UnackedError
	if err := p.Close(ctx); err != nil && !(errors.As(err, &unacked) && unacked.Kept != "") {
		o.m.cfg.Diagnostics.Error("tell the death of a worker", "worker", d.worker, "error", err)
	}
}

// smallBuffer is enough for the one record of a publisher that lives for it.
const smallBuffer = 256 << 10

// rings are the buffer files in a directory, of the living and of the dead.
func rings(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // gone: then there is nothing to wait for
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ring.Suffix) && e.Type()&fs.ModeType == 0 {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths
}

// owners are the process ids of those who made the buffer files in a directory.
func owners(dir string) []int {
	var pids []int
	for _, path := range rings(dir) {
		if info, err := ring.Peek(path); err == nil {
			pids = append(pids, info.PID)
		}
	}
	return pids
}
