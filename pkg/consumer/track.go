package consumer

import (
	"bytes"
	"container/list"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/logbraid/logbraid/internal/compress"
	"github.com/logbraid/logbraid/pkg/record"
)

// This file is I4 as a reader sees it: which lines of a batch are new, and what stands between them and
// the last. It differs from the collector's in that nobody can be asked for what is missing.

// A message is what a source delivers. Nothing else refers to data.
type message struct {
	subject  string
	header   string
	batch    bool // has a header of ours; without it, it is foreign
	data     []byte
	at       time.Time // for a foreign record without a time
	sequence uint64    // in the stream; 0 in direct delivery
}

// A part is what becomes of a message, in order: lines of one run, or news.
type part struct {
	lines    []byte // whole lines
	n        int
	from     *run
	prev     uint64 // the seq before the first line that is accounted for
	last     uint64 // the last line's seq
	foreign  bool
	sequence uint64
	news     error
}

func (p *part) size() int { return 256 + len(p.lines) }

// A run is what the consumer knows of one.
type run struct {
	id      record.Identity
	subject string
	tail    []byte
	wanted  bool // its worker passes the filter

	last    uint64 // every seq up to here is accounted for
	dropped uint64 // seqs up to last that the publisher says it dropped
	ended   bool
	// held are batches that overtook older ones, which their publisher still holds and so may send
	// again.
	held []heldBatch
}

type heldBatch struct {
	record.Batch
	message
}

const (
	// maxRuns bounds the memory of runs: about 300 bytes each. The one that was silent longest is
	// forgotten; when it speaks again, it counts as new.
	maxRuns = 65_536
	// maxHeld bounds the batches that wait for older ones.
	maxHeld = 16 << 20
	// forever is beyond every seq.
	forever = 1 << 63
)

var (
	errForged   = errors.New("the run belongs to another subject")
	errBackward = errors.New("fewer records dropped than in an earlier batch")
)

// A tracker turns messages into parts. One goroutine at a time uses it.
type tracker struct {
	prefix string
	filter record.Filter
	shared bool // others get a part of the messages: what is missing means nothing
	emit   func(part)

	runs  map[string]*list.Element // of *run
	order list.List                // the run that spoke last stands first
	most  int                      // runs
	held  int                      // bytes
}

func newTracker(prefix string, filter record.Filter, shared bool, emit func(part)) *tracker {
	return &tracker{prefix: prefix, filter: filter, shared: shared, emit: emit, runs: make(map[string]*list.Element), most: maxRuns}
}

func (t *tracker) take(m message) {
	if !m.batch {
		t.foreign(m)
		return
	}
	b, r, err := t.check(&m)
	if err == nil {
		err = t.admit(r, b, m)
	}
	if err != nil {
		t.emit(part{news: &Rejected{m.subject, err}})
	}
}

// check finds out which run a batch belongs to and whether the message holds together. A run that is new is
// remembered only when it does. Then m.data is the lines.
func (t *tracker) check(m *message) (record.Batch, *run, error) {
	b, err := record.ParseBatch(m.header)
	if err != nil {
		return b, nil, err
	}
	if e := t.runs[b.Run]; e != nil {
		r := e.Value.(*run)
		if r.subject != m.subject {
			return b, nil, errForged
		}
		t.order.MoveToFront(e)
		return b, r, m.open(b, r.tail)
	}
	app, worker, err := record.ParseSubject(t.prefix, m.subject)
	if err != nil {
		return b, nil, err
	}
	id := record.Identity{App: app, Worker: worker, Run: b.Run}
	r := &run{id: id, subject: m.subject, tail: record.AppendTail(nil, id), wanted: t.filter.MatchIdentity(app, worker)}
	if err := m.open(b, r.tail); err != nil {
		return b, nil, err
	}
	t.begin(r, b)
	return b, r, nil
}

// open decodes what the message carries, and reports how it differs from what b says.
func (m *message) open(b record.Batch, tail []byte) (err error) {
	if b.Enc != "" {
		if m.data, err = compress.Decode(nil, m.data); err != nil {
			return err
		}
	}
	return b.Check(m.data, tail)
}

// begin takes up a run at its first batch. What it sent before was not for us, unless nothing was sent: then
// what it dropped is told, as it will be of every later drop.
func (t *tracker) begin(r *run, b record.Batch) {
	r.last = b.First - 1
	if before := b.Dropped - min(b.Dropped, b.Last-r.last-uint64(b.Count)); before < r.last {
		r.dropped = before
	} else {
		r.last = 0
	}
	if t.order.Len() >= t.most {
		oldest := t.order.Back()
		gone := oldest.Value.(*run)
		t.settle(gone, forever)
		t.order.Remove(oldest)
		delete(t.runs, gone.id.Run)
	}
	t.runs[b.Run] = t.order.PushFront(r)
}

// admit emits what is new of a batch that holds together.
func (t *tracker) admit(r *run, b record.Batch, m message) error {
	if t.shared {
		t.admitShared(r, b, m)
		return nil
	}
	if b.Last < r.last || b.Last == r.last && (!b.End || r.ended) {
		return nil // sent again
	}
	if b.Dropped < r.dropped {
		return errBackward
	}
	if b.First > r.last+1 && b.Oldest != 0 && b.Oldest < b.First {
		t.hold(r, b, m)
		return nil
	}
	// What was held comes first where it is older; nothing older than what the publisher still holds can
	// come any more.
	t.settle(r, b.First)
	if err := t.write(r, b, m); err != nil {
		return err
	}
	t.settle(r, 0)
	return nil
}

