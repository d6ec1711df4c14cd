package collector

import (
	"context"
	"sync"
	"sync/atomic"
)

// An outlet stands between the writer and a destination that may be slow: a console, a user handler. The
// writer never waits for it. What does not fit is left out and counted, and the destination is told where.
type outlet struct {
	limit int // bytes that may wait
	// deliver takes the records of a chunk, then the number of those left out behind them. Either may be
	// empty. Only the outlet's goroutine calls it.
	deliver func(data []byte, records, skipped int)

	delivered, size, skipped atomic.Uint64 // records, their bytes; records

	wake chan struct{} // holds a token while there may be something to do
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	waiting []chunk
	bytes   int
	closed  bool
}

// A chunk is what one group holds for one outlet: records, and how many were left out behind them.
type chunk struct {
	data    []byte
	records int
	skipped int
	begun   bool
	room    int // bytes that data may still grow
}

func newOutlet(limit int, deliver func(data []byte, records, skipped int)) *outlet {
	o := &outlet{limit: limit, deliver: deliver, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go o.run()
	return o
}

// begin prepares a group's chunk: only as much is put into it as has room, so that a console that is
// behind costs no rendering.
func (o *outlet) begin(c *chunk) {
	if c.begun {
		return
	}
	o.mu.Lock()
	c.begun, c.room = true, o.limit-o.bytes
	o.mu.Unlock()
}

// offer takes over a committed group's chunk.
func (o *outlet) offer(c chunk) {
	if c.records == 0 && c.skipped == 0 {
		return
	}
	o.mu.Lock()
	// Other groups may have taken the room since begin.
	if o.closed || len(o.waiting) > 0 && o.bytes+len(c.data) > o.limit {
		c = chunk{skipped: c.records + c.skipped}
	}
	o.skipped.Add(uint64(c.skipped))
	if last := len(o.waiting) - 1; c.records == 0 && last >= 0 {
		o.waiting[last].skipped += c.skipped
	} else if !o.closed {
		o.waiting = append(o.waiting, c)
		o.bytes += len(c.data)
	}
	o.mu.Unlock()
	o.kick()
}

func (o *outlet) stats(s *HandlerStats) {
	s.Records = o.delivered.Load()
	s.Bytes = o.size.Load()
	s.Skipped = o.skipped.Load()
}

func (o *outlet) kick() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outlet) run() {
	defer close(o.done)
	for range o.wake {
		for {
			o.mu.Lock()
			if len(o.waiting) == 0 {
				closed := o.closed
				o.mu.Unlock()
				if closed {
					return
				}
				break
			}
			c := o.waiting[0]
			o.waiting[0] = chunk{}
			o.waiting = o.waiting[1:]
			o.mu.Unlock()

			o.deliver(c.data, c.records, c.skipped)
			o.delivered.Add(uint64(c.records))
			o.size.Add(uint64(len(c.data)))

			o.mu.Lock()
			o.bytes -= len(c.data) // only now: what is being delivered takes room as well
			o.mu.Unlock()
		}
	}
}

// close takes nothing more and waits until all that waits is delivered, or ctx ends. Whoever is blocked in
// deliver then stays blocked; nothing can be done about that.
func (o *outlet) close(ctx context.Context) error {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.kick()
	select {
	case <-o.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
