//go:build unix

package faults

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/logbraid/logbraid/tests/harness"
)

// callsReturn shows that log calls wait for no acknowledgement while the buffer has room: all return, none of what they have logged
// is acknowledged, nothing is dropped. How long they take is told, not held against anything: TestLatencyOfLogCalls measures that.
func callsReturn(t *testing.T, when string, w *harness.Worker) {
	t.Helper()
	const calls = 5000
	w.Latency()
	before := w.Stats()
	w.Log(calls)
	after := w.Stats()
	t.Logf("log calls with %s: %v", when, w.Latency())
	if after.Logged != before.Logged+calls || after.Acked > before.Logged || after.Dropped > 0 {
		t.Errorf("log calls with %s: logged %d, of which %d are acknowledged and %d dropped; there were %d before %d calls",
			when, after.Logged, after.Acked, after.Dropped, before.Logged, calls)
	}
}

// Row 7: the broker is stopped, for a tenth of a second up to ten. Log calls do not notice while the buffer has room.
func TestFault07BrokerStopped(t *testing.T) { both(t, brokerStopped) }

func brokerStopped(t *testing.T, delivery string) {
	for _, pause := range []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second} {
		t.Run(pause.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, delivery, setup{})
			w := r.worker("w1", harness.WorkerSpec{Payload: 60}, "LOGBRAID_BUFFER=64MiB")
			w.Log(2000)
			r.broker.Pause()
			over := time.After(pause)
			callsReturn(t, "the broker stopped", w)
			<-over
			r.broker.Continue()
			w.Log(2000)
			r.finish(w)
			r.check()
		})
	}
}

// Row 7, the second half: when the buffer is full, OVERFLOW decides. block waits up to BLOCK_TIMEOUT once and then sheds; shed
// never waits. What is dropped is counted and told.
func TestFault07BufferFull(t *testing.T) { both(t, bufferFull) }

func bufferFull(t *testing.T, delivery string) {
	for _, test := range []struct {
		name string
		env  []string
		wait time.Duration // that one log call takes
	}{
		{"block", []string{"LOGBRAID_OVERFLOW=block", "LOGBRAID_BLOCK_TIMEOUT=1s"}, time.Second},
		{"shed", []string{"LOGBRAID_OVERFLOW=shed", "LOGBRAID_BLOCK_TIMEOUT=1h"}, 0}, // one call that waited would never return
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, delivery, setup{})
			spec := harness.WorkerSpec{Payload: 200, Levels: []string{"debug", "info", "warn", "error"}}
			w := r.worker("w1", spec, append(test.env, "LOGBRAID_BUFFER=256KiB", "LOGBRAID_LEVELS=debug")...)
			w.Log(200)
			w.Flush()
			r.broker.Pause()
			begin := time.Now()
			w.Log(5000) // about 2.5 MB
			took, l := time.Since(begin), w.Latency()
			t.Logf("5000 calls in %v: %v", took, l)
			if l.Max < test.wait || took > test.wait+time.Minute {
				t.Errorf("the longest call took %v, all together %v; one wait of %v was to be expected", l.Max, took, test.wait)
			}
			r.broker.Continue()
			w.Log(200)
			report := w.Finish()
			if report.Close != "" || report.Dropped == 0 || report.Logged != report.Acked+report.Dropped {
				t.Errorf("Close %q, logged %d, acked %d, dropped %d", report.Close, report.Logged, report.Acked, report.Dropped)
			}
			r.collector.CatchUp()
			stats := r.collector.Stats()
			r.collector.Stop()
			if stats.Lost != 0 || stats.Logged != stats.Written+stats.Dropped || stats.Dropped != report.Dropped {
				t.Errorf("the collector counts logged %d, written %d, dropped %d, lost %d", stats.Logged, stats.Written, stats.Dropped, stats.Lost)
			}
			for _, c := range harness.Check(t, r.ledgers, r.logs[0]) {
				if c.Dropped != report.Dropped {
					t.Errorf("%d drops are told in the log, %d were counted", c.Dropped, report.Dropped)
				}
			}
		})
	}
}

