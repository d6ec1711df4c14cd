package collector

import (
	"fmt"
	"testing"
)

func batchMessage(header string, size int) message {
	return message{subject: "logs.a.w", header: header, batch: true, reply: "r" + header, data: make([]byte, size)}
}

func TestQueueTakesInOrderWithinBounds(t *testing.T) {
	q := newQueue(1 << 30)
	for i := range 10 {
		q.push(batchMessage(fmt.Sprint(i), 1000))
	}
	var got []message
	rounds := 0
	for len(got) < 10 {
		select {
		case <-q.ready:
		default:
			t.Fatal("something is left, and no token says so")
		}
		before := len(got)
		got = q.take(got, 3000)
		if n := len(got) - before; n < 1 || n > 3 {
			t.Fatalf("took %d", n)
		}
		rounds++
	}
	for i, m := range got {
		if m.header != fmt.Sprint(i) {
			t.Fatalf("%d is %s", i, m.header)
		}
	}
	if n, bytes, _ := q.size(); n != 0 || bytes != 0 {
		t.Errorf("%d messages, %d bytes left", n, bytes)
	}
	if got := q.take(nil, 1); len(got) != 0 {
		t.Errorf("took %d of nothing", len(got))
	}
	// A message larger than the bound goes alone.
	q.push(batchMessage("large", 1<<20))
	q.push(batchMessage("small", 1))
	if got := q.take(nil, 1000); len(got) != 1 || got[0].header != "large" {
		t.Errorf("took %d", len(got))
	}
}

// While nothing can be committed the same batches come again and again; what waits stays as much as the
// publishers hold.
func TestQueueKeepsOneCopyOfABatch(t *testing.T) {
	q := newQueue(1 << 30)
	const publishers, size = 16, 256 << 10
	most := 0
	for round := range 200 {
		for p := range publishers {
			m := batchMessage(fmt.Sprint(p), size)
			m.reply = fmt.Sprint("round ", round)
			q.push(m)
		}
		_, bytes, _ := q.size()
		most = max(most, bytes)
	}
	if most > thinFrom+publishers*size*2 {
		t.Errorf("%d bytes waited", most)
	}
	_, _, lost := q.size()
	if lost != (discarded{}) {
		t.Errorf("discarded %+v", lost)
	}
	got := q.take(nil, 1<<30)
	latest := map[string]string{}
	for _, m := range got {
		latest[m.header] = m.reply
	}
	for p := range publishers {
		if latest[fmt.Sprint(p)] != "round 199" {
			t.Errorf("publisher %d waits for the answer to %q", p, latest[fmt.Sprint(p)])
		}
	}
}

func TestQueueLimit(t *testing.T) {
	q := newQueue(10_000)
	for i := range 100 {
		q.push(batchMessage(fmt.Sprint(i), 1000))
		q.push(message{subject: "logs.a.w", data: make([]byte, 1000)})
	}
	n, bytes, lost := q.size()
	if bytes > 10_000 || n < 5 || uint64(n)+lost.batches+lost.foreign != 200 || lost.batches == 0 || lost.foreign == 0 {
		t.Errorf("%d messages, %d bytes, %+v", n, bytes, lost)
	}
	// What was taken back from a failed group is older than all of it.
	got := q.take(nil, 2000)
	q.unshift(got)
	if again := q.take(nil, 1); again[0].header != got[0].header {
		t.Errorf("the first is now %q, was %q", again[0].header, got[0].header)
	}
}
