//go:build unix

package faults

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/tests/harness"
)

// notAsLeft is what the log says of a stream that somebody else has touched.
const notAsLeft = "the stream is not as the log left it"

// storeFailed is JetStream's answer to who makes a stream while it still tidies away what the last one left on the disk.
const storeFailed = 10049

// operator is a connection of somebody who may do everything.
func operator(t *testing.T, r *rig) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(r.broker.URL, nats.Timeout(harness.Guard))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// Row 19: the stream is full. The workers keep their records and say so, lose nothing, and when the collector reads again, and with
// that frees room, all of it arrives: more than the stream could ever hold at once.
func TestFault19StreamFull(t *testing.T) {
	t.Parallel()
	r := newRig(t, "stream", setup{collector: harness.CollectorSpec{MaxBytes: 1 << 20}})
	w1 := r.worker("w1", harness.WorkerSpec{Payload: 300}, "LOGBRAID_BUFFER=1MiB")
	w2 := r.worker("w2", harness.WorkerSpec{Payload: 300}, "LOGBRAID_BUFFER=1MiB")
	r.collector.Pause()
	w1.BeginLog(5_000)
	w2.BeginLog(5_000)
	for _, w := range []*harness.Worker{w1, w2} {
		harness.Until(t, w.Name+" to say that the stream has no room", func() bool { return strings.Contains(w.Stderr(), "no room") })
	}
	ctx, cancel := guarded()
	defer cancel()
	js := operator(t, r)
	st, err := js.Stream(ctx, "LOGS")
	if err != nil {
		t.Fatal(err)
	}
	if bytes := st.CachedInfo().State.Bytes; bytes > 1<<20 {
		t.Errorf("the stream holds %d bytes", bytes)
	}
	r.collector.Continue()
	w1.WaitLogged()
	w2.WaitLogged()
	r.finish(w1, w2)
	if s := r.check(); s.StreamTrouble != "" {
		t.Errorf("still in trouble: %s", s.StreamTrouble)
	}
}

// meddling are an operator's hands on the stream.
var meddling = []struct {
	name, reason string
	do           func(ctx context.Context, js jetstream.JetStream) error
}{
	{"deleted", "deleted and made anew", func(ctx context.Context, js jetstream.JetStream) error {
		return js.DeleteStream(ctx, "LOGS")
	}},
	{"recreated", "deleted and made anew", func(ctx context.Context, js jetstream.JetStream) error {
		st, err := js.Stream(ctx, "LOGS")
		if err == nil {
			err = js.DeleteStream(ctx, "LOGS")
		}
		if err != nil {
			return err
		}
		for {
			_, err = js.CreateStream(ctx, st.CachedInfo().Config)
			var api *jetstream.APIError
			switch {
			case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse):
				return nil // the collector was faster
			case errors.As(err, &api) && api.ErrorCode == storeFailed:
			default:
				return err
			}
		}
	}},
	{"purged", "purged before", func(ctx context.Context, js jetstream.JetStream) error {
		st, err := js.Stream(ctx, "LOGS")
		if err == nil {
			err = st.Purge(ctx)
		}
		return err
	}},
}

// Row 37 while the collector is away: what was acknowledged and is gone is told, to the record; nothing else is missing (I8).
func TestFault37WhileAway(t *testing.T) {
	for _, tt := range meddling {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "stream", setup{})
			w := r.worker("w1", steady)
			w.Log(1000)
			w.Flush()
			r.collector.CatchUp()
			r.collector.Kill()
			w.Log(500)
			w.Flush() // into the stream, and nowhere else
			ctx, cancel := guarded()
			defer cancel()
			if err := tt.do(ctx, operator(t, r)); err != nil {
				t.Fatal(err)
			}
			w.Log(500) // into what is there now, or kept
			r.collector.Restart()
			w.Log(500)
			r.finish(w)
			r.collector.CatchUp()
			stats := r.collector.Stats()
			r.collector.Stop()
			lossIsTold(t, r.ledgers, r.logs, stats)
			if stats.Lost != 500 {
				t.Errorf("%d records are told as lost, not 500", stats.Lost)
			}
			if !inLog(t, r.logs[0].Path, notAsLeft) || !inLog(t, r.logs[0].Path, tt.reason) {
				t.Errorf("the log does not say that the stream was %s", tt.name)
			}
		})
	}
}

