package collector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/pkg/record"
	"github.com/logbraid/logbraid/tests/freeport"
)

// streamRig is a broker with a store that can be stopped and started again, and a log directory.
type streamRig struct {
	*broker
	t      *testing.T
	store  string
	port   int
	server *server.Server
	js     jetstream.JetStream
	dir    string
	cfg    Config
}

func newStreamRig(t *testing.T) *streamRig {
	t.Helper()
	r := &streamRig{t: t, store: t.TempDir(), port: freeport.Get(t), dir: t.TempDir()}
	r.up()
	nc, err := nats.Connect(r.server.ClientURL(), nats.Timeout(hangs), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	r.broker = &broker{url: r.server.ClientURL(), nc: nc}
	if r.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(hangs)); err != nil {
		t.Fatal(err)
	}
	r.cfg = Config{Dir: r.dir, Delivery: DeliveryStream, FSync: "10ms", Handlers: []string{"json://" + r.dir + "/app.jsonl"}}
	return r
}

func (r *streamRig) up() {
	r.t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: r.port, NoSigs: true, NoLog: true, JetStream: true, StoreDir: r.store, JetStreamMaxStore: 1 << 40,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	s.Start()
	r.t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		r.t.Fatal("the server does not get ready")
	}
	r.server = s
}

func (r *streamRig) down() {
	r.server.Shutdown()
	r.server.WaitForShutdown()
}

func (r *streamRig) collector() *Collector { return r.start(r.t, r.cfg) }

// make makes a stream again that was deleted: behind a deletion the server tidies the store's directories away (nats-server 2.15,
// stream.stop), and then it may find them missing.
func (r *streamRig) make(config jetstream.StreamConfig) (err error) {
	r.t.Helper()
	const storeFailed = 10049 // "error creating store for stream"
	r.until("there is room for a stream", func() bool {
		_, err = r.js.CreateStream(r.t.Context(), config)
		var api *jetstream.APIError
		return !errors.As(err, &api) || api.ErrorCode != storeFailed
	})
	return err
}

// put stores a message, once, and returns its seq in the stream. While a broker restarts or a stream is made anew, a request may be
// lost, or only its answer.
func (r *streamRig) put(subject, header string, payload []byte) uint64 {
	r.t.Helper()
	m := &nats.Msg{Subject: subject, Data: payload, Header: nats.Header{jetstream.MsgIDHeader: {record.NewRun()}}}
	if header != "" {
		m.Header[record.HeaderName] = []string{header}
	}
	var last error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		reply, err := r.nc.RequestMsg(m, time.Second)
		if err == nil {
			var ack struct {
				Seq   uint64
				Error *struct{ Description string }
			}
			if err = json.Unmarshal(reply.Data, &ack); err == nil && ack.Error == nil {
				return ack.Seq
			}
			last = fmt.Errorf("%s %w", reply.Data, err)
		} else {
			last = err
		}
	}
	r.t.Fatalf("not stored: %v", last)
	return 0
}

func (r *streamRig) batch(p *publisher, first, last uint64) uint64 {
	b, payload := p.batch(first, last)
	return r.put(p.subject, header(b), payload)
}

// read returns the log.
func (r *streamRig) read() string {
	text, err := os.ReadFile(r.dir + "/app.jsonl")
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	return string(text)
}

func (r *streamRig) until(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("never: %s\n%s", what, r.read())
		}
	}
}

func (r *streamRig) written(c *Collector, p *publisher, n uint64) {
	r.t.Helper()
	r.until(fmt.Sprintf("%d records of %s are written", n, p.id.Worker), func() bool {
		for _, run := range c.Stats().Runs {
			if run.Run == p.id.Run {
				return run.Written >= n
			}
		}
		return false
	})
}

func (r *streamRig) info() *jetstream.StreamInfo {
	r.t.Helper()
	st, err := r.js.Stream(context.Background(), "LOGS")
	if err != nil {
		r.t.Fatal(err)
	}
	return st.CachedInfo()
}

// whole checks that the log holds the publisher's records 1 to n, once and in order.
func (r *streamRig) whole(p *publisher, n uint64) {
	r.t.Helper()
	if got, want := ofRun(r.read(), p.id.Run), p.text(slices.Collect(seqs(1, n))...); got != want {
		r.t.Errorf("%s has %d lines, want %d:\n%s", p.id.Worker, strings.Count(got, "\n"), n, got)
	}
}

// cutStore has the stream forget its last messages as damage does: by flipping a byte in the block.
func (r *streamRig) cutStore(n int) {
	r.t.Helper()
	matches, err := os.ReadDir(r.store + "/jetstream/$G/streams/LOGS/msgs")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range matches {
		path := r.store + "/jetstream/$G/streams/LOGS/msgs/" + m.Name()
		if !strings.HasSuffix(path, ".blk") {
			if err := os.Remove(path); err != nil { // the state file would tell of it
				r.t.Fatal(err)
			}
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			r.t.Fatal(err)
		}
		// Messages are of about the same size here: the damage is in the n-th from the end.
		at := len(text) - len(text)*n/4 + 60
		text[at] ^= 0xff
		if err := os.WriteFile(path, text, 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}
