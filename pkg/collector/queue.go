package collector

import (
	"slices"
	"sync"
)

// queue holds what has arrived until the writer takes it. Any goroutine may push; the writer takes.
//
// A publisher has one batch unanswered at a time, or two, so the queue holds no more than the publishers' windows
// together, but for two things: while nothing can be committed (a full disk), the same batches arrive
// again and again, and nobody holds back a foreign sender. Against the first, older copies of a batch are
// thrown out when the queue has grown; against the second there is a limit.
type queue struct {
	limit int // bytes

	// ready holds a token while there may be something to take, freed after something was taken.
	ready, freed chan struct{}

	mu        sync.Mutex
	waiting   []message // the oldest first
	bytes     int
	thinAt    int // bytes at which to look for copies next
	discarded discarded
}

// discarded counts what was not taken because the queue was full.
type discarded struct {
	batches uint64 // they are sent again
	foreign uint64 // nobody sends them again
}

const thinFrom = 32 << 20

func newQueue(limit int) *queue {
	return &queue{limit: limit, ready: make(chan struct{}, 1), freed: make(chan struct{}, 1), thinAt: min(thinFrom, limit)}
}

// push adds a message, which must not change any more.
func (q *queue) push(m message) {
	q.mu.Lock()
	q.waiting = append(q.waiting, m)
	q.bytes += m.size()
	if q.bytes > q.thinAt {
		q.thinLocked()
		if q.bytes > q.limit {
			q.refuseLocked()
		}
	}
	q.mu.Unlock()
	q.kick()
}

// thinLocked throws out every batch of which a copy arrived later. The later one stays, since that is
// the one whose answer its publisher waits for.
func (q *queue) thinLocked() {
	type copyOf struct{ subject, header string }
	seen := make(map[copyOf]bool, len(q.waiting))
	kept := len(q.waiting) // [kept:] stay
	for i := len(q.waiting) - 1; i >= 0; i-- {
		m := q.waiting[i]
		if m.resent() {
			if key := (copyOf{m.subject, m.header}); seen[key] {
				q.bytes -= m.size()
				continue
			} else {
				seen[key] = true
			}
		}
		kept--
		q.waiting[kept] = m
	}
	q.waiting = slices.Delete(q.waiting, 0, kept)
	// Only at twice the size it is worth looking again: that makes the cost of a push constant.
	q.thinAt = min(max(2*q.bytes, thinFrom), q.limit)
}

// refuseLocked takes back the message that was pushed last.
func (q *queue) refuseLocked() {
	last := len(q.waiting) - 1
	m := &q.waiting[last]
	q.bytes -= m.size()
	if m.resent() {
		q.discarded.batches++
	} else {
		q.discarded.foreign++
	}
	*m = message{}
	q.waiting = q.waiting[:last]
}

// add adds a message of a stream, whose source has waited for room: nothing is refused.
func (q *queue) add(m message) {
	q.mu.Lock()
	q.waiting = append(q.waiting, m)
	q.bytes += m.size()
	q.mu.Unlock()
	q.kick()
}

// room waits until fewer bytes wait than max, or stop is closed.
func (q *queue) room(max int, stop <-chan struct{}) {
	for {
		if _, bytes, _ := q.size(); bytes < max {
			return
		}
		select {
		case <-q.freed:
		case <-stop:
			return
		}
	}
}

// empty throws away what waits.
func (q *queue) empty() {
	q.mu.Lock()
	q.waiting, q.bytes = nil, 0
	q.mu.Unlock()
	q.release()
}

// release leaves a token in freed.
func (q *queue) release() {
	select {
	case q.freed <- struct{}{}:
	default:
	}
}

// unshift puts messages back in front of all others, the oldest first.
func (q *queue) unshift(messages []message) {
	q.mu.Lock()
	for i := range messages {
		q.bytes += messages[i].size()
	}
	q.waiting = slices.Concat(messages, q.waiting)
	q.mu.Unlock()
	q.kick()
}

// take appends to dst the oldest messages, as many as fit into max bytes, decoded, and at least one if there is
// any. What is left leaves its token in ready.
func (q *queue) take(dst []message, max int) []message {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size, decoded := 0, 0, 0
	for n < len(q.waiting) {
		m := &q.waiting[n]
		next := m.size()
		if n > 0 && size+next+decoded+m.lines > max {
			break
		}
		size += next
		decoded += m.lines
		n++
	}
	dst = append(dst, q.waiting[:n]...)
	q.bytes -= size
	clear(q.waiting[:n])
	if q.waiting = q.waiting[n:]; len(q.waiting) == 0 {
		q.waiting = nil
	} else {
		q.kick()
	}
	q.release()
	return dst
}

// kick leaves a token in ready.
func (q *queue) kick() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// unwritten returns how many messages wait, and how many of them nobody sends again.
func (q *queue) unwritten() (messages, foreign int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return count(q.waiting)
}

// stats fills in what waits.
func (q *queue) stats(s *Stats) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s.Queued, s.QueuedBytes = len(q.waiting), q.bytes
	s.Discarded, s.ForeignLost = q.discarded.batches, q.discarded.foreign
}

// size returns the messages and bytes that wait, and what was discarded so far.
func (q *queue) size() (messages, bytes int, lost discarded) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting), q.bytes, q.discarded
}
