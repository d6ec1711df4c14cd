package publisher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/record"
)

// DrainConfig says which buffer files to drain, and where to.
type DrainConfig struct {
	// Dir is the buffer directory.
	Dir string
	// NC is the connection to use; it is left open. Nil: one is made from Conn.
	NC   *nats.Conn
	Conn Connection
	// Delivery and Stream are as in [Config].
	Delivery, Stream string
	// Only chooses by identity. Nil: all.
	Only func(record.Identity) bool
	// Batch and MaxRecord are as in [Config]. MaxRecord holds for crash records.
	Batch, MaxRecord int
	// BatchCompression is as in [Config].
	BatchCompression string
	// Annotate adds fields to the record of a crash, such as how the process
	// ended. Nil: none.
	Annotate func(id record.Identity, line *record.Line)
	// Diagnostics is as in [Config].
	Diagnostics *slog.Logger

	own      *record.Identity // only the earlier runs of this worker
	progress *atomic.Uint64   // goes up with each acknowledgement; nil: nobody looks
}

// DrainReport tells what a [Drain] found and did.
type DrainReport struct {
	Runs       []DrainedRun // of processes that are gone, delivered to the end
	InUse      int          // files whose owner lives, or that somebody else drains
	Unreadable []string     // files that were no buffer any more, by the name under which they were set aside
}

// DrainedRun is what became of a dead process's buffer.
type DrainedRun struct {
	Identity record.Identity
	PID      int
	Started  time.Time
	Last     uint64 // the last seq of the run
	Sent     uint64 // records that were acknowledged now; some may have been before
	Dropped  uint64 // of the whole run
	Closed   bool   // its publisher had been closed, and could not wait until all was delivered
	Crash    string // message of the crash record, if there was a crash output
	Damage   string // what was wrong with the file; it was then set aside under SetAside
	SetAside string
}

// Drain delivers what processes that are gone have left in their buffer files:
// their records, under their own run and seqs, then one record with the crash
// output if there is any, then the end of the run. It takes the files of those
// that it can lock; two drainers never take the same. What was delivered before
// is known to the collector and not written again (I4), so a drainer may be
// killed at any point and started again.
//
// It returns when all is acknowledged. If ctx ends before, the error is an
// [*UnackedError] for the file at hand; nothing is lost.
func Drain(ctx context.Context, cfg DrainConfig) (DrainReport, error) {
	var report DrainReport
	var problems problem.List
	if addCompression(&problems, cfg.BatchCompression); len(problems) > 0 {
		return report, problems.Err()
	}
	if cfg.Diagnostics == nil {
		cfg.Diagnostics = slog.New(slog.DiscardHandler)
	}
	if cfg.Batch == 0 {
		cfg.Batch = DefaultBatch
	}
	if cfg.MaxRecord == 0 {
		cfg.MaxRecord = DefaultMaxRecord
	}
	if cfg.NC == nil {
		nc, err := natsconn.Connect(cfg.Conn, natsconn.LogHooks(cfg.Diagnostics))
		if err != nil {
			return report, fmt.Errorf("drain buffers: %w", err)
		}
		defer nc.Close()
		cfg.NC = nc
	}
	paths, err := orphans(cfg)
	if err != nil || len(paths) == 0 {
		return report, err
	}
	d := drainer{cfg: cfg, report: &report}
	defer d.close()
	var errs []error
	for _, path := range paths {
		if err := d.drain(ctx, path); err != nil {
			errs = append(errs, fmt.Errorf("drain buffer: %w", err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return report, errors.Join(errs...)
}

// orphans lists the buffer files, the oldest first, so that the runs of a worker
// reach the log in their order. Some of them may be in use.
func orphans(cfg DrainConfig) ([]string, error) {
	entries, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("drain buffers: %w", err)
	}
	type file struct {
		path    string
		created time.Time
	}
	var files []file
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ring.Suffix) || !e.Type().IsRegular() {
			continue
		}
		if cfg.own != nil && (!ring.OfWorker(e.Name(), cfg.own.Worker) || e.Name() == ring.FileName(*cfg.own)) {
			continue // by its name alone: hundreds of workers start at once, each beside the files of all
		}
		f := file{path: filepath.Join(cfg.Dir, e.Name())}
		info, err := ring.Peek(f.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // drained by somebody else
		case err != nil && cfg.Only != nil:
			continue // cannot tell whose it is
		case err == nil && cfg.Only != nil && !cfg.Only(info.Identity):
			continue
		}
		f.created = info.Created
		files = append(files, f)
	}
	slices.SortStableFunc(files, func(a, b file) int { return a.created.Compare(b.created) })
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = f.path
	}
	return paths, ring.RemoveUnfinished(cfg.Dir)
}

type drainer struct {
	cfg    DrainConfig
	report *DrainReport
	link   *link // made for the first file that is an orphan: most are in use
}

func (d *drainer) open() (err error) {
	if d.link == nil {
		d.link, err = newLink(d.cfg.NC)
	}
	return err
}

func (d *drainer) close() {
	if d.link != nil {
		d.link.close()
	}
}

