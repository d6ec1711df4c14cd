//go:build linux

// Package hosts is the product on several machines: workers on one, the NATS server on a second, the collector on a third. The
// machines are network namespaces, connected by cables that can be pulled out.
package hosts

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

func TestMain(m *testing.M) { harness.Main(m.Run, nil) }

// Cables are pulled out under load: the workers', the collector's, then both, each until the programs behind it have noticed, and
// for a moment that nobody notices. Nothing is lost, nothing comes twice, all is in order.
func TestCablesPulledOut(t *testing.T) {
	for _, delivery := range []string{"direct", "stream"} {
		t.Run(delivery, func(t *testing.T) {
			t.Parallel() // mostly waiting for somebody to notice
			cables(t, delivery)
		})
	}
}

func cables(t *testing.T, delivery string) {
	h := newHosts(t, "w", "n", "c")
	workerHost, natsHost, collectorHost := h[0], h[1], h[2]
	workerCable, collectorCable := connect(workerHost, natsHost, 1), connect(collectorHost, natsHost, 2)

	broker := harness.StartBroker(t, harness.BrokerSpec{Args: []string{"-a", "0.0.0.0", "-js", "-sd", t.TempDir()}}, natsHost.in())
	url := func(net int) string { return fmt.Sprintf("nats://10.0.%d.2:%d", net, broker.Port) }
	dir, ledgers := t.TempDir(), t.TempDir()
	collector := harness.StartCollector(t, harness.CollectorSpec{URL: url(2), Dir: dir, Delivery: delivery, Handlers: []string{"json://" + filepath.Join(dir, "app.jsonl")}}, collectorHost.in())
	var workers []*harness.Worker
	for i := range 4 {
		name := fmt.Sprintf("w%d", i+1)
		workers = append(workers, harness.StartWorker(t, name, harness.WorkerSpec{Ledger: ledgers, Serve: true, Payload: 60, Burst: 5, Every: 2 * time.Millisecond},
			harness.PlainEnv(url(1), name, "LOGBRAID_DELIVERY="+delivery), workerHost.in()))
	}
	const burst = 4_000
	logged := 0
	load := func() {
		for _, w := range workers {
			w.BeginLog(burst)
		}
		logged += burst * len(workers)
	}
	// A worker has noticed when its publisher says that it is not connected; so has the collector.
	atWorkers := func() bool {
		for _, w := range workers {
			if w.Stats().Connected {
				return false
			}
		}
		return true
	}
	atCollector := func() bool { return !collector.Stats().Connected }
	// during cuts cables while the workers log, until it is noticed where it should be.
	during := func(noticed []func() bool, cut ...*cable) {
		t.Helper()
		load()
		for _, c := range cut {
			c.cut()
		}
		for _, w := range workers {
			w.WaitLogged() // the buffers have room
		}
		for _, n := range noticed {
			harness.Until(t, "somebody to notice that the cable is out", n)
		}
		for _, c := range cut {
			c.heal()
		}
		for _, w := range workers {
			w.Flush()
		}
	}
	during([]func() bool{atWorkers}, workerCable)
	during([]func() bool{atCollector}, collectorCable)
	during([]func() bool{atWorkers, atCollector}, workerCable, collectorCable)
	during(nil, workerCable)
	during(nil, collectorCable)

	for _, w := range workers {
		if r := w.Finish(); r.Close != "" || r.Dropped != 0 || r.Acked != r.Logged {
			t.Errorf("%s: logged %d, acknowledged %d, dropped %d: %s", w.Name, r.Logged, r.Acked, r.Dropped, r.Close)
		}
	}
	// In stream delivery a worker's flush says that its records are stored; the collector reads them after that.
	harness.Until(t, "everything to be written", func() bool { return collector.Stats().Written >= uint64(logged) })
	if s := collector.Stats(); s.Lost != 0 || s.Written != uint64(logged) {
		t.Errorf("the collector counts %d lost, %d written of %d", s.Lost, s.Written, logged)
	}
	collector.Stop()
	for _, r := range harness.Check(t, ledgers, checker.Destination{Path: filepath.Join(dir, "app.jsonl")}) {
		if r.Records != logged {
			t.Errorf("%s holds %d of %d records", r.Path, r.Records, logged)
		}
	}
}
