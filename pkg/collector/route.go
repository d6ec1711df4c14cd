package collector

import (
	"bytes"
	"context"
	"math/bits"

	"github.com/logbraid/logbraid/pkg/record"
)

// maxRoutes is how many handlers a collector can have: one bit each.
const maxRoutes = 64

// A routeSet is a set of routes, by index.
type routeSet uint64

// each calls f for every route of the set until one fails.
func (s routeSet) each(f func(i int) error) error {
	for ; s != 0; s &= s - 1 {
		if err := f(bits.TrailingZeros64(uint64(s))); err != nil {
			return err
		}
	}
	return nil
}

// A sink is a handler as the writer sees it. The writer calls take, any number of times for a group, then filled;
// committed is called in the order of the groups, once each commit stands; none waits for anybody outside.
type sink interface {
	// take gets n lines that passed the filter. What it can take back when the commit
	// fails, it takes at once; everything else waits in the group for committed. An error stands for
	// the whole group: nothing of it is committed.
	take(g *group, p piece, n int, from *run) error
	filled(g *group) // also of a group that fails; what is in the files' buffers is then thrown away
	committed(g *group)

	stats(s *HandlerStats)           // fills in what it knows; any goroutine
	close(ctx context.Context) error // after the last committed
}

// A piece is whole lines of one run.
type piece struct {
	lines []byte
	// lasting: the lines stay until the group's commit has written them; else, until take returns.
	lasting bool
	summed  bool   // sum is known,
	sum     uint32 // the lines' checksum
}

// part is a part of a piece, or the whole.
func (p piece) part(lines []byte) piece {
	p.summed = p.summed && len(lines) == len(p.lines)
	p.lines = lines
	return p
}

// A router decides which lines go to which sinks. It looks at a record only as far as some filter asks: not at
// all for a handler that takes everything, else at the head, by its fixed offsets.
type router struct {
	filters []record.Filter
	sinks   []sink

	whole  routeSet                   // take everything from the workers they want
	levels [record.Panic + 1]routeSet // let this level pass
	named  routeSet                   // ask for the logger

	// Which of named let a logger pass. Workers choose the names, so the memory of them has bounds.
	loggers map[string]passing
	last    passing // the last answer, since records of one logger come in rows

	starts [maxRoutes]position // where the lines begin that a sink has not been given yet
}

type position struct{ offset, line int }

// passing is which routes let a logger pass.
type passing struct {
	logger string
	routes routeSet
}

const (
	maxLoggers    = 10_000
	maxLoggerName = 256
)

func (r *router) add(f record.Filter, s sink) {
	bit := routeSet(1) << len(r.sinks)
	r.filters = append(r.filters, f)
	r.sinks = append(r.sinks, s)
	if f.Level <= record.Trace && len(f.Loggers) == 0 {
		r.whole |= bit
	}
	for l := range r.levels {
		if record.Level(l) >= f.Level {
			r.levels[l] |= bit
		}
	}
	if len(f.Loggers) > 0 {
		r.named |= bit
	}
	r.loggers = make(map[string]passing)
}

// wanted returns the routes that let a worker's records through, level and logger aside.
func (r *router) wanted(app, worker string) routeSet {
	var s routeSet
	for i, f := range r.filters {
		if f.MatchIdentity(app, worker) {
			s |= 1 << i
		}
	}
	return s
}

// route gives the n lines to the sinks whose filters they pass, in as few pieces as possible.
func (r *router) route(g *group, whole piece, n int, from *run) error {
	if err := (from.routes & r.whole).each(func(i int) error { return r.sinks[i].take(g, whole, n, from) }); err != nil {
		return err
	}
	asked := from.routes &^ r.whole
	if asked == 0 {
		return nil
	}
	p := whole.lines
	var open routeSet // sinks that want the line before
	at := position{}
	give := func(i int) error {
		s := r.starts[i]
		return r.sinks[i].take(g, whole.part(p[s.offset:at.offset]), at.line-s.line, from)
	}
	for at.offset < len(p) {
		end := at.offset + bytes.IndexByte(p[at.offset:], '\n') + 1
		head, ok := record.ScanHead(p[at.offset : end-1])
		if !ok {
			head.Level = record.Info // nothing that passed the check is without a level
		}
		pass := asked & r.levels[head.Level]
		if pass&r.named != 0 {
			pass &= r.match(head.Logger)
		}
		if pass != open {
			if err := (open &^ pass).each(give); err != nil {
				return err
			}
			for begin := pass &^ open; begin != 0; begin &= begin - 1 {
				r.starts[bits.TrailingZeros64(uint64(begin))] = at
			}
			open = pass
		}
		at = position{end, at.line + 1}
	}
	return open.each(give)
}

// match returns the routes that let the logger pass, those that do not ask included.
func (r *router) match(logger []byte) routeSet {
	if string(logger) == r.last.logger && r.last.routes != 0 {
		return r.last.routes
	}
	p, ok := r.loggers[string(logger)]
	if !ok {
		p.logger = string(logger)
		for i, f := range r.filters {
			if f.MatchLogger(p.logger) {
				p.routes |= 1 << i
			}
		}
		if len(logger) <= maxLoggerName {
			if len(r.loggers) >= maxLoggers {
				clear(r.loggers)
			}
			r.loggers[p.logger] = p
		}
	}
	r.last = p
	return p.routes
}
