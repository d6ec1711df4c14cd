package publisher_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

// What is compressed is the same lines. Whatever is sent again, because its answer was lost, or because it was ahead of one that
// was refused, is the same to the byte (I1): two batches are under way, and neither may be packed over the other.
func TestCompressed(t *testing.T) {
	b := startBroker(t)
	const records = 5000
	p := full(t, b, records, func(cfg *publisher.Config) { cfg.BatchCompression = "s2" })
	sent := map[[2]uint64][]byte{}
	again, ahead := 0, 0
	c := collect(t, b, func(n int, batch record.Batch, payload []byte) fate {
		span := [2]uint64{batch.First, batch.Last}
		if before, ok := sent[span]; !ok {
			sent[span] = slices.Clone(payload)
		} else if again++; !bytes.Equal(before, payload) {
			t.Errorf("%+v is not what it was", batch)
		}
		if batch.End {
			return commit
		}
		if batch.Count >= 30 { // one of a few records may be too short: the first, and the last
			lines, err := s2.Decode(nil, payload)
			if batch.Enc != record.S2 || err != nil || len(payload) > len(lines)/4 {
				t.Errorf("%+v: %d bytes, %v", batch, len(payload), err)
			}
		}
		if batch.Oldest < batch.First {
			if ahead++; ahead%3 == 0 {
				return want
			}
		}
		if n%5 == 0 {
			return want
		}
		return commit
	})
	mustClose(t, p)
	if r := c.check(p); len(r.lines) != records {
		t.Errorf("%d lines of %d", len(r.lines), records)
	}
	if again == 0 || ahead == 0 {
		t.Errorf("%d sent again, %d ahead", again, ahead)
	}
}

// What does not get shorter goes as it is: a single record, and what has no pattern.
func TestNotWorthCompressing(t *testing.T) {
	b := startBroker(t)
	c := collect(t, b, nil)
	cfg := config(b)
	cfg.BatchCompression = "s2"
	publisher.SetAckTimeout(&cfg, limit)
	p := open(t, cfg)
	var random strings.Builder
	for i := range 500 {
		fmt.Fprint(&random, record.Checksum(fmt.Append(nil, i)))
	}
	for _, msg := range []string{"short", random.String(), strings.Repeat("abcdefgh", 500)} {
		p.Named("test").Info(msg)
		if err := p.Flush(within(t, limit)); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, p)
	c.check(p)
	var enc []string
	for _, batch := range c.batches {
		enc = append(enc, batch.Enc)
	}
	if !slices.Equal(enc, []string{"", "", record.S2, ""}) {
		t.Errorf("encodings of a short one, one without a pattern, one with, and the end: %q", enc)
	}
}

// Whoever cannot read blocks gets lines: a collector of before must cost no record.
func TestCompressedIsRejected(t *testing.T) {
	b := startBroker(t)
	blocks := 0
	c := collect(t, b, func(_ int, batch record.Batch, _ []byte) fate {
		if batch.Enc != "" {
			blocks++
			return reject
		}
		return commit
	})
	cfg := config(b)
	cfg.BatchCompression = "s2"
	p := open(t, cfg)
	const records = 100
	for i := range records {
		p.Named("test").Info(strings.Repeat(fmt.Sprint("long ", i), 1000))
	}
	mustClose(t, p)
	if r := c.check(p); len(r.lines) != records || blocks == 0 {
		t.Errorf("%d lines of %d, after %d blocks: %+v", len(r.lines), records, blocks, c.batches)
	}
}
