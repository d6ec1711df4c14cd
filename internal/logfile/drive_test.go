package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/logbraid/logbraid/pkg/record"
)

// driver is a collector in small, with publishers that resend what is not
// acknowledged: it appends the records of a few runs to two files, all of them
// to all.jsonl and those of run a to a.log, commits, and after an error goes on
// from the table that Resume returns.
type driver struct {
	t     *testing.T
	store *Store
	all   *File
	a     *File
	rand  *rand.Rand
	table map[string]Run
	// acked is the highest table of which an acknowledgement was given, sent
	// that of what was ever tried.
	acked, sent map[string]Run
	failures    int
	// synced is the furthest that Store.Synced said a stream may be purged.
	synced uint64
	// following are the lines that a file is to ask for in the commit that is being made.
	following map[*File][]byte
}

const logDir = "/srv/logs"

var (
	driverRuns = []string{"a", "b", "c"}
	allOptions = FileOptions{Rotate: 900, Compress: Gzip}
	aOptions   = FileOptions{Rotate: 400, Keep: 1000}
)

// line is a record as it stands in the files.
func line(run string, seq uint64) string {
	return fmt.Sprintf(`{"msg":"%s","app":"x","worker":"w","run":"%s","seq":%d}`+"\n", strings.Repeat("m", int(seq*7%23)), run, seq)
}

// openDriver opens a store on the mount, with no goroutines.
func openDriver(t *testing.T, m *mount, o Options) (*driver, error) {
	d := &driver{t: t, rand: rand.New(rand.NewPCG(1, 2)), acked: map[string]Run{}, sent: map[string]Run{}, following: map[*File][]byte{}}
	return d, d.open(m, o)
}

func (d *driver) open(m *mount, o Options) error {
	o.FS = m
	if o.Clock == nil {
		o.Clock = func() time.Time { return m.disk.now }
	}
	s, _, err := open(logDir, o, true)
	if err != nil {
		return err
	}
	s.journal.step, s.journal.limit = 100, 2000
	d.store = s
	if d.all, err = s.File("all.jsonl", allOptions); err != nil {
		return errors.Join(err, s.Close())
	}
	if d.a, err = s.File("a.log", aOptions); err != nil {
		return errors.Join(err, s.Close())
	}
	d.table = s.Runs()
	return nil
}

// position is where a stream stands whose messages are the records of the table,
// one each: Source must say the same after every recovery (I6).
func position(table map[string]Run) *Source {
	s := &Source{Stream: "LOGS", Created: time.Unix(1_700_000_000, 1).UTC()}
	for _, r := range table {
		s.Seq += r.Last
	}
	return s
}

// checkPosition holds the position against the table, and against how far the
// stream was purged.
func (d *driver) checkPosition() error {
	got := d.store.Source()
	if want := *position(d.table); got != want && got != (Source{}) || got.Seq != want.Seq {
		return fmt.Errorf("position %v, table says %v", got, want)
	}
	if got.Seq < d.synced {
		return fmt.Errorf("position %v, purged up to %d", got, d.synced)
	}
	if now := d.store.Synced().Seq; now > got.Seq {
		return fmt.Errorf("synced up to %d, which is beyond the position %v", now, got)
	}
	d.synced = max(d.synced, d.store.Synced().Seq)
	return nil
}

// log appends a record to its files, in one of the ways there are.
func (d *driver) log(id string, seq uint64) {
	files := []*File{d.all}
	if id == "a" {
		files = append(files, d.a)
	}
	for _, f := range files {
		p := []byte(line(id, seq))
		switch lines, way := d.following[f], d.rand.IntN(4); {
		case lines != nil: // nothing may come behind them
			d.following[f] = append(lines, p...)
		case seq%6 == 5:
			d.following[f] = p
			f.Follow(func() ([]byte, *uint32) {
				lines := d.following[f]
				delete(d.following, f)
				return lines, nil
			})
		case way == 0:
			f.Lend(p, nil)
		case way == 1:
			sum := record.Checksum(p)
			f.Lend(p, &sum)
		default:
			f.Append(p)
		}
	}
}

// commit sends some records of some runs. With mistakes, it resumes after them.
func (d *driver) commit() error {
	var c Commit
	for _, id := range driverRuns {
		n := d.rand.IntN(4)
		if n == 0 {
			continue
		}
		run := d.table[id]
		for range n {
			run.Last++
			d.log(id, run.Last)
		}
		run.Subject = "logs.x." + id
		d.table[id] = run
		if run.Last > d.sent[id].Last {
			d.sent[id] = run
		}
		c.Runs = append(c.Runs, RunDelta{id, run})
	}
	var result error
	called := false
	table := maps.Clone(d.table)
	c.Source = position(table)
	d.store.Commit(c, func(err error) {
		called = true
		if result = err; err == nil {
			d.acked = table
		}
	})
	if !called {
		d.t.Fatal("done was not called")
	}
	d.synced = max(d.synced, d.store.Synced().Seq)
	if result != nil {
		d.failures++
	}
	return result
}

// resume goes on after an error, trying a few times.
func (d *driver) resume() error {
	var err error
	for range 4 {
		var table map[string]Run
		if table, err = d.store.Resume(); err == nil {
			d.table = table
			return d.checkPosition()
		}
	}
	return err
}

