package collector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/record"
	"github.com/logbraid/logbraid/tests/freeport"
)

func TestFromPublisherToFile(t *testing.T) {
	b := startBroker(t)
	dir := t.TempDir()
	c := b.start(t, Config{Dir: dir, Version: "v1.2.3"})
	p := b.publisher(t, "etl", "w1")
	p.log(3, record.Info, "etl.load", "hello")
	if a := p.send(); a.Kind != record.AckCommitted || a.Seq != 3 {
		t.Fatalf("answer %+v, want an ack of 3", a)
	}
	p.drop(2)
	if a := p.end(); a.Kind != record.AckCommitted || a.Seq != 5 {
		t.Fatalf("answer to the end: %+v", a)
	}
	s := c.Stats()
	if want := (RunStats{"etl", "w1", p.id.Run, Totals{Logged: 5, Written: 3, Dropped: 2}, true}); len(s.Runs) != 1 || s.Runs[0] != want || s.Totals != want.Totals {
		t.Errorf("runs %+v", s.Runs)
	}
	if !s.Connected || s.Own != 1 || s.Handlers[0].Records != 4 || s.Started.IsZero() || s.Run == "" {
		t.Errorf("stats: %+v", s)
	}
	closeNow(t, c)

	lines := strings.SplitAfter((&rig{t: t, dir: dir}).read("app.jsonl"), "\n")
	if len(lines) != 5 || strings.Join(lines[1:4], "") != p.text(1, 2, 3) {
		t.Errorf("file: %q", lines)
	}
	first, err := record.Parse([]byte(lines[0]))
	if err != nil || first.Msg != "logbraid collector started" || first.Level != record.Info || first.App != ownApp || first.Worker != ownWorker || first.Run != s.Run || first.Seq != 1 {
		t.Errorf("the first record: %s, %v", lines[0], err)
	}
	for key, want := range map[string]string{
		"version": `"v1.2.3"`, "delivery": `"direct"`, "directory": fmt.Sprintf("%q", dir), "fsync": `"1s"`,
		"handlers": fmt.Sprintf("[%q]", "json://"+dir+"/app.jsonl"),
	} {
		if got, _ := first.Field(key); string(got) != want && runtime.GOOS != "windows" {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
}

// Many publishers at once, each with one batch unanswered at a time, under every policy.
func TestManyPublishersThroughABroker(t *testing.T) {
	for _, policy := range []string{"never", "1s", "always"} {
		t.Run(policy, func(t *testing.T) {
			b := startBroker(t)
			dir := t.TempDir()
			c := b.start(t, Config{Dir: dir, FSync: policy, Handlers: []string{"json://" + dir + "/a.jsonl", "file://" + dir + "/a.log?level=error"}})
			var wg sync.WaitGroup
			publishers := make([]*publisher, 16)
			for i := range publishers {
				publishers[i] = b.publisher(t, "etl", fmt.Sprint("w", i))
				wg.Go(func() {
					p := publishers[i]
					for range 20 {
						p.log(5, record.Info, "l", "m")
						if a := p.send(); a.Kind != record.AckCommitted || a.Seq != uint64(len(p.lines)) {
							t.Errorf("answer %+v", a)
						}
					}
					p.end()
				})
			}
			wg.Wait()
			if s := c.Stats(); s.Written != 16*100 || s.Logged != s.Written || s.Batches != 16*21 {
				t.Errorf("stats %+v", s.Totals)
			}
			closeNow(t, c)
			text := (&rig{t: t, dir: dir}).read("a.jsonl")
			for _, p := range publishers {
				if got := ofRun(text, p.id.Run); got != p.text(slices.Collect(seqs(1, 100))...) {
					t.Errorf("%s is not complete and in order", p.id.Worker)
				}
			}
		})
	}
}

// Close takes what has arrived: what was published before it is in the files after it.
func TestCloseTakesWhatHasArrived(t *testing.T) {
	b := startBroker(t)
	dir := t.TempDir()
	c := b.start(t, Config{Dir: dir})
	const n = 5000
	direct := c.writer.source.(*direct)
	direct.queue.mu.Lock() // nothing gets any further than the subscription
	for i := range n {
		b.publish(t, "logs.etl.x", fmt.Sprint("foreign ", i))
	}
	if err := b.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- c.Close(t.Context()) }()
	for direct.sub.IsValid() && !direct.sub.IsDraining() {
		runtime.Gosched()
	}
	direct.queue.mu.Unlock()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	text := (&rig{t: t, dir: dir}).read("app.jsonl")
	if got := strings.Count(text, `"foreign":true`); got != n {
		t.Errorf("%d of %d", got, n)
	}
	checkSeqs(t, text)
	// Closed is closed, and the lock is free.
	closeNow(t, c)
	if err := c.Rotate(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("rotate: %v", err)
	}
	closeNow(t, b.start(t, Config{Dir: dir}))
}

func TestOneCollectorPerDirectory(t *testing.T) {
	b := startBroker(t)
	dir := t.TempDir()
	b.start(t, Config{Dir: dir})
	_, err := Start(t.Context(), Config{Dir: dir, NATS: natsconn.Config{URL: b.url}})
	var locked *logfile.LockedError
	if !errors.Is(err, logfile.ErrLocked) || !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("the second: %v", err)
	}
}

