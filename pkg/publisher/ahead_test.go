package publisher_test

import (
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

// full is a publisher whose ring holds many batches before anybody takes any. What is unanswered is not sent again for a long time,
// and no acknowledgement is late, so that what the machine does to the test changes nothing.
func full(t *testing.T, b *broker, records int, change func(*publisher.Config)) *publisher.Publisher {
	t.Helper()
	cfg := config(b)
	cfg.Batch, cfg.MaxRecord = 16<<10, 4<<10
	publisher.SetAckTimeout(&cfg, time.Hour)
	publisher.SetPromptAck(&cfg, time.Hour)
	if change != nil {
		change(&cfg)
	}
	p := open(t, cfg)
	for range records {
		p.Named("test").Info(strings.Repeat("m", 100))
	}
	return p
}

// The next batch is on its way before the one in front of it is acknowledged, and one acknowledgement serves both. If either were
// not so, the publisher would wait for an answer to the first that never comes.
func TestSentAhead(t *testing.T) {
	b := startBroker(t)
	const records = 5000
	p := full(t, b, records, nil)
	lost, since := 0, 0 // since the first that was ahead
	c := collect(t, b, func(_ int, batch record.Batch, _ []byte) fate {
		if batch.Oldest < batch.First || since > 0 {
			since++
		}
		if since > 0 && since%2 == 0 && batch.Last < records-500 {
			lost++
			return loseAck
		}
		return commit
	})
	mustClose(t, p)
	if r := c.check(p); len(r.lines) != records {
		t.Errorf("%d lines of %d", len(r.lines), records)
	}
	seen := map[uint64]bool{}
	for _, batch := range c.batches {
		if seen[batch.First] && !batch.End {
			t.Errorf("sent again: %+v", batch)
		}
		seen[batch.First] = true
	}
	if lost == 0 {
		t.Error("no acknowledgement was lost")
	}
}

// A batch that was refused when it was ahead is sent again in its turn, then as the oldest that its publisher holds.
func TestRefusedAhead(t *testing.T) {
	b := startBroker(t)
	const records = 5000
	p := full(t, b, records, nil)
	refused := 0
	messages := map[uint64]int{}
	c := collect(t, b, func(_ int, batch record.Batch, _ []byte) fate {
		messages[batch.First]++
		if batch.Oldest < batch.First {
			if refused++; refused%3 == 0 {
				return want
			}
			return reject
		}
		return commit
	})
	mustClose(t, p)
	if r := c.check(p); len(r.lines) != records {
		t.Errorf("%d lines of %d", len(r.lines), records)
	}
	for first, n := range messages {
		if n > 2 {
			t.Errorf("the batch from %d was sent %d times", first, n)
		}
	}
	if s := p.Stats(); refused == 0 || s.Dropped != 0 {
		t.Errorf("%d refused, %d dropped", refused, s.Dropped)
	}
}
