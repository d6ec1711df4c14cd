package collector

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// A text file has, line for line, what the JSON file has, whether a batch was rendered aside or not, and also behind a commit
// that failed with text of its own in the buffer.
func TestTextRenderedAside(t *testing.T) {
	fs := newFaultFS()
	r := newRigWith(t, Config{Dir: t.TempDir(), Handlers: []string{"json://DIR/app.jsonl", "file://DIR/app.log"}, fs: fs})
	p, q := newPublisher("etl", "w1"), newPublisher("etl", "w2")
	p.log(3000, record.Info, "l", "a message of some length, so that many records are more than is rendered at once")
	q.log(10, record.Warn, "l", "short")
	if _, long := p.batch(1, 1000); len(long) < 2*worthAside {
		t.Fatalf("a long batch has %d bytes only", len(long))
	}
	r.give(q, 1, 1) // before anything is aside
	r.give(p, 1, 1000)
	r.give(q, 2, 5) // behind it
	r.notes.say(record.Info, "the collector's own", nil)
	for i := range 20 { // each is made in the same place
		r.queue.push(message{subject: "logs.foreign.host", data: fmt.Appendf(nil, "foreign %d", i)})
	}
	r.give(p, 1001, 2000)
	r.step()
	if !r.router.sinks[1].(*fileHandler).aside.started() {
		t.Error("nothing was rendered aside")
	}

	fs.breakWith(syscall.ENOSPC)
	r.give(p, 2001, 3000)
	r.step()
	fs.mend()
	r.writer.stall(r.flight.broken())
	r.resume()
	r.give(q, 6, 10)
	r.give(p, 2001, 3000)
	r.step()

	log := r.read("app.jsonl")
	if got := ofRun(log, p.id.Run); len(got) != len(p.text(slices.Collect(seqs(1, 3000))...)) {
		t.Fatalf("the JSON file has %d bytes of the run", len(got))
	}
	var want []byte
	for line := range Lines(log).All() {
		want = record.AppendText(want, line, record.TextOptions{})
	}
	got := r.read("app.log")
	if got != string(want) {
		t.Errorf("the text file has %d bytes, the JSON file makes %d", len(got), len(want))
	}
	if s := r.stats().Handlers[1]; s.Bytes != uint64(len(got)) {
		t.Errorf("%d bytes counted, %d in the file", s.Bytes, len(got))
	}
}