// A collector may come before its broker, and outlive it.
func TestBrokerComesAndGoes(t *testing.T) {
	port := freeport.Get(t)
	url := fmt.Sprintf("nats://127.0.0.1:%d", port)
	type result struct {
		c   *Collector
		err error
	}
	started := make(chan result, 1)
	dir := t.TempDir()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), hangs)
		defer cancel()
		c, err := Start(ctx, Config{Dir: dir, NATS: natsconn.Config{URL: url}})
		started <- result{c, err}
	}()
	second := newServer(t, port)
	got := <-started
	if got.err != nil {
		t.Fatal(got.err)
	}
	nc, err := nats.Connect(url, nats.Timeout(hangs))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	p := (&broker{nc: nc}).publisher(t, "etl", "w1")
	p.log(1, record.Info, "l", "m")
	p.send()
	second.Shutdown()
	second.WaitForShutdown()
	closeNow(t, got.c) // without a broker
	if text := (&rig{t: t, dir: dir}).read("app.jsonl"); ofRun(text, p.id.Run) != p.text(1) {
		t.Errorf("file:\n%s", text)
	}
}

// A broker that goes while Close asks it for the last answers does not hold Close up: nobody is to answer any more.
func TestRoundTripEndsWithTheConnection(t *testing.T) {
	s := newServer(t, -1)
	nc, err := nats.Connect(s.ClientURL(), nats.Timeout(hangs), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	d := &direct{nc: nc}
	ctx, cancel := context.WithTimeout(t.Context(), hangs)
	defer cancel()
	under := false
	trip := func(ctx context.Context) error {
		under = true
		s.Shutdown()
		<-ctx.Done()
		return ctx.Err()
	}
	if err := d.whileConnected(ctx, trip); err != nil || !under {
		t.Errorf("begun: %v, error: %v", under, err)
	}
	under = false
	if err := d.whileConnected(ctx, trip); err != nil || under {
		t.Errorf("without a broker: begun: %v, error: %v", under, err)
	}
}

// A writer that hung in the kernel when Close gave up on it may come back: it gets no work any more.
func TestNothingIsAskedAfterClose(t *testing.T) {
	c := &Collector{closed: make(chan struct{}), writer: &writer{requests: make(chan request, 1), ended: make(chan struct{})}}
	close(c.closed)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Rotate(ctx); !errors.Is(err, ErrClosed) || len(c.writer.requests) > 0 {
		t.Errorf("rotate: %v, %d requests", err, len(c.writer.requests))
	}
}

func TestStartGivesUp(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := Start(ctx, Config{Dir: dir, NATS: natsconn.Config{URL: "nats://127.0.0.1:1"}, Handlers: []string{"console://stderr", "json://" + dir + "/x.jsonl"}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("start: %v", err)
	}
	// Nothing is left: the lock is free.
	b := startBroker(t)
	closeNow(t, b.start(t, Config{Dir: dir}))
}

// The broker's refusal is an error, not a collector that never gets anything.
func TestStartIsNotPermitted(t *testing.T) {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
		Users: []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Allow: []string{"other.>", "_INBOX.>"}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(hangs) {
		t.Fatal("not ready")
	}
	ctx, cancel := context.WithTimeout(t.Context(), hangs)
	defer cancel()
	_, err = Start(ctx, Config{Dir: t.TempDir(), NATS: natsconn.Config{URL: s.ClientURL(), User: "u", Password: "p"}})
	if !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("start: %v", err)
	}
}

func TestRotateAndReopen(t *testing.T) {
	b := startBroker(t)
	dir := t.TempDir()
	c := b.start(t, Config{Dir: dir, Handlers: []string{"json://" + dir + "/a.jsonl?keep=5"}})
	p := b.publisher(t, "etl", "w1")
	p.log(1, record.Info, "l", "m")
	p.send()
	if err := c.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.log(1, record.Info, "l", "m")
	p.send()
	if err := os.Rename(filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := c.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.log(1, record.Info, "l", "m")
	p.send()
	closeNow(t, c)
	files := filesBelow(t, dir)
	if ofRun(files["a.jsonl.000001"], p.id.Run) != p.text(1) || ofRun(files["moved"], p.id.Run) != p.text(2) || ofRun(files["a.jsonl"], p.id.Run) != p.text(3) {
		t.Errorf("files: %q", files)
	}
}

// Two connections or a lost answer change nothing: the resend is answered and not written.
func TestLostAnswer(t *testing.T) {
	b := startBroker(t)
	c := b.start(t, Config{Dir: t.TempDir()})
	p := b.publisher(t, "etl", "w1")
	p.log(2, record.Info, "l", "m")
	for range 3 {
		p.acked = 0
		if a := p.send(); a.Kind != record.AckCommitted || a.Seq != 2 {
			t.Errorf("answer %+v", a)
		}
	}
	if s := c.Stats(); s.Written != 2 || s.Duplicates != 4 {
		t.Errorf("stats %+v", s)
	}
}

// The caller's own connection is used and left open.
func TestConnectionOfTheCaller(t *testing.T) {
	b := startBroker(t)
	nc, err := nats.Connect(b.url, nats.Timeout(hangs))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c, err := Start(t.Context(), Config{Dir: t.TempDir(), Conn: nc, Prefix: "a.b"})
	if err != nil {
		t.Fatal(err)
	}
	b.publish(t, "a.b.etl.x", "foreign")
	b.publish(t, "a.bc.etl.x", "not ours")
	if err := b.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	closeNow(t, c)
	if s := c.Stats(); s.Foreign != 1 {
		t.Errorf("stats %+v", s)
	}
	if !nc.IsConnected() || nc.NumSubscriptions() != 0 {
		t.Errorf("connected: %t, %d subscriptions", nc.IsConnected(), nc.NumSubscriptions())
	}
}

// A message without a reply subject is written all the same.
func TestBatchNobodyWaitsFor(t *testing.T) {
	b := startBroker(t)
	dir := t.TempDir()
	c := b.start(t, Config{Dir: dir})
	p := b.publisher(t, "etl", "w1")
	p.log(2, record.Info, "l", "m")
	batch, payload := p.batch(1, 2)
	if err := b.nc.PublishMsg(&nats.Msg{Subject: p.subject, Data: payload, Header: nats.Header{record.HeaderName: {header(batch)}}}); err != nil {
		t.Fatal(err)
	}
	if err := b.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	closeNow(t, c)
	if got := ofRun((&rig{t: t, dir: dir}).read("app.jsonl"), p.id.Run); got != p.text(1, 2) {
		t.Errorf("file:\n%s", got)
	}
}

// A publisher chooses where its answers go, and must not reach further through us than by itself.
func TestAnswersGoToInboxesOnly(t *testing.T) {
	d := &direct{prefix: "logs"}
	for reply, want := range map[string]string{
		"_INBOX.x.y": "_INBOX.x.y", "_INBOX_w3.1": "_INBOX_w3.1", "logsx.y": "logsx.y",
		"logs.etl.w2": "", "$JS.API.STREAM.DELETE.LOGS": "", "$SYS.REQ.SERVER.PING": "", "": "",
	} {
		if got := d.replyTo(&nats.Msg{Reply: reply}); got != want {
			t.Errorf("%q: %q, want %q", reply, got, want)
		}
	}
}
