package publisher_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

// A way that carries messages up to 300 KiB and loses all that are larger: the publisher tries larger ones, and goes back.
func TestLargeMessagesAreLost(t *testing.T) {
	b := startBroker(t)
	var large atomic.Int64
	cfg := config(b)
	publisher.SetAckTimeout(&cfg, 20*time.Millisecond)
	publisher.SetPromptAck(&cfg, time.Hour)
	p := open(t, cfg)
	log := p.Named("test")
	const records = 10_000
	for range records {
		log.Info(strings.Repeat("m", 300))
	}
	// All are there before anybody takes any, so messages are full.
	c := collect(t, b, func(_ int, _ record.Batch, payload []byte) fate {
		if len(payload) > 300<<10 {
			large.Add(1)
			return loseMessage
		}
		return commit
	})
	if err := p.Flush(within(t, limit)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, p)
	if r := c.check(p); len(r.lines) != records {
		t.Errorf("%d lines of %d", len(r.lines), records)
	}
	if large.Load() == 0 || p.Stats().Resent == 0 {
		t.Errorf("%d large messages, %d sent again: nothing was shown", large.Load(), p.Stats().Resent)
	}
}
