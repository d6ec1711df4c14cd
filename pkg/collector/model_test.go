package collector

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// A model of the protocol: one run's publisher, a network that loses, duplicates and reorders, and a
// collector that crashes at any point. Publisher and network are made up; what decides is the real code:
// record.Batch's header and its parser, and judge.
//
//	go test ./pkg/collector -run Model                              # as in every CI run
//	go test ./pkg/collector -run ModelRandom -model.sequences 1000000
var (
	modelSequences = flag.Int("model.sequences", 20_000, "random sequences that TestModelRandom goes through")
	modelSeed      = flag.Uint64("model.seed", 1, "seed of TestModelRandom")
	modelRecords   = flag.Int("model.records", 2, "records that TestModelExhaustive has its publisher log; 3 takes minutes")
)

// What became of a seq at the publisher.
const (
	held    = 'h' // in the ring
	acked   = 'a' // released after an answer
	dropped = 'd' // no room: it used up its seq, and is told as dropped
	damaged = 'x' // was in the ring, became unreadable, and is told as dropped from then on
)

type modelMessage struct {
	header string // as on the wire
	seqs   []uint64
}

type model struct {
	limits limits

	// The publisher.
	fate   []byte // by seq-1
	flying []modelMessage
	closed bool // no more records; when all are answered, the end is sent
	over   bool // the end is answered

	up   []modelMessage
	down []record.Ack

	// The collector.
	log       []uint64 // what is in the file, committed or not
	now, done progress
	kept      int // len(log) at the last commit
	answers   []record.Ack
	past      []snapshot // earlier checkpoints, for a power cut

	faults faults
	stale  bool // batches from before some damage may be on their way
}

type snapshot struct {
	done progress
	kept int
}

// faults are what has happened; limits what may.
type faults struct{ crashes, damages, cuts, rebuilds int }

type limits struct {
	faults
	records, batch, window, net int
}

func newModel(l limits) *model { return &model{limits: l} }

func (m *model) clone() *model {
	c := *m
	c.fate = slices.Clone(m.fate)
	c.flying = slices.Clone(m.flying)
	c.up = slices.Clone(m.up)
	c.down = slices.Clone(m.down)
	c.log = slices.Clone(m.log)
	c.answers = slices.Clone(m.answers)
	c.past = slices.Clone(m.past)
	return &c
}

// key tells states apart. The order of what is on its way is none: anything may arrive next.
func (m *model) key() string {
	slices.SortFunc(m.up, func(a, b modelMessage) int { return strings.Compare(a.header, b.header) })
	slices.SortFunc(m.down, func(a, b record.Ack) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Seq, b.Seq))
	})
	var b strings.Builder
	fmt.Fprintf(&b, "%s %t%t %v %v %v %d %v %v|", m.fate, m.closed, m.over, m.log, m.now, m.done, m.kept, m.faults, m.past)
	for _, list := range [][]modelMessage{m.flying, m.up} {
		for _, x := range list {
			b.WriteString(x.header)
			b.WriteByte(';')
		}
		b.WriteByte('|')
	}
	fmt.Fprint(&b, m.down, m.answers)
	return b.String()
}

// A step is one thing that can happen, to the i-th of what it happens to.
type step struct {
	name string
	i    int
	do   func(m *model, i int) error
}

func (s step) String() string { return fmt.Sprint(s.name, " ", s.i) }

