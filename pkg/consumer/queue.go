package consumer

import (
	"context"
	"sync"
)

// A queue stands between the connection, which must never wait, and the reader, who may take as long as he likes.
// What does not fit is left out, and counted where it would have stood.
type queue struct {
	limit int
	wake  chan struct{} // holds a token while there may be something to read

	mu    sync.Mutex
	parts []part
	bytes int
	gaps  map[string]*Gap // those behind the last part with lines, by run, or subject where there is none
	err   error           // nothing comes behind what is in parts
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, wake: make(chan struct{}, 1), gaps: make(map[string]*Gap)}
}

func (q *queue) push(p part) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return
	}
	if p.news == nil && len(q.parts) > 0 && q.bytes+p.size() > q.limit {
		p = part{from: p.from, news: p.gap()}
	}
	key := ""
	if g, ok := p.news.(*Gap); ok {
		key = p.from.id.Run
		if key == "" {
			key = p.from.subject
		}
		if old := q.gaps[key]; old != nil && (g.First == 0 || g.First == old.Last+1) {
			old.Last = g.Last
			old.Missed += g.Missed
			old.Dropped += g.Dropped
			return
		}
		q.gaps[key] = g
	} else if p.news == nil {
		clear(q.gaps)
	}
	q.parts = append(q.parts, p)
	q.bytes += p.size()
	q.kick()
}

// gap is what is told instead of the lines.
func (p *part) gap() *Gap {
	g := &Gap{Identity: p.from.id, Missed: uint64(p.n)}
	if !p.foreign {
		g.First, g.Last = p.prev+1, p.last
		g.Dropped = p.last - p.prev - uint64(p.n)
	}
	return g
}

// end lets the reader have what is there, and then err.
func (q *queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
	q.kick()
}

func (q *queue) kick() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// next waits for a part.
func (q *queue) next(ctx context.Context) (part, error) {
	for {
		q.mu.Lock()
		if len(q.parts) > 0 {
			p := q.parts[0]
			q.parts[0] = part{}
			q.parts = q.parts[1:]
			q.bytes -= p.size()
			if g, ok := p.news.(*Gap); ok {
				// The reader owns it now.
				for key, other := range q.gaps {
					if other == g {
						delete(q.gaps, key)
					}
				}
			}
			q.mu.Unlock()
			return p, nil
		}
		err := q.err
		q.mu.Unlock()
		if err != nil {
			return part{}, err
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return part{}, ctx.Err()
		}
	}
}
