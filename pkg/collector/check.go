package collector

import (
	"errors"
	"fmt"
	"slices"

	"github.com/logbraid/logbraid/internal/compress"
	"github.com/logbraid/logbraid/pkg/record"
)

var errForged = errors.New("the run belongs to another subject")

// check finds out which run a batch belongs to and whether the message holds together: the header can be
// read; the run is this subject's; each line ends in the identity that subject and header name; checksum, count and
// seqs are as the header says. It returns the lines, as far as it got to them. The run is not in the table yet when this is
// the first that is seen of it: a message that lies leaves no trace there.
func (w *writer) check(m *message) (b record.Batch, r *run, lines []byte, err error) {
	if b, err = record.ParseBatch(m.header); err != nil {
		return b, nil, nil, err
	}
	r = w.table.runs[b.Run]
	if r == nil {
		app, worker, err := record.ParseSubject(w.prefix, m.subject)
		if err != nil {
			return b, nil, nil, err
		}
		r = &run{id: record.Identity{App: app, Worker: worker, Run: b.Run}, subject: m.subject}
	}
	unbound := r.subject == "" && r.now.rebuilt
	if !unbound && r.subject != m.subject {
		return b, nil, nil, errForged
	}
	if lines, err = w.decode(b, m); err != nil {
		return b, nil, nil, err
	}
	if unbound {
		return b, r, lines, w.bind(r, b, m, lines)
	}
	if r.tail == nil {
		w.identify(r)
	}
	return b, r, lines, b.Check(lines, r.tail)
}

// decode returns the lines of a batch, which stay until the group is written.
func (w *writer) decode(b record.Batch, m *message) ([]byte, error) {
	if b.Enc == "" {
		return m.data, nil
	}
	used, free := len(w.decoded), cap(w.decoded)-len(w.decoded)
	if n, err := compress.Size(m.data); err != nil {
		return nil, err
	} else if n > free {
		// Lines of this group are in the old memory, which stays theirs.
		w.decoded, used = make([]byte, 0, max(n, 2*cap(w.decoded), 1<<20)), 0
	}
	lines, err := compress.Decode(w.decoded[used:], m.data)
	w.decoded = w.decoded[:used+len(lines)]
	return slices.Clip(lines), err
}

// bind gives a subject to a run that was found in the log files after the journal was lost. Nothing there
// says which it was, so it is that of the first batch that holds together, as for a new run.
func (w *writer) bind(r *run, b record.Batch, m *message, lines []byte) error {
	app, worker, err := record.ParseSubject(w.prefix, m.subject)
	if err != nil {
		return err
	}
	found := run{id: record.Identity{App: app, Worker: worker, Run: b.Run}}
	w.identify(&found)
	if err := b.Check(lines, found.tail); err != nil {
		return err
	}
	w.table.bind(r, found.id, m.subject)
	r.tail, r.routes = found.tail, found.routes
	return nil
}

// identify computes what is the same for all records of a run.
func (w *writer) identify(r *run) {
	r.tail = record.AppendTail(nil, r.id)
	r.routes = w.router.wanted(r.id.App, r.id.Worker)
}

// admit deals with one batch: check, I4, route. An error concerns the whole group (a file cannot be opened).
func (w *writer) admit(g *group, m *message) error {
	b, r, lines, err := w.check(m)
	if err != nil {
		return w.reject(g, m, b, lines, err)
	}
	if m.stored() {
		b.Oldest = 0 // what its publisher held was stored before it: nobody can be asked for more
	}
	v := judge(r.now, b, func(seq uint64) int { _, n := linesAfter(lines, seq); return n })
	switch v.action {
	case reject:
		return w.reject(g, m, b, lines, fmt.Errorf("%w (after %d)", v.err, r.now.last))
	case want:
		g.tally.wanted++
		g.answer(m, record.Ack{Kind: record.AckWant, Run: b.Run, Seq: r.now.last + 1})
		return nil
	case duplicate:
		g.tally.duplicates += uint64(b.Count)
		g.answer(m, record.Ack{Kind: record.AckCommitted, Run: b.Run, Seq: r.now.last})
		return nil
	}

	if w.table.runs[b.Run] == nil {
		w.table.add(r)
	}
	if v.lost > 0 {
		if err := w.writeGap(g, r, b, v.lost); err != nil {
			return err
		}
	}
	p, n := piece{lines: lines, lasting: true, summed: true, sum: b.CRC}, b.Count
	if b.First <= v.after {
		lines, n = linesAfter(lines, v.after)
		p = p.part(lines)
		g.tally.duplicates += uint64(b.Count - n)
	}
	g.touch(r)
	r.now = v.next
	g.tally.batches++
	g.tally.bytes += uint64(len(lines))
	g.answer(m, record.Ack{Kind: record.AckCommitted, Run: b.Run, Seq: r.now.last})
	if n == 0 {
		return nil
	}
	return w.router.route(g, p, n, r)
}

// linesAfter returns the lines of a checked payload whose seq is above the given one (they are its last), and
// how many they are.
func linesAfter(payload []byte, seq uint64) (rest []byte, n int) {
	offset, from := 0, len(payload)
	for line := range Lines(payload).All() {
		if t, _ := record.ScanTail(line); t.Seq > seq {
			n++
			from = min(from, offset)
		}
		offset += len(line) + 1
	}
	return payload[from:], n
}