// steps are everything that can happen next.
func (m *model) steps() []step {
	s := make([]step, 0, 32)
	add := func(ok bool, name string, i int, do func(m *model, i int) error) {
		if ok {
			s = append(s, step{name, i, do})
		}
	}
	l, f := m.limits, m.faults
	room := len(m.up) < l.net
	more := !m.closed && len(m.fate) < l.records
	seq := len(m.fate) + 1
	add(more, "log", seq, func(m *model, _ int) error { m.fate = append(m.fate, held); return nil })
	add(more, "drop", seq, func(m *model, _ int) error { m.fate = append(m.fate, dropped); return nil })
	add(!m.closed, "close", seq, func(m *model, _ int) error { m.closed = true; return nil })
	if _, ok := m.next(1); ok && room {
		for size := 1; size <= l.batch; size++ {
			add(true, "send", size, func(m *model, size int) error {
				if x, ok := m.next(size); ok {
					m.flying = append(m.flying, x)
					m.send(x)
				}
				return nil
			})
		}
	}
	for i := range m.flying {
		add(room, "resend", i, func(m *model, i int) error { m.send(m.flying[i]); return nil })
	}
	for i := range m.up {
		add(true, "deliver", i, func(m *model, i int) error { return m.deliver(m.up[i]) })
		add(true, "lose", i, func(m *model, i int) error { m.up = slices.Delete(m.up, i, i+1); return nil })
	}
	for i := range m.down {
		add(true, "answer", i, func(m *model, i int) error { return m.answer(m.down[i]) })
		add(true, "lose answer", i, func(m *model, i int) error { m.down = slices.Delete(m.down, i, i+1); return nil })
	}
	add(len(m.answers) > 0 && len(m.down)+len(m.answers) <= l.net, "commit", 0, (*model).commit)
	add(f.crashes < l.crashes, "crash", 0, func(m *model, _ int) error { m.faults.crashes++; return m.crash() })
	add(f.rebuilds < l.rebuilds, "lose the journal", 0, func(m *model, _ int) error { m.faults.rebuilds++; return m.rebuild() })
	for i := range m.past {
		add(f.cuts < l.cuts, "power cut to", i, func(m *model, i int) error { m.faults.cuts++; return m.cut(i) })
	}
	for i, fate := range m.fate {
		add(fate == held && f.damages < l.damages, "damage", i+1, func(m *model, seq int) error {
			// The owner is dead; who drains its buffer cannot read this record, and batches the rest anew.
			m.faults.damages++
			m.fate[seq-1] = damaged
			m.flying = nil
			m.stale = true
			return nil
		})
	}
	return s
}

// next is the publisher's next batch, with at most so many lines: what it holds after the ones on their way.
func (m *model) next(size int) (modelMessage, bool) {
	if len(m.flying) >= m.limits.window || m.over {
		return modelMessage{}, false
	}
	after := uint64(0)
	if n := len(m.flying); n > 0 {
		seqs := m.flying[n-1].seqs
		if len(seqs) == 0 {
			return modelMessage{}, false // the end is on its way
		}
		after = seqs[len(seqs)-1]
	}
	b := record.Batch{Run: "r"}
	var x modelMessage
	drops := uint64(0)
	for i, f := range m.fate {
		seq := uint64(i + 1)
		switch {
		case f == dropped || f == damaged:
			drops++
		case f == held:
			if b.Oldest == 0 {
				b.Oldest = seq
			}
			if seq > after && len(x.seqs) < size {
				x.seqs = append(x.seqs, seq)
				b.Last, b.Dropped = seq, drops
			}
		}
	}
	switch {
	case len(x.seqs) > 0:
		b.First, b.Count = x.seqs[0], len(x.seqs)
	case m.closed && b.Oldest == 0 && len(m.flying) == 0 && size == 1:
		n := uint64(len(m.fate))
		b = record.Batch{Run: "r", First: n + 1, Last: n, Oldest: n + 1, Dropped: drops, End: true}
	default:
		return x, false
	}
	x.header = string(b.AppendHeader(nil))
	return x, true
}

// send puts a message on its way. What is on its way may arrive any number of times, so one copy stands for all.
func (m *model) send(x modelMessage) {
	if !slices.ContainsFunc(m.up, func(o modelMessage) bool { return o.header == x.header }) {
		m.up = append(m.up, x)
	}
}

func (m *model) respond(a record.Ack) {
	if !slices.Contains(m.answers, a) {
		m.answers = append(m.answers, a)
	}
}

// deliver gives a message to the collector.
func (m *model) deliver(x modelMessage) error {
	b, err := record.ParseBatch(x.header)
	if err != nil {
		return err
	}
	after := func(seq uint64) []uint64 {
		n, _ := slices.BinarySearch(x.seqs, seq+1)
		return x.seqs[n:]
	}
	v := judge(m.now, b, func(seq uint64) int { return len(after(seq)) })
	switch v.action {
	case reject:
		if !m.stale {
			return fmt.Errorf("%s rejected after %+v: %w", x.header, m.now, v.err)
		}
	case want:
		m.respond(record.Ack{Kind: record.AckWant, Seq: m.now.last + 1})
	case duplicate:
		m.respond(record.Ack{Kind: record.AckCommitted, Seq: m.now.last})
	case write:
		m.log = append(m.log, after(v.after)...)
		m.now = v.next
		m.respond(record.Ack{Kind: record.AckCommitted, Seq: m.now.last})
	}
	return m.check()
}

