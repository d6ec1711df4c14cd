package collector

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/pkg/record"
)

// rig is a writer without its goroutine: the test takes each step itself.
type rig struct {
	*writer
	t   testing.TB
	dir string
	out *fakeSource
}

// newRig opens a writer on dir. Files in handlers are below dir: json://DIR/a.jsonl.
func newRig(t testing.TB, dir string, handlers ...string) *rig {
	t.Helper()
	return newRigWith(t, Config{Dir: dir, Handlers: handlers})
}

func newRigWith(t testing.TB, cfg Config) *rig {
	t.Helper()
	cfg.Conn = new(nats.Conn) // never used
	if cfg.fs == nil {
		cfg.fs = &faultFS{FS: logfile.OS(), lazy: true}
	}
	for i := range cfg.Handlers {
		cfg.Handlers[i] = strings.ReplaceAll(cfg.Handlers[i], "DIR", cfg.Dir)
	}
	p, err := cfg.plan()
	if err != nil {
		t.Fatal(err)
	}
	w, _, err := newWriter(p)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{writer: w, t: t, dir: cfg.Dir, out: &fakeSource{queue: w.queue}}
	w.source = r.out
	t.Cleanup(func() { r.close() })
	return r
}

// close ends the writer as a crash would: nothing more is written.
func (r *rig) close() {
	_ = r.router.close(context.Background())
	_ = r.store.Close()
}

// give queues a batch as the publisher would send it.
func (r *rig) give(p *publisher, first, last uint64) {
	b, payload := p.batch(first, last)
	r.queue.push(message{subject: p.subject, reply: "reply", header: header(b), batch: true, data: payload})
}

// giveBlock is give by a publisher that compresses.
func (r *rig) giveBlock(p *publisher, first, last uint64) {
	b, payload := p.batch(first, last)
	r.queue.push(asBlock(p.subject, b, payload))
}

func asBlock(subject string, b record.Batch, payload []byte) message {
	b.Enc = record.S2
	return incoming(subject, header(b), s2.Encode(nil, payload))
}

// incoming is a message as a source makes it, of somebody who waits for the answer.
func incoming(subject, head string, payload []byte) message {
	m := newMessage(subject, nats.Header{record.HeaderName: {head}}, payload)
	m.reply = "reply"
	return m
}

func (r *rig) giveForeign(subject, payload string) {
	r.queue.push(message{subject: subject, data: []byte(payload)})
}

// answers returns what was answered since the last call.
func (r *rig) answers() []record.Ack {
	r.t.Helper()
	var acks []record.Ack
	for _, text := range r.out.take() {
		a, err := record.ParseAck(text)
		if err != nil {
			r.t.Fatal(err)
		}
		acks = append(acks, a)
	}
	return acks
}

// read returns a file's content, "" when it is not there.
func (r *rig) read(name string) string {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	return string(text)
}

// stats are what Stats would tell.
func (r *rig) stats() Stats {
	s := Stats{Handlers: make([]HandlerStats, len(r.router.sinks))}
	r.table.stats(&s)
	for i, sink := range r.router.sinks {
		sink.stats(&s.Handlers[i])
	}
	r.flight.stats(&s)
	r.queue.stats(&s)
	return s
}

// fakeSource is a source whose answers a test can look at.
type fakeSource struct {
	queue *queue

	mu   sync.Mutex
	sent [][]byte
}

func (f *fakeSource) start(context.Context, *queue, logfile.Source) error { return nil }

func (f *fakeSource) committed(g *group) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range g.answers {
		f.sent = append(f.sent, a.text)
	}
}

func (f *fakeSource) rewind(messages []message, at logfile.Source) {
	(&direct{queue: f.queue}).rewind(messages, at)
}
func (f *fakeSource) stop(context.Context) error { return nil }
func (f *fakeSource) stats(*Stats)               {}

func (f *fakeSource) flush(context.Context) error { return nil }
func (f *fakeSource) connected() bool             { return true }

func (f *fakeSource) take() [][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent := f.sent
	f.sent = nil
	return sent
}

// newPublisher is a publisher without a broker, for a rig.
func newPublisher(app, worker string) *publisher {
	id := record.Identity{App: app, Worker: worker, Run: record.NewRun()}
	return &publisher{id: id, subject: record.Subject("logs", app, worker)}
}

// text is the records of the given seqs as they should stand in a JSON file.
func (p *publisher) text(seqs ...uint64) string {
	var b strings.Builder
	for _, seq := range seqs {
		b.Write(p.lines[seq-1])
	}
	return b.String()
}

// ofRun returns the lines of one run.
func ofRun(text, run string) string {
	lines := slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(line string) bool {
		t, ok := record.ScanTail([]byte(line))
		return !ok || string(t.Run) != run
	})
	return strings.Join(lines, "")
}
