package collector

import (
	"bytes"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// Any message at all, between two that are right: the collector does not crash, the right ones are written
// unless it speaks for their run without contradiction, and what comes into the log is whole lines of ours with
// all keys, each once and in order.
func FuzzMessage(f *testing.F) {
	p := newPublisher("etl", "w1")
	p.id.Run = "fuzzfuzzfu"
	p.log(3, record.Info, "l", "m")
	p.drop(2)
	p.log(3, record.Warn, "l.x", "n")
	for _, seqs := range [][2]uint64{{1, 1}, {2, 3}, {2, 8}, {6, 8}, {8, 8}} {
		b, payload := p.batch(seqs[0], seqs[1])
		f.Add(p.subject, header(b), payload)
		f.Add("logs.etl.w2", header(b), payload)
		block := asBlock(p.subject, b, payload)
		f.Add(p.subject, block.header, block.data)
		f.Add(p.subject, strings.Replace(header(b), "dropped=2", "dropped=0", 1), payload)
	}
	f.Add(p.subject, header(record.Batch{Run: p.id.Run, First: 9, Last: 8, Dropped: 2, Oldest: 9, End: true}), []byte{})
	f.Add("logs.etl.x", "", []byte(`{"msg":"hi","level":30,"time":1700000000}`))
	f.Add("logs.etl.x", "", []byte("plain\r\n\x1b[2J\xff\x00"))
	f.Add("logs", "1", []byte("\n\n"))
	f.Add("logs..", "1 run=\n", []byte(`{"time":"`))

	f.Fuzz(func(t *testing.T, subject, head string, payload []byte) {
		r := newRig(t, t.TempDir(), "json://DIR/app.jsonl", "file://DIR/app.log?level=warn", "json://DIR/by/{logger}.jsonl")
		r.give(p, 1, 1)
		m := incoming(subject, head, bytes.Clone(payload))
		m.batch = head != ""
		r.queue.push(m)
		r.give(p, 2, 8)
		r.step()
		if err := r.flight.broken(); err != nil {
			t.Fatalf("stalled: %v", err)
		}
		text, s := r.read("app.jsonl"), r.stats()
		if got := ofRun(text, p.id.Run); s.Rejected+s.Foreign+s.Wanted > 0 && got != p.text(1, 2, 3, 6, 7, 8) {
			t.Errorf("the right records:\n%s", got)
		}
		last := map[string]uint64{}
		for line := range strings.Lines(text) {
			if _, ok := record.ScanHead([]byte(line)); !ok || !strings.HasSuffix(line, "}\n") {
				t.Errorf("no line of ours: %q", line)
			}
			tail, ok := record.ScanTail([]byte(line))
			if run := string(tail.Run); !ok || tail.Seq <= last[run] {
				t.Errorf("no line of ours, twice or out of order: %q", line)
			} else {
				last[run] = tail.Seq
			}
		}
		if s.Logged+s.Excess != s.Written+s.Dropped+s.Lost {
			t.Errorf("I9: %+v", s.Totals)
		}
		if wrote := uint64(strings.Count(text, "\n")); wrote != s.Written+s.Foreign+s.Own {
			t.Errorf("%d lines, but %d written, %d foreign, %d own", wrote, s.Written, s.Foreign, s.Own)
		}
	})
}