func (m *model) commit(int) error {
	if m.done != m.now {
		if m.limits.cuts > m.faults.cuts {
			m.past = append(m.past, snapshot{m.done, m.kept})
		}
		m.done, m.kept = m.now, len(m.log)
	}
	for _, a := range m.answers {
		if !slices.Contains(m.down, a) {
			m.down = append(m.down, a)
		}
	}
	m.answers = nil
	return nil
}

func (m *model) crash() error {
	m.now, m.log, m.answers = m.done, m.log[:m.kept], nil
	return m.check()
}

// cut is a power cut without fsync: an earlier checkpoint is what is left, and its file.
func (m *model) cut(i int) error {
	s := m.past[i]
	m.past = m.past[:i]
	m.done, m.kept = s.done, s.kept
	return m.crash()
}

// rebuild is a crash after which the journal cannot be read: the table comes from the file.
func (m *model) rebuild() error {
	m.log, m.answers, m.past = m.log[:m.kept], nil, nil
	m.done = progress{}
	if n := len(m.log); n > 0 {
		last := m.log[n-1]
		m.done = progress{last: last, dropped: last - uint64(n), rebuilt: true}
	}
	m.now = m.done
	return m.check()
}

// answer gives an answer to the publisher (I3).
func (m *model) answer(a record.Ack) error {
	if a.Kind == record.AckWant {
		m.flying = nil // batched anew, from the oldest record
		return nil
	}
	for i := range m.fate[:min(a.Seq, uint64(len(m.fate)))] {
		if m.fate[i] == held {
			m.fate[i] = acked
		}
	}
	for len(m.flying) > 0 {
		b, err := record.ParseBatch(m.flying[0].header)
		if err != nil {
			return err
		}
		if b.Last > a.Seq {
			break
		}
		m.over = m.over || b.End
		m.flying = m.flying[1:]
	}
	return m.check()
}

// check holds at every moment.
func (m *model) check() error {
	for i := 1; i < len(m.log); i++ {
		if m.log[i] <= m.log[i-1] {
			return fmt.Errorf("twice or out of order: %v", m.log)
		}
	}
	for _, seq := range m.log {
		if m.fate[seq-1] == dropped {
			return fmt.Errorf("%d was dropped and is in the log", seq)
		}
	}
	p := m.now
	if p.written() != uint64(len(m.log)) {
		return fmt.Errorf("I9: %+v means %d written, the log has %d", p, p.written(), len(m.log))
	}
	if len(m.log) > 0 && m.log[len(m.log)-1] > p.last {
		return fmt.Errorf("last is %d, the log has %v", p.last, m.log)
	}
	if m.faults.cuts+m.faults.rebuilds == 0 && p.lost > 0 {
		return fmt.Errorf("lost without a cause: %+v", p)
	}
	if m.faults.damages+m.faults.rebuilds == 0 && p.excess > 0 {
		return fmt.Errorf("excess without a cause: %+v", p)
	}
	if m.faults.cuts == 0 {
		for i, f := range m.fate {
			// I5: what was answered is committed.
			if f == acked && !slices.Contains(m.log[:m.kept], uint64(i+1)) {
				return fmt.Errorf("%d was released and is not committed: %v", i+1, m.log[:m.kept])
			}
		}
	}
	return nil
}