// Row 37 under load, again and again: what was not read yet when it went is told.
func TestFault37UnderLoad(t *testing.T) {
	for _, tt := range meddling {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "stream", setup{})
			js := operator(t, r)
			w1, w2 := r.worker("w1", steady), r.worker("w2", steady)
			ctx, cancel := guarded()
			defer cancel()
			for range 3 {
				before := size(t, r.ledgers)
				w1.BeginLog(1000)
				w2.BeginLog(1000)
				harness.Until(t, "a part of the load", func() bool { return size(t, r.ledgers)-before > 10_000 })
				if err := tt.do(ctx, js); err != nil {
					t.Fatal(err)
				}
				w1.WaitLogged()
				w2.WaitLogged()
				w1.Flush() // there is a stream again
			}
			r.finish(w1, w2)
			r.collector.CatchUp()
			stats := r.collector.Stats()
			r.collector.Stop()
			lossIsTold(t, r.ledgers, r.logs, stats)
			if tt.name != "purged" && !inLog(t, r.logs[0].Path, notAsLeft) {
				t.Errorf("the log does not say that the stream was %s", tt.name)
			}
			t.Logf("%d of %d lost, and told", stats.Lost, stats.Logged)
		})
	}
}

// Row 25: the store is deleted under the embedded broker, all of it or the stream's messages. The master notices and starts the
// broker with a new one; what was stored and not read is told as lost, the rest is sent again.
func TestFault25StoreDeleted(t *testing.T) {
	t.Parallel()
	dir, ledgers := t.TempDir(), t.TempDir()
	handlers, logs := harness.Logs(dir)
	m := harness.StartMaster(t, harness.MasterSpec{Dir: dir, Handlers: handlers, Delivery: "stream"})
	spec := steady
	spec.Ledger, spec.Serve = ledgers, true
	w1 := harness.StartWorker(t, "w1", spec, m.WorkerEnv("w1", patient...))
	w2 := harness.StartWorker(t, "w2", spec, m.WorkerEnv("w2", patient...))
	store := filepath.Join(dir, ".logbraid", "stream")
	again := func() int { return strings.Count(m.Stderr(), "the broker was started again") }
	for _, path := range []string{store, filepath.Join(store, "jetstream", "$G", "streams", "LOGS"), store} {
		before, seen := size(t, ledgers), again()
		w1.BeginLog(3000)
		w2.BeginLog(3000)
		harness.Until(t, "a part of the load", func() bool { return size(t, ledgers)-before > 10_000 })
		// The broker writes into it meanwhile, so once is not enough.
		harness.Until(t, "the store to be gone and the master to notice", func() bool {
			if again() == seen {
				if err := os.RemoveAll(path); err != nil {
					t.Logf("once more: %v", err)
				}
			}
			return again() > seen
		})
		w1.WaitLogged()
		w2.WaitLogged()
	}
	for _, w := range []*harness.Worker{w1, w2} {
		if report := w.Finish(); report.Close != "" || report.Dropped != 0 {
			t.Errorf("%s: Close %q, dropped %d", w.Name, report.Close, report.Dropped)
		}
	}
	m.CatchUp()
	stats := m.Stats()
	m.Stop()
	lossIsTold(t, ledgers, logs, stats)
	if !strings.Contains(m.Stderr(), "deleted or replaced under the broker") || !inLog(t, logs[0].Path, notAsLeft) {
		t.Error("not reported")
	}
	t.Logf("%d of %d lost, and told", stats.Lost, stats.Logged)
}
