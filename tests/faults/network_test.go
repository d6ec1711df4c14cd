//go:build unix

package faults

import (
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/tests/harness"
)

// Row 11: the network is cut, once between frames and many times in the middle of one.
func TestFault11ConnectionReset(t *testing.T) { both(t, connectionReset) }

func connectionReset(t *testing.T, delivery string) {
	r := newRig(t, delivery, setup{})
	w1, w2 := r.worker("w1", steady), r.worker("w2", steady)
	for i := range 20 {
		w1.BeginLog(500)
		w2.BeginLog(500)
		if i%4 == 0 {
			r.proxy.Cut()
		} else {
			r.proxy.CutAfter(700 * i) // somewhere within a batch
		}
		w1.WaitLogged()
		w2.WaitLogged()
	}
	r.finish(w1, w2)
	r.check()
}

// Row 11: nothing comes through any more and nobody says so. The worker notices within 15 seconds.
func TestFault11HalfOpen(t *testing.T) {
	t.Parallel()
	both(t, halfOpen)
}

func halfOpen(t *testing.T, delivery string) {
	r := newRig(t, delivery, setup{})
	w := r.worker("w1", steady)
	w.Log(1000)
	w.Flush()
	connections := r.proxy.Accepted()
	r.proxy.Set(harness.Stall, harness.Stall)
	w.BeginLog(1000)
	harness.Within(t, limit(15*time.Second), "the worker to give up the dead connection", func() bool { return r.proxy.Accepted() > connections })
	r.proxy.Cut()
	r.proxy.Set(harness.Pass, harness.Pass)
	w.WaitLogged()
	r.finish(w)
	r.check()
}

// Row 11: a line so slow that it might as well be cut, and then is not.
func TestFault11OneByteASecond(t *testing.T) {
	t.Parallel()
	both(t, oneByteASecond)
}

func oneByteASecond(t *testing.T, delivery string) {
	r := newRig(t, delivery, setup{})
	w := r.worker("w1", harness.WorkerSpec{Payload: 60}, "LOGBRAID_BUFFER=64MiB")
	w.Log(1000)
	w.Flush()
	r.proxy.Set(harness.Trickle, harness.Pass)
	w.Log(1000)
	harness.Until(t, "the worker's batch to stand in the proxy", func() bool { return r.proxy.Held() > 1000 })
	callsReturn(t, "a connection of one byte a second", w)
	r.proxy.Set(harness.Pass, harness.Pass)
	r.finish(w)
	r.check()
}

// again are the ways in which something that comes twice is recognised. A stream knows a message by its id for a while, and does not
// store it a second time; after that, as in direct delivery, the collector drops it by its seqs (I4), and counts it.
var again = []struct {
	name, delivery string
	window         time.Duration // of the stream
	dropped        bool          // by the collector
}{
	{"direct", "direct", 0, true},
	{"stream", "stream", time.Hour, false},
	{"stream, past its window", "stream", 100 * time.Millisecond, true},
}

// newRigAgain is a rig with a window for which the stream knows what it has.
func newRigAgain(t *testing.T, delivery string, window time.Duration) *rig {
	t.Helper()
	r := newRig(t, delivery, setup{})
	if delivery != "stream" {
		return r
	}
	ctx, cancel := guarded()
	defer cancel()
	js := operator(t, r)
	st, err := js.Stream(ctx, "LOGS")
	if err != nil {
		t.Fatal(err)
	}
	config := st.CachedInfo().Config
	config.Duplicates = window
	if _, err := js.UpdateStream(ctx, config); err != nil {
		t.Fatal(err)
	}
	return r
}

// forgotten waits until the stream does not know any more what it has stored so far. It stores some garbage for that, which is
// rejected.
func forgotten(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	ctx, cancel := guarded()
	defer cancel()
	m := &nats.Msg{Subject: "logs.test.garbage", Header: nats.Header{"Logbraid": {"garbage"}, "Nats-Msg-Id": {"garbage"}}}
	stored := 0
	harness.Until(t, "the stream to forget", func() bool {
		ack, err := js.PublishMsg(ctx, m)
		if err != nil {
			t.Fatal(err)
		}
		if !ack.Duplicate {
			stored++
		}
		return stored == 2
	})
}

// twice counts what comes past the broker more than once in stream delivery.
func twice(t *testing.T, r *rig) func() int {
	t.Helper()
	var mu sync.Mutex
	seen, n := map[string]bool{}, 0
	nc := client(t, r.broker.URL)
	if _, err := nc.Subscribe("logs.>", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		id := m.Header.Get("Nats-Msg-Id")
		if id != "" && seen[id] {
			n++
		}
		seen[id] = true
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}

// Row 12: the batch arrives, its acknowledgement does not. The batch is sent again, acknowledged, and not written again.
func TestFault12AckLost(t *testing.T) {
	for _, tt := range again {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRigAgain(t, tt.delivery, tt.window)
			past := twice(t, r)
			w := r.worker("w1", steady)
			w.Log(500)
			w.Flush()
			r.proxy.Set(harness.Pass, harness.Drop)
			w.Log(500)
			harness.Until(t, "a batch to come again", func() bool {
				if tt.dropped {
					return r.collector.Stats().Duplicates > 0
				}
				return past() > 0
			})
			r.proxy.Cut()
			r.proxy.Set(harness.Pass, harness.Pass)
			r.finish(w)
			if stats := r.check(); (stats.Duplicates > 0) != tt.dropped {
				t.Errorf("%d records came to the collector again", stats.Duplicates)
			}
		})
	}
}

// Row 13: bytes of an old connection arrive after their batch was sent again on a new one, also when the stream has forgotten that
// by then: dropped and counted (I4).
func TestFault13OldConnectionsBytes(t *testing.T) {
	for _, tt := range again {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRigAgain(t, tt.delivery, tt.window)
			past := twice(t, r)
			w := r.worker("w1", steady)
			w.Log(500)
			w.Flush()
			r.proxy.Set(harness.Hold, harness.Pass)
			w.Log(500)
			harness.Until(t, "a batch to stand in the proxy", func() bool { return r.proxy.Held() > 300 }) // more than a ping
			deliver := r.proxy.Detach()
			r.proxy.Set(harness.Pass, harness.Pass)
			w.Flush() // over the new connection
			w.Log(500)
			r.written(w)
			if tt.delivery == "stream" && tt.dropped {
				forgotten(t, operator(t, r))
			}
			before, seen := r.collector.Stats().Duplicates, past()
			deliver()
			harness.Until(t, "the late batch to be recognised", func() bool {
				if tt.dropped {
					return r.collector.Stats().Duplicates > before
				}
				return past() > seen
			})
			w.Log(500)
			r.finish(w)
			if stats := r.check(); (stats.Duplicates > 0) != tt.dropped {
				t.Errorf("%d records came to the collector again", stats.Duplicates)
			}
		})
	}
}
