package consumer

import (
	"bytes"
	"context"
	"iter"
	"sync/atomic"
)

// A source delivers parts in order. next is called by one reader at a time; close by anyone, and then next
// returns ErrClosed when it has nothing more.
type source interface {
	next(ctx context.Context) (part, error)
	close()
}

// A Consumer reads records. Its methods are safe for concurrent use, but only one iteration at a time is
// possible.
type Consumer struct {
	source source
	match  matcher
	reader reader

	closed atomic.Bool
	busy   atomic.Bool

	// Owned by the iteration under way.
	now part // what is left of the current part
}

// Start connects and returns when everything that is published from then on, or that the stream holds, will
// arrive; it waits for the broker, and for the stream, as long as ctx lets it. The context ends only the
// waiting. The error is a list where the configuration is to blame.
func Start(ctx context.Context, cfg Config) (*Consumer, error) {
	cfg = cfg.withDefaults()
	if err := cfg.problems().Err(); err != nil {
		return nil, err
	}
	c := &Consumer{match: matcher{filter: cfg.Filter, fields: cfg.Fields}}
	if !cfg.Since.IsZero() {
		c.match.since = cfg.Since.UnixNano()
	}
	if cfg.Stream != "" {
		s, err := newStream(ctx, cfg)
		if err != nil {
			return nil, err
		}
		c.source = s
		return c, nil
	}
	d, err := newDirect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	c.source = d
	return c, nil
}

// Records iterates over the records as they come, until ctx ends, without an error, or something ends it for
// good: that is the last error yielded.
//
// An error comes with an empty record. *[Gap], *[Interruption], *[Removed] and *[Rejected] are news,
// and the iteration goes on after them; so "continue" is right after any error. A loop that was left can be
// taken up again by another call, at the next record.
func (c *Consumer) Records(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if !c.busy.CompareAndSwap(false, true) {
			yield(Record{}, ErrBusy)
			return
		}
		defer c.busy.Store(false)
		if c.closed.Load() {
			yield(Record{}, ErrClosed)
			return
		}
		for {
			for c.now.news == nil && len(c.now.lines) > 0 {
				if ctx.Err() != nil || c.closed.Load() {
					return
				}
				rec, gap := c.line()
				if gap != nil && !yield(Record{}, gap) {
					return
				}
				if gap == nil && c.match.match(rec) && !yield(rec, nil) {
					return
				}
			}
			p, err := c.source.next(ctx)
			if err != nil {
				if ctx.Err() == nil && !c.closed.Load() {
					yield(Record{}, err)
				}
				return
			}
			if c.now = p; p.news != nil && !yield(Record{}, p.news) {
				return
			}
		}
	}
}

// line takes the next line of the part, or the gap before it.
func (c *Consumer) line() (Record, *Gap) {
	end := bytes.IndexByte(c.now.lines, '\n')
	rec := c.reader.record(&c.now, c.now.lines[:end:end])
	if missing := rec.Seq - c.now.prev - 1; !rec.Foreign && rec.Seq > c.now.prev && missing > 0 {
		g := &Gap{Identity: c.now.from.id, First: c.now.prev + 1, Last: rec.Seq - 1, Dropped: missing}
		c.now.prev = rec.Seq - 1
		return Record{}, g
	}
	c.now.prev = rec.Seq
	c.now.lines = c.now.lines[end+1:]
	return rec, nil
}

// Close ends the iteration and the connection. It is idempotent. Of a durable consumer it gives back the message of
// which not every record was taken.
func (c *Consumer) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.source.close()
	}
	return nil
}