// write emits the lines behind r.last, after what is missing before them.
func (t *tracker) write(r *run, b record.Batch, m message) error {
	if b.Last < r.last || b.Last == r.last && (!b.End || r.ended) {
		return nil
	}
	lines, n := m.data, b.Count
	if b.First <= r.last {
		if lines, n = linesAfter(m.data, r.last); b.Enc != "" {
			lines = bytes.Clone(lines) // the rest of what was decoded may be a thousand times that
		}
	}
	told := b.Dropped - r.dropped
	first := max(b.First, r.last+1)
	holes := b.Last - (first - 1) - uint64(n)
	if told < holes {
		return errBackward // between the lines of one batch only drops can be missing
	}
	if gap := first - 1 - r.last; gap > 0 && r.wanted {
		dropped := min(told-holes, gap)
		t.emit(part{from: r, news: &Gap{Identity: r.id, First: r.last + 1, Last: first - 1, Missed: gap - dropped, Dropped: dropped}})
	}
	r.last, r.dropped, r.ended = b.Last, b.Dropped, b.End
	if n > 0 && r.wanted {
		t.emit(part{lines: lines, n: n, from: r, prev: first - 1, last: b.Last, sequence: m.sequence})
	}
	return nil
}

// hold keeps a batch that overtook another.
func (t *tracker) hold(r *run, b record.Batch, m message) {
	if slices.ContainsFunc(r.held, func(h heldBatch) bool { return h.First == b.First && h.Last == b.Last }) {
		return
	}
	r.held = append(r.held, heldBatch{b, m})
	slices.SortStableFunc(r.held, func(a, b heldBatch) int {
		if a.First < b.First {
			return -1
		}
		return 1
	})
	t.held += len(m.data)
	t.settle(r, b.Oldest)
	if t.held > maxHeld {
		t.settle(r, forever)
	}
}

// settle emits the held batches that follow on what is here, and those that begin before a seq: everything
// older than that is here, or gone.
func (t *tracker) settle(r *run, before uint64) {
	for len(r.held) > 0 && (r.held[0].First <= r.last+1 || r.held[0].First < before) {
		h := r.held[0]
		r.held = r.held[1:]
		t.held -= len(h.data)
		if err := t.write(r, h.Batch, h.message); err != nil {
			t.emit(part{news: &Rejected{r.subject, err}})
		}
	}
}

// releaseAll emits everything that is held: what it waited for has not come.
func (t *tracker) releaseAll() {
	for e := t.order.Back(); e != nil && t.held > 0; e = e.Prev() {
		t.settle(e.Value.(*run), forever)
	}
}

// admitShared emits a batch of which only we know: its neighbours went to others.
func (t *tracker) admitShared(r *run, b record.Batch, m message) {
	if b.Last == r.last {
		return // the same again, or an end
	}
	r.last = b.Last
	if b.Count > 0 && r.wanted {
		t.emit(part{lines: m.data, n: b.Count, from: r, prev: b.First - 1, last: b.Last, sequence: m.sequence})
	}
}

// linesAfter returns the lines of a checked payload whose seq is above the given one (they are its last), and
// how many they are.
func linesAfter(payload []byte, seq uint64) (rest []byte, n int) {
	for len(payload) > 0 {
		end := bytes.IndexByte(payload, '\n') + 1
		if t, _ := record.ScanTail(payload[:end]); t.Seq > seq {
			return payload, bytes.Count(payload, []byte{'\n'})
		}
		payload = payload[end:]
	}
	return nil, 0
}

// maxRecord is how long a foreign record may be, as the collector writes it.
const maxRecord = 256 << 10

// foreign emits a message without a header as a record: the line that the collector makes of it, without run
// and seq, which only the collector can give.
func (t *tracker) foreign(m message) {
	app, worker := foreignIdentity(t.prefix, m.subject)
	if !t.filter.MatchIdentity(app, worker) {
		return
	}
	l := record.GetLine()
	defer l.Free()
	record.Adopt(l, bytes.TrimRight(m.data, "\r\n"), record.Defaults{Time: m.at, Level: record.Info, Foreign: true})
	line := append([]byte(nil), l.Finish(maxRecord)...)
	line = record.AppendString(append(line, `,"app":`...), app)
	line = record.AppendString(append(line, `,"worker":`...), worker)
	line = append(line, '}', '\n')
	from := &run{id: record.Identity{App: app, Worker: worker}, subject: m.subject, wanted: true}
	t.emit(part{lines: line, n: 1, from: from, foreign: true, sequence: m.sequence})
}

// foreignIdentity makes the best of any subject, as the collector does.
func foreignIdentity(prefix, subject string) (app, worker string) {
	if app, worker, err := record.ParseSubject(prefix, subject); err == nil {
		return app, worker
	}
	app, worker, _ = strings.Cut(strings.TrimPrefix(subject, prefix+"."), ".")
	if name, err := record.Untoken(app); err == nil {
		app = name
	}
	return app, worker
}