// script is everything that a store does, in a fixed order. An error is one
// that could not be overcome.
func (d *driver) script() error {
	for i := range 14 {
		d.store.main.fs.(*mount).advance(time.Second)
		err := d.commit()
		switch {
		case err != nil:
		case i%4 == 1:
			err = d.store.Check()
			d.synced = max(d.synced, d.store.Synced().Seq)
		case i == 6:
			err = d.store.Rotate()
		case i == 9:
			err = d.store.Reopen()
		}
		if err != nil {
			if err := d.resume(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *mount) advance(d time.Duration) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.disk.now = m.disk.now.Add(d)
}

// settleDown sends what was tried and not acknowledged, as publishers do, until
// everything is.
func (d *driver) settleDown() error {
	for range 5 {
		var c Commit
		for _, id := range driverRuns {
			run := d.table[id]
			for run.Last < d.sent[id].Last {
				run.Last++
				d.log(id, run.Last)
			}
			d.table[id] = run
			c.Runs = append(c.Runs, RunDelta{id, run})
		}
		var result error
		table := maps.Clone(d.table)
		c.Source = position(table)
		d.store.Commit(c, func(err error) {
			if result = err; err == nil {
				d.acked = table
			}
		})
		if result == nil {
			return nil
		}
		if err := d.resume(); err != nil {
			return err
		}
	}
	return errors.New("could not commit")
}

// content is what a log file and its rotated generations hold, in order. A
// generation that exists twice, or is compressed badly, is an error.
func (d *disk) content(name string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, err := d.find(path.Dir(name), true)
	if err != nil {
		return "", err
	}
	base := path.Base(name)
	pieces := map[uint64]string{}
	for entry, n := range dir.entries {
		r, ok := parseRotated(entry)
		if !ok || r.base != base {
			continue
		}
		if r.temporary {
			return "", fmt.Errorf("%s was left", entry)
		}
		if _, ok := pieces[r.number]; ok {
			return "", fmt.Errorf("%s.%06d is there twice", base, r.number)
		}
		text, err := plain(n.data, r.extension)
		if err != nil {
			return "", fmt.Errorf("%s: %w", entry, err)
		}
		pieces[r.number] = text
	}
	var b strings.Builder
	for _, number := range slices.Sorted(maps.Keys(pieces)) {
		b.WriteString(pieces[number])
	}
	if n := dir.entries[base]; n != nil {
		b.Write(n.data)
	}
	return b.String(), nil
}

func plain(data []byte, extension string) (string, error) {
	var r io.Reader = bytes.NewReader(data)
	var err error
	switch extension {
	case ".gz":
		r, err = gzip.NewReader(r)
	case ".zst":
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(r)
	return string(text), err
}

// sequences are the seqs of each run in a text, or an error if a line is torn, or
// a run is out of order, has a gap or a record twice.
func sequences(text string) (map[string]uint64, error) {
	last := map[string]uint64{}
	for l := range strings.Lines(text) {
		_, rest, ok1 := strings.Cut(l, `"run":"`)
		run, rest, ok2 := strings.Cut(rest, `","seq":`)
		number, _ := strings.CutSuffix(rest, "}\n")
		seq, err := strconv.ParseUint(number, 10, 64)
		if !ok1 || !ok2 || err != nil || l != line(run, seq) {
			return nil, fmt.Errorf("torn line %q", l)
		}
		if seq != last[run]+1 {
			return nil, fmt.Errorf("run %s: %d after %d", run, seq, last[run])
		}
		last[run] = seq
	}
	return last, nil
}

// check holds the files against a table: exactly its records, each once, in
// order.
func (d *disk) check(table map[string]Run) error {
	all, err := d.content(logDir + "/all.jsonl")
	if err != nil {
		return err
	}
	got, err := sequences(all)
	if err != nil {
		return fmt.Errorf("all.jsonl: %w", err)
	}
	for _, id := range driverRuns {
		if got[id] != table[id].Last {
			return fmt.Errorf("all.jsonl: run %s ends at %d, table says %d", id, got[id], table[id].Last)
		}
	}
	text, err := d.content(logDir + "/a.log")
	if err != nil {
		return err
	}
	if got, err = sequences(text); err != nil {
		return fmt.Errorf("a.log: %w", err)
	}
	if got["a"] != table["a"].Last || got["b"] != 0 || got["c"] != 0 {
		return fmt.Errorf("a.log: run a ends at %d, table says %d", got["a"], table["a"].Last)
	}
	return nil
}

// atLeast reports a run of which less is in the table than was acknowledged, or
// more than was sent.
func within(table, acked, sent map[string]Run) error {
	for _, id := range driverRuns {
		if table[id].Last < acked[id].Last {
			return fmt.Errorf("run %s: %d was acknowledged, table says %d", id, acked[id].Last, table[id].Last)
		}
		if table[id].Last > sent[id].Last {
			return fmt.Errorf("run %s: %d was sent, table says %d", id, sent[id].Last, table[id].Last)
		}
	}
	return nil
}

// names lists the log directory, for messages.
func (d *disk) names() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, err := d.find(logDir, true)
	if err != nil {
		return err.Error()
	}
	return strings.Join(slices.Sorted(maps.Keys(dir.entries)), " ")
}
