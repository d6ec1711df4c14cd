package embedded

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/pkg/collector"
	"github.com/logbraid/logbraid/pkg/publisher"
)

func streamed(dir string) Config {
	cfg := testConfig(dir)
	cfg.Delivery = collector.DeliveryStream
	return cfg
}

// streamWorker is a publisher that comes in from outside with what WorkerEnv gives it.
func streamWorker(t *testing.T, m *Master, name string) *publisher.Publisher {
	t.Helper()
	env := os.Environ()
	cfg, err := publisher.ConfigFromEnv(append(env, m.WorkerEnv(name)...))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Buffer, cfg.MaxRecord, cfg.NoCrashOutput = 1<<20, 0, true
	cfg.BlockTimeout = guard
	p, err := publisher.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func said(t *testing.T, dir, worker string) []string {
	var all []string
	for _, e := range readLog(t, dir) {
		if e.Worker == worker {
			all = append(all, e.Msg)
		}
	}
	return all
}

// A master in stream delivery, closed and started again: the same port, store and files. What Close has not told of
// is in the log.
func TestStreamMaster(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	first := start(t, restartable(t, streamed(dir)))
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o750 {
		t.Errorf("log directory: %v, %v", st, err)
	}
	url := first.URL()
	p := streamWorker(t, first, "w1")
	p.Named("x").Info("before")
	if err := p.Flush(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if s := first.Stats().Collector; s.Delivery != "stream" || s.Stream == nil || s.Stream.Name != "LOGS" {
		t.Errorf("stats %+v", s)
	}
	if st, err := os.Stat(stateOf(dir).store()); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("store: %v, %v", st, err)
	}
	_, err := Start(t.Context(), streamed(dir))
	var running *RunningError
	if !errors.As(err, &running) || running.PID != os.Getpid() {
		t.Errorf("a second master: %v", err)
	}
	if err := first.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if got := said(t, dir, "w1"); !slices.Equal(got, []string{"before"}) {
		t.Errorf("when the master is closed the log has %v", got)
	}
	p.Named("x").Info("meanwhile")

	second := start(t, streamed(dir))
	if second.URL() != url {
		t.Errorf("address is %s, want %s", second.URL(), url)
	}
	p.Named("x").Info("after")
	if err := p.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if got := said(t, dir, "w1"); !slices.Equal(got, []string{"before", "meanwhile", "after"}) {
		t.Errorf("got %v", got)
	}
	if slices.ContainsFunc(readLog(t, dir), func(e entry) bool { return strings.Contains(e.Msg, "not as the log left it") }) {
		t.Error("its own store is complained of")
	}
}

// A worker's token opens its own subject and inbox, and nothing of JetStream.
func TestStreamWorkerCannotTouchJetStream(t *testing.T) {
	m := start(t, streamed(t.TempDir()))
	env := environment(m.WorkerEnv("w1"))
	token, err := os.ReadFile(env["LOGBRAID_NATS_TOKEN_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(m.URL(), nats.Timeout(guard), nats.Token(strings.TrimSpace(string(token))), nats.CustomInboxPrefix(env["LOGBRAID_NATS_INBOX"]))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	refused := make(chan error, 16)
	nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err })
	for _, subject := range []string{"$JS.API.INFO", "$JS.API.STREAM.PURGE.LOGS", "$JS.API.STREAM.DELETE.LOGS", "$JS.API.STREAM.MSG.GET.LOGS", "$JS.API.CONSUMER.CREATE.LOGS", "logs.etl.w2"} {
		if err := nc.PublishRequest(subject, nc.NewInbox(), nil); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-refused:
			if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), subject) {
				t.Errorf("%s: %v", subject, err)
			}
		case <-time.After(guard):
			t.Fatalf("%s is not refused", subject)
		}
	}
}

