//go:build unix

package faults

import (
	"testing"
	"time"

	"github.com/logbraid/logbraid/tests/harness"
)

// Row 11: the network is cut, once between frames and many times in the middle of one.
func TestFault11ConnectionReset(t *testing.T) {
	r := newRig(t, harness.BrokerSpec{})
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
	r := newRig(t, harness.BrokerSpec{})
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
	r := newRig(t, harness.BrokerSpec{})
	w := r.worker("w1", harness.WorkerSpec{Payload: 60}, "LOGBRAID_BUFFER=64MiB")
	w.Log(1000)
	w.Flush()
	r.proxy.Set(harness.Trickle, harness.Pass)
	w.Log(1000)
	harness.Until(t, "the worker's batch to stand in the proxy", func() bool { return r.proxy.Held() > 1000 })
	quick(t, "a connection of one byte a second", w)
	r.proxy.Set(harness.Pass, harness.Pass)
	r.finish(w)
	r.check()
}

// Row 12: the batch arrives, its acknowledgement does not. The batch is sent again, acknowledged, and not written again.
func TestFault12AckLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.BrokerSpec{})
	w := r.worker("w1", steady)
	w.Log(500)
	w.Flush()
	r.proxy.Set(harness.Pass, harness.Drop)
	w.Log(500)
	harness.Until(t, "a batch to come again", func() bool { return r.collector.Stats().Duplicates > 0 })
	r.proxy.Cut()
	r.proxy.Set(harness.Pass, harness.Pass)
	r.finish(w)
	if stats := r.check(); stats.Duplicates == 0 {
		t.Error("nothing came again")
	}
}

// Row 13: bytes of an old connection arrive after their batch was sent again on a new one: dropped and counted (I4).
func TestFault13OldConnectionsBytes(t *testing.T) {
	t.Parallel()
	r := newRig(t, harness.BrokerSpec{})
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
	w.Flush()
	before := r.collector.Stats().Duplicates
	deliver()
	harness.Until(t, "the late batch to be recognised", func() bool { return r.collector.Stats().Duplicates > before })
	w.Log(500)
	r.finish(w)
	r.check()
}