// Row 8: the collector is stopped. The workers wait, with bounded memory everywhere; in stream delivery they do not notice, since the
// stream takes and acknowledges everything, which a broker also keeps in memory, for a time of its own.
func TestFault08CollectorStopped(t *testing.T) {
	for _, tt := range []struct {
		delivery string
		waits    bool // the worker, when its buffer is full
	}{{"direct", true}, {"stream", false}} {
		t.Run(tt.delivery, func(t *testing.T) {
			t.Parallel()
			collectorStopped(t, tt.delivery, tt.waits)
		})
	}
}

func collectorStopped(t *testing.T, delivery string, waits bool) {
	r := newRig(t, delivery, setup{})
	w := r.worker("w1", harness.WorkerSpec{Payload: 200}, "LOGBRAID_BUFFER=1MiB")
	w.Log(1000)
	r.written(w)
	r.collector.Pause()
	before, err := harness.ResidentBytes(r.broker.Pid())
	if err != nil {
		t.Skipf("no memory figures here: %v", err)
	}
	w.BeginLog(20_000) // about 10 MB, which do not fit
	if waits {
		ledger, since := size(t, r.ledgers), time.Now()
		harness.Until(t, "the worker to stand still", func() bool {
			if now := size(t, r.ledgers); now != ledger {
				ledger, since = now, time.Now()
			}
			return time.Since(since) > 300*time.Millisecond // long against a burst of log calls
		})
	} else {
		w.WaitLogged()
		w.Flush()
		if s := w.Stats(); s.Acked != 21_000 || s.Buffered != 0 {
			t.Errorf("with the collector stopped, %d records are acknowledged and %d are not", s.Acked, s.Buffered)
		}
	}
	after, err := harness.ResidentBytes(r.broker.Pid())
	if err != nil {
		t.Fatal(err)
	}
	if grown := after - before; grown > 32<<20 && waits {
		t.Errorf("the broker grew by %d bytes while the collector stood still", grown)
	}
	r.collector.Continue()
	if waits {
		w.WaitLogged()
	}
	r.finish(w)
	r.check()
}

func size(t *testing.T, dir string) int64 {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	return total
}

// Row 9: a worker is stopped for longer than the broker waits for its answers. When it wakes, its connection is gone, and what it
// had sent is sent again.
func TestFault09WorkerStopped(t *testing.T) { both(t, workerStopped) }

func workerStopped(t *testing.T, delivery string) {
	config := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(config, []byte("ping_interval: \"500ms\"\nping_max: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, delivery, setup{broker: harness.BrokerSpec{Args: []string{"-c", config}}})
	w := r.worker("w1", steady)
	for range 3 {
		connections := r.proxy.Accepted()
		w.BeginLog(3000)
		ledger := size(t, r.ledgers)
		harness.Until(t, "the worker to log", func() bool { return size(t, r.ledgers) > ledger })
		w.Pause()
		harness.Until(t, "the broker to give the worker up", func() bool { return r.proxy.Open() == 0 })
		w.Continue()
		w.WaitLogged()
		w.Flush()
		// All of it may have been acknowledged before the worker was stopped: then there is nothing that waits for a new connection.
		harness.Until(t, "the worker to connect anew", func() bool { return r.proxy.Accepted() > connections })
	}
	r.finish(w)
	r.check()
}

// Row 10: broker and collector are restarted in good order.
func TestFault10GracefulRestart(t *testing.T) { both(t, gracefulRestart) }

func gracefulRestart(t *testing.T, delivery string) {
	r := newRig(t, delivery, setup{})
	w1, w2 := r.worker("w1", steady), r.worker("w2", steady)
	for range 3 {
		w1.BeginLog(4000)
		w2.BeginLog(4000)
		r.broker.Stop()
		r.broker.Restart()
		r.collector.Stop()
		r.collector.Restart()
		w1.WaitLogged()
		w2.WaitLogged()
	}
	r.finish(w1, w2)
	r.check()
}