// Row 25: the store's directory is deleted under the broker, which says that all is well. The master notices,
// and goes on with a new store; what was acknowledged is in the log, or told as lost.
func TestStreamStoreIsDeleted(t *testing.T) {
	for _, what := range []string{"store", "stream"} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			m := start(t, streamed(dir))
			p := streamWorker(t, m, "w1")
			p.Named("x").Info("before")
			if err := p.Flush(bounded(t)); err != nil {
				t.Fatal(err)
			}
			// The supervisor has seen the stream it is to recognise.
			born := m.Stats().Collector.Stream.Created
			path := stateOf(dir).store()
			if what == "stream" {
				for deadline := time.Now().Add(guard); !m.watch.knows(born); time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal("the supervisor never looks")
					}
				}
				path = filepath.Dir(m.broker.store.stream("LOGS"))
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(guard); ; time.Sleep(time.Millisecond) {
				if s := m.Stats().Collector.Stream; !s.Created.Equal(born) && s.Trouble == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("not noticed")
				}
			}
			p.Named("x").Info("after")
			if err := p.Close(bounded(t)); err != nil {
				t.Fatal(err)
			}
			if err := m.Close(bounded(t)); err != nil {
				t.Fatal(err)
			}
			if got := said(t, dir, "w1"); !slices.Equal(got, []string{"before", "after"}) {
				t.Errorf("got %v", got)
			}
			if !slices.ContainsFunc(readLog(t, dir), func(e entry) bool { return strings.Contains(e.Msg, "not as the log left it") }) {
				t.Error("not told in the log")
			}
		})
	}
}

// docs/how-to/stream-delivery.md says how much room a stream needs: each record its line, each batch about 200 bytes more.
func TestStreamRoom(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	cfg := streamed(dir)
	cfg.Stream.Keep = "100MiB"
	m := start(t, cfg)
	p := streamWorker(t, m, "w1")
	const records = 200
	for i := range records {
		p.Named("etl.load").Info("row loaded", publisher.Int("rows", i))
		if err := p.Flush(t.Context()); err != nil { // a batch of its own
			t.Fatal(err)
		}
	}
	info, err := m.broker.server().Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		t.Fatal(err)
	}
	state := info.AccountDetails[0].Streams[0].State
	if err := errors.Join(p.Close(t.Context()), m.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "app.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range bytes.Lines(log) {
		if bytes.Contains(line, []byte(`"worker":"w1"`)) {
			lines += len(line)
		}
	}
	each := (float64(state.Bytes) - float64(lines)) / records
	t.Logf("%d messages, %d bytes, %d of them lines: %.0f bytes more for each", state.Msgs, state.Bytes, lines, each)
	if state.Msgs != records || each < 150 || each > 250 {
		t.Errorf("%d messages, %.0f bytes for each beside the line; want %d and about 200", state.Msgs, each, records)
	}
}

// With BatchCompression the stream holds blocks, of workers and of publishers in this process.
func TestStreamCompressed(t *testing.T) {
	cfg := streamed(t.TempDir())
	cfg.BatchCompression = "s2"
	cfg.Stream.Keep = "1h"
	m := start(t, cfg)
	own, err := m.Publisher("own")
	if err != nil {
		t.Fatal(err)
	}
	const records, size = 100, 3_000
	for _, p := range []*publisher.Publisher{streamWorker(t, m, "w1"), own} {
		for range records {
			p.Named("x").Info(strings.Repeat("row loaded ", size/11))
		}
		if err := p.Close(bounded(t)); err != nil {
			t.Fatal(err)
		}
	}
	js, err := jetstream.New(m.conn)
	if err != nil {
		t.Fatal(err)
	}
	st, err := js.Stream(bounded(t), "LOGS")
	if err != nil {
		t.Fatal(err)
	}
	if state := st.CachedInfo().State; state.Msgs < 4 || state.Bytes > records*size {
		t.Errorf("the stream takes %d bytes in %d messages for %d records of %d", state.Bytes, state.Msgs, 2*records, size)
	}
	if err := m.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if n, own := len(said(t, cfg.Dir, "w1")), len(said(t, cfg.Dir, "own")); n != records || own != records {
		t.Errorf("%d and %d records in the log", n, own)
	}
}
