package collector

import (
	"slices"
	"sync"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

// The identity of the collector's own records. Its run is new at every start, like a publisher's.
const (
	ownApp    = "logbraid"
	ownWorker = "collector"
)

// maxRecord is the longest line that the collector itself makes, of a foreign message or of its own.
const maxRecord = 256 << 10

// notes are records of the collector's own that wait for the next group: it started, a file was damaged,
// the disk was full. Any goroutine may say something; the writer takes. They have no seq yet, since a
// group that fails gives its seqs back.
type notes struct {
	ready chan struct{} // holds a token while there may be something to take

	mu      sync.Mutex
	waiting []note
	missed  int // not kept because too many were waiting
}

// A note is a record up to its identity.
type note []byte

const maxNotes = 1000

func newNotes() *notes { return &notes{ready: make(chan struct{}, 1)} }

// say adds a record; fields may be nil.
func (n *notes) say(level record.Level, msg string, fields func(l *record.Line)) {
	body := ownBody(level, msg, fields)
	n.mu.Lock()
	if len(n.waiting) >= maxNotes {
		n.missed++
	} else {
		n.waiting = append(n.waiting, body)
	}
	n.mu.Unlock()
	n.kick()
}

func ownBody(level record.Level, msg string, fields func(l *record.Line)) note {
	l := record.GetLine()
	defer l.Free()
	l.Start(time.Now(), level, record.OwnLogger, msg)
	if fields != nil {
		fields(l)
	}
	return slices.Clone(l.Finish(maxRecord))
}

// take appends all notes to dst.
func (n *notes) take(dst []note) []note {
	n.mu.Lock()
	defer n.mu.Unlock()
	dst = append(dst, n.waiting...)
	clear(n.waiting)
	n.waiting = n.waiting[:0]
	if n.missed > 0 {
		missed := n.missed
		n.missed = 0
		dst = append(dst, ownBody(record.Warn, "more happened than the collector could note", func(l *record.Line) {
			l.Int("count", int64(missed))
		}))
	}
	return dst
}

// unshift puts the notes of a failed group back in front.
func (n *notes) unshift(again []note) {
	n.mu.Lock()
	n.waiting = slices.Concat(again, n.waiting)
	n.mu.Unlock()
	n.kick()
}

func (n *notes) empty() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.waiting) == 0 && n.missed == 0
}

func (n *notes) kick() {
	select {
	case n.ready <- struct{}{}:
	default:
	}
}

// newRun makes a run whose seqs the collector itself gives.
func (w *writer) newRun(app, worker string) *run {
	r := &run{id: record.Identity{App: app, Worker: worker, Run: record.NewRun()}}
	w.identify(r)
	w.table.add(r)
	return r
}

// writeOwn writes one record of a run whose seqs the collector gives.
func (w *writer) writeOwn(g *group, body []byte, r *run) error {
	g.touch(r)
	r.now.last++
	w.line = append(w.line[:0], body...)
	w.line = append(w.line, r.tail...)
	w.line = record.AppendEnd(w.line, r.now.last)
	return w.router.route(g, piece{lines: w.line}, 1, r)
}

// writeGap tells in the log that records of a run are missing for ever (I4).
func (w *writer) writeGap(g *group, r *run, b record.Batch, lost uint64) error {
	body := ownBody(record.Error, record.MsgLost, func(l *record.Line) {
		l.Str("lost_app", r.id.App)
		l.Str("lost_worker", r.id.Worker)
		l.Str("lost_run", r.id.Run)
		l.Uint("count", lost)
		l.Uint("first", r.now.last+1) // somewhere in first to last; drops may lie between
		l.Uint("last", b.First-1)
	})
	g.tally.own++
	return w.writeOwn(g, body, w.self)
}