// finish lets everything go well from here on, and checks what then is in the log.
func (m *model) finish() error {
	m.closed, m.stale = true, true // what is on its way may be from before some damage
	m.limits.net = 1 << 20
	for tries := 0; !m.over; tries++ {
		if tries > 100+10*len(m.fate) {
			return errors.New("the publisher never gets rid of its records")
		}
		for _, x := range m.up {
			if err := m.deliver(x); err != nil {
				return err
			}
		}
		m.up = nil
		if err := m.commit(0); err != nil {
			return err
		}
		for _, a := range m.down {
			if err := m.answer(a); err != nil {
				return err
			}
		}
		m.down = nil
		m.stale = false
		if x, ok := m.next(m.limits.batch); ok {
			m.flying = append(m.flying, x)
		} else if x, ok := m.next(1); ok {
			m.flying = append(m.flying, x)
		}
		m.up = append(m.up, m.flying...)
	}
	p := m.done
	known := m.fate
	if m.faults.cuts+m.faults.rebuilds == 0 {
		if p.last != uint64(len(m.fate)) {
			return fmt.Errorf("the end is missing: %+v of %s", p, m.fate)
		}
	} else {
		// The disk forgot what nobody is there to send, or to tell of, any more.
		known = m.fate[:p.last]
	}
	var drops, both, lost uint64
	for i, f := range known {
		in := slices.Contains(m.log, uint64(i+1))
		switch f {
		case dropped:
			drops++
		case damaged:
			drops++
			if in {
				both++
			}
		default:
			if !in {
				lost++
			}
		}
	}
	switch {
	case lost > 0 && m.faults.cuts == 0:
		return fmt.Errorf("lost: log %v of %s", m.log, m.fate)
	case !p.ended:
		// An older answer was taken for the end's, and the end got lost. The log is none the worse.
	case p.dropped != drops || p.lost+both != lost+p.excess:
		return fmt.Errorf("accounts: %+v, but %d dropped, %d lost, %d of the dropped written: log %v of %s", p, drops, lost, both, m.log, m.fate)
	}
	return nil
}

// TestModelExhaustive goes through every state that can be reached within small limits, and from every one
// of them to the end.
func TestModelExhaustive(t *testing.T) {
	for _, l := range []limits{
		{batch: 2, window: 1, net: 2, faults: faults{crashes: 2}},
		{batch: 2, window: 2, net: 2, faults: faults{crashes: 1}},
		{batch: 2, window: 1, net: 2, faults: faults{crashes: 1, damages: 1}},
		{batch: 1, window: 2, net: 1, faults: faults{crashes: 1, damages: 2}},
		{batch: 2, window: 2, net: 1, faults: faults{cuts: 1}},
		{batch: 2, window: 1, net: 2, faults: faults{cuts: 1, damages: 1}},
		{batch: 2, window: 1, net: 2, faults: faults{rebuilds: 1}},
		{batch: 2, window: 1, net: 1, faults: faults{rebuilds: 1, damages: 1, cuts: 1}},
	} {
		l.records = *modelRecords
		t.Run(fmt.Sprintf("%+v", l), func(t *testing.T) {
			t.Parallel()
			explore(t, l)
		})
	}
}

func explore(t *testing.T, l limits) {
	type node struct {
		m    *model
		from *node
		by   step
	}
	trace := func(n *node) string {
		var names []string
		for ; n.from != nil; n = n.from {
			names = append(names, n.by.String())
		}
		slices.Reverse(names)
		return strings.Join(names, ", ")
	}
	start := &node{m: newModel(l)}
	seen := map[string]bool{start.m.key(): true}
	queue := []*node{start}
	for len(queue) > 0 {
		n := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if err := n.m.clone().finish(); err != nil {
			t.Fatalf("after %s: %v", trace(n), err)
		}
		for _, s := range n.m.steps() {
			next := &node{m: n.m.clone(), from: n, by: s}
			if err := s.do(next.m, s.i); err != nil {
				t.Fatalf("after %s: %v", trace(next), err)
			}
			if key := next.m.key(); !seen[key] {
				seen[key] = true
				queue = append(queue, next)
			}
		}
	}
	t.Logf("%d states", len(seen))
}

// TestModelRandom goes through random sequences with wider limits.
func TestModelRandom(t *testing.T) {
	limited := limits{
		records: 12, batch: 4, window: 2, net: 6,
		faults: faults{crashes: 4, damages: 2, cuts: 1, rebuilds: 1},
	}
	for i := range uint64(*modelSequences) {
		r := rand.New(rand.NewPCG(*modelSeed, i))
		l := limited
		if i%2 == 0 { // half of them without what may lose records
			l.cuts, l.rebuilds = 0, 0
		}
		m := newModel(l)
		var taken []step
		var err error
		for range 10 + r.IntN(60) {
			steps := m.steps()
			if len(steps) == 0 {
				break
			}
			s := steps[r.IntN(len(steps))]
			if s.name == "close" && r.IntN(10) > 0 {
				continue
			}
			taken = append(taken, s)
			if err = s.do(m, s.i); err != nil {
				break
			}
		}
		if err == nil {
			err = m.finish()
		}
		if err != nil {
			t.Fatalf("seed %d, sequence %d: after %v: %v", *modelSeed, i, taken, err)
		}
	}
}
