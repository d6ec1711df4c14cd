package collector

import (
	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/record"
)

// A group is what one commit takes in: everything that was waiting when the writer came round, within
// bounds. Under load that is many batches for one checkpoint; when idle, one.
type group struct {
	messages []message // kept until the commit stands, in case it does not
	notes    []note    // likewise

	runs    []*run     // whose progress changes, each once
	reached []progress // how far each of runs is with this group
	deltas  []logfile.RunDelta
	source  *logfile.Source // how far the group takes the stream; nil in direct delivery

	answers []answer // leave once the commit stands (I5)
	chunks  []chunk  // for the console and user handlers, by route; handed over once the commit stands
	tally   tally
}

// reset prepares a group for use.
func (g *group) reset(routes int) {
	if g.chunks == nil {
		g.chunks = make([]chunk, routes)
		g.tally.routes = make([]routeTally, routes)
	}
	g.tally.reset()
}

// release lets go of what a group held, and keeps the room for its next use.
func (g *group) release() {
	clear(g.messages)
	clear(g.notes)
	clear(g.runs)
	clear(g.answers)
	clear(g.chunks)
	g.messages, g.notes = g.messages[:0], g.notes[:0]
	g.runs, g.reached, g.deltas = g.runs[:0], g.reached[:0], g.deltas[:0]
	g.answers = g.answers[:0]
	g.source = nil
}

// recycle gives payloads back to the detour that they came by, once the group is committed: in the files, and in every chunk that
// somebody wanted of it.
func (g *group) recycle(d *natsconn.Detour) {
	for i := range g.messages {
		if m := &g.messages[i]; m.pooled {
			d.Recycle(m.data)
		}
	}
}

// empty reports whether there is nothing to commit: at most answers to give.
func (g *group) empty() bool { return len(g.runs) == 0 && g.tally.rejected == 0 && g.source == nil }

// count returns how many messages there are, and how many of them nobody sends again.
func count(messages []message) (all, foreign int) {
	for i := range messages {
		if !messages[i].resent() {
			foreign++
		}
	}
	return len(messages), foreign
}

// touch notes that the run's progress changes with this group.
func (g *group) touch(r *run) {
	if r.touched != g {
		r.touched = g
		g.runs = append(g.runs, r)
	}
}

// answer prepares an answer to a message's sender, if it waits for one.
func (g *group) answer(m *message, a record.Ack) {
	if m.reply != "" {
		g.answers = append(g.answers, answer{to: m.reply, text: record.AppendAck(nil, a)})
	}
}

// close fixes how far each run has come, and the stream.
func (g *group) close() {
	if last := len(g.messages) - 1; last >= 0 && g.messages[last].stored() {
		at := g.messages[last].at
		g.source = &at
	}
	for _, r := range g.runs {
		g.reached = append(g.reached, r.now)
		if !r.local() {
			g.deltas = append(g.deltas, r.delta())
		}
		r.touched = nil // the group may be in use again when the run next changes
	}
}

// tally counts what a group holds, and what all committed groups held.
type tally struct {
	commits, batches, bytes               uint64
	duplicates, wanted, foreign, rejected uint64
	own                                   uint64
	routes                                []routeTally
}

type routeTally struct{ records, bytes uint64 }

func (t *tally) add(o *tally) {
	t.commits += o.commits
	t.batches += o.batches
	t.bytes += o.bytes
	t.duplicates += o.duplicates
	t.wanted += o.wanted
	t.foreign += o.foreign
	t.rejected += o.rejected
	t.own += o.own
	for i := range o.routes {
		t.routes[i].records += o.routes[i].records
		t.routes[i].bytes += o.routes[i].bytes
	}
}

func (t *tally) reset() {
	clear(t.routes)
	*t = tally{routes: t.routes}
}