func (d *drainer) drain(ctx context.Context, path string) error {
	r, damage, err := ring.OpenOrphan(path)
	switch {
	case errors.Is(err, ring.ErrOwned):
		d.report.InUse++
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, ring.ErrUnreadable):
		name, errAside := ring.SetAside(path)
		d.report.Unreadable = append(d.report.Unreadable, name)
		return errors.Join(err, errAside)
	case err != nil:
		return err
	}
	defer func() { _ = r.Close() }() // leaves the file in place, unless it was removed
	if err := d.open(); err != nil {
		return err
	}

	run, err := d.deliver(ctx, r)
	if err != nil {
		return err
	}
	// The crash output goes first: a ring without one can be drained again, a
	// crash output without its ring has no run.
	if err := os.Remove(crashPath(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove crash output: %w", err)
	}
	if !damage.Any() {
		err = r.Remove()
	} else {
		run.Damage = damage.String()
		run.SetAside, err = r.SetAside()
		d.cfg.Diagnostics.Error("a buffer file was damaged", "damage", run.Damage, "file", run.SetAside,
			"app", run.Identity.App, "worker", run.Identity.Worker, "run", run.Identity.Run)
	}
	d.report.Runs = append(d.report.Runs, run)
	return err
}

// deliver sends everything that the ring of a dead process holds and what is to
// be said of its end.
func (d *drainer) deliver(ctx context.Context, r *ring.Ring) (DrainedRun, error) {
	info := r.Info()
	run := DrainedRun{Identity: info.Identity, PID: info.PID, Started: info.Created}
	c := &courier{
		link:     d.link,
		ring:     r,
		subject:  record.Subject(info.Prefix, info.Identity.App, info.Identity.Worker),
		stream:   streamOf(d.cfg.Delivery, d.cfg.Stream),
		batch:    d.cfg.Batch,
		window:   newWindow(d.cfg.Batch),
		encode:   d.cfg.BatchCompression == record.S2,
		diag:     d.cfg.Diagnostics,
		resent:   new(atomic.Uint64),
		rejected: func(drops) {}, // Untold knows
	}
	before := r.Stats()
	err := d.all(ctx, c)
	if err == nil {
		if run.Crash, err = d.addLastWords(r); err == nil {
			err = d.all(ctx, c)
		}
	}
	if err == nil {
		err = c.end(ctx.Done())
	}
	if errors.Is(err, errAborted) {
		err = &UnackedError{Records: r.Stats().Held, Kept: r.Path(), cause: context.Cause(ctx)}
	}
	s := r.Stats()
	run.Last, run.Dropped, run.Sent, run.Closed = s.Last, s.Drops(), before.Held-s.Held, before.Sealed
	return run, err
}

func (d *drainer) all(ctx context.Context, c *courier) error {
	for {
		sent, err := c.send(ctx.Done())
		if err != nil || !sent {
			return err
		}
		if d.cfg.progress != nil {
			d.cfg.progress.Add(1)
		}
	}
}

// addLastWords appends what the dead process could not say any more: that it had
// dropped records, and why it died. The ring is empty. Time and text come from
// the files, so whoever says it says the same.
func (d *drainer) addLastWords(r *ring.Ring) (crash string, err error) {
	if count, first, last := r.Untold(); count > 0 {
		line := record.GetLine()
		defer line.Free()
		line.Start(r.Modified(), record.Warn, record.OwnLogger, record.MsgDropped)
		line.Uint("count", count)
		line.Uint("first", first)
		line.Uint("last", last)
		if _, err := r.AppendTold(line.Finish(ownRecord), count, last); err != nil {
			return "", fmt.Errorf("tell of drops: %w", err)
		}
	}
	text, at, err := readCrash(crashPath(r.Path()))
	if err != nil || text == "" {
		return "", err
	}
	info := r.Info()
	line := record.GetLine()
	defer line.Free()
	startCrash(line, text, at, info.PID)
	if d.cfg.Annotate != nil {
		d.cfg.Annotate(info.Identity, line)
	}
	if _, err := r.Append(line.Finish(min(d.cfg.MaxRecord, r.Stats().Capacity/2)), 100); err != nil {
		return "", fmt.Errorf("add crash output: %w", err)
	}
	return crashMessage(text), nil
}

// drainOwn takes up what earlier runs of the same worker have left: a broker lets
// a worker publish to its own subject only.
func (p *Publisher) drainOwn(ctx context.Context) {
	defer close(p.drained)
	if p.ring.Path() == "" {
		return
	}
	report, err := Drain(ctx, DrainConfig{
		Dir:      p.cfg.BufferDir,
		NC:       p.nc,
		Delivery: p.cfg.Delivery,
		Stream:   p.cfg.Stream,
		Only: func(id record.Identity) bool {
			return id.App == p.id.App && id.Worker == p.id.Worker && id.Run != p.id.Run
		},
		Batch:            p.cfg.Batch,
		MaxRecord:        p.cfg.MaxRecord,
		BatchCompression: p.cfg.BatchCompression,
		Diagnostics:      p.cfg.Diagnostics,
		own:              &p.id,
		progress:         &p.drainProgress,
	})
	for _, run := range report.Runs {
		p.cfg.Diagnostics.Info("delivered what an earlier run had left", "run", run.Identity.Run, "records", run.Sent, "crash", run.Crash)
	}
	var unacked *UnackedError
	switch {
	case ctx.Err() == nil:
		p.complain("drain the buffers of earlier runs", err)
	case errors.As(err, &unacked):
		p.cfg.Diagnostics.Warn("what an earlier run had left is kept for the next start", "records", unacked.Records, "file", unacked.Kept)
	}
}
