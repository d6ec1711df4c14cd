//go:build unix

package crash

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

var long = flag.Bool("long", false, "TestFault02EverySystemCall and others: also what takes too long for every run")

// script is a run of the collector that goes through everything it does to the disk: start, commits with and without rotation,
// compression, journal compaction, close.
type script struct {
	t       *testing.T
	broker  *harness.Broker
	spec    harness.CollectorSpec
	ledgers string
	logs    []checker.Destination
	now     *harness.Collector
}

// newScript makes a script with subjects, and if need be a stream, of its own, since many share a broker.
func newScript(t *testing.T, broker *harness.Broker, delivery, prefix string) *script {
	t.Helper()
	dir := t.TempDir()
	json, text := filepath.Join(dir, "app.jsonl"), filepath.Join(dir, "app.log")
	return &script{
		t: t, broker: broker, ledgers: t.TempDir(),
		spec: harness.CollectorSpec{URL: broker.URL, Dir: dir, FSync: "always", Prefix: prefix, Delivery: delivery, Stream: prefix, MaxBytes: 1 << 20, Handlers: []string{
			"json://" + json + "?rotate=8KiB&keep=1000&compress=gzip", "file://" + text + "?rotate=6KiB&keep=1000"}},
		logs: []checker.Destination{{Path: json}, {Path: text, Format: checker.Text}},
	}
}

// run carries the script out with the first collector traced. When that dies, another takes its place and the script goes on.
func (s *script) run(trace harness.TraceSpec) {
	s.t.Helper()
	trace.Under = []string{s.spec.Dir}
	s.now = harness.LaunchCollector(s.t, s.spec, harness.Traced(trace))
	pub, err := publisher.New(publisher.Config{App: "etl", Worker: "w1", Prefix: s.spec.Prefix, Conn: natsconn.Config{URL: s.broker.URL},
		Delivery: s.spec.Delivery, Stream: s.spec.Stream, BlockTimeout: harness.Guard})
	if err != nil {
		s.t.Fatal(err)
	}
	run := pub.Identity().Run
	ledger, err := checker.NewWriter(s.ledgers, "w1", run, true)
	if err != nil {
		s.t.Fatal(err)
	}
	log := pub.Named("etl.load")
	n := 0
	for range 6 {
		for range 10 {
			n++
			e := checker.Entry{Source: run, N: n, Level: "info", Logger: "etl.load"}
			log.Info("row", publisher.String("id", e.ID()), publisher.String("pad", checker.Payload(e.ID(), 150)))
			if err := ledger.Accepted(0, n, e.Level, e.Logger); err != nil {
				s.t.Fatal(err)
			}
		}
		s.through("flush", pub.Flush)
		s.caughtUp()
	}
	s.through("close", pub.Close)
	stats := pub.Stats()
	if err := ledger.End(stats.Logged, stats.Dropped); err != nil {
		s.t.Fatal(err)
	}
	s.stop()
	harness.Check(s.t, s.ledgers, s.logs...)
}

// through waits for the publisher, and revives the collector if that dies meanwhile.
func (s *script) through(what string, wait func(context.Context) error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Guard)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- wait(ctx) }()
	for {
		select {
		case err := <-done:
			if err != nil {
				s.t.Fatalf("%s: %v", what, err)
			}
			return
		case <-s.now.Done():
			s.revive()
		}
	}
}

// caughtUp waits until what the stream has acknowledged is in the files, and revives the collector if that dies meanwhile. In direct
// delivery it is there already.
func (s *script) caughtUp() {
	s.t.Helper()
	if s.spec.Delivery == "direct" {
		return
	}
	for answered := false; !answered; {
		answers := func() int { return strings.Count(s.now.Stdout(), "catchup null") }
		before := answers()
		s.now.TrySend("catchup")
		harness.Until(s.t, "the collector to catch up or to end", func() bool {
			answered = answers() > before
			return answered || s.now.Exited()
		})
		if !answered {
			s.revive()
		}
	}
}

func (s *script) revive() {
	s.t.Helper()
	s.now = harness.StartCollector(s.t, s.spec)
	if s.now.Took > recovery {
		s.t.Errorf("recovery took %v", s.now.Took)
	}
}

// stop ends the collector. If it is killed in its very last steps, a successor has to find everything in order.
func (s *script) stop() {
	s.t.Helper()
	s.caughtUp()
	if !s.now.Exited() {
		s.now.TrySend("stop")
	}
	if s.now.Wait() != 0 {
		s.revive()
		s.caughtUp()
		s.now.Stop()
	}
}

// both runs a test over both deliveries. What it goes through, at the calls that it lists, is the same in both; over a stream a third
// of that has to do, but for the long run.
func both(t *testing.T, test func(t *testing.T, broker *harness.Broker, delivery string, skip func(n int) bool)) {
	t.Helper()
	if err := harness.CanTrace(); err != nil {
		t.Skip(err)
	}
	broker := harness.StartBroker(t, harness.BrokerSpec{Store: t.TempDir()})
	for _, delivery := range []string{"direct", "stream"} {
		t.Run(delivery, func(t *testing.T) {
			test(t, broker, delivery, func(n int) bool { return delivery == "stream" && !*long && n/len(failures)%3 != 0 })
		})
	}
}

// everyCall lists the calls of an undisturbed run.
func everyCall(t *testing.T, broker *harness.Broker, delivery string) []harness.TracedCall {
	t.Helper()
	s := newScript(t, broker, delivery, "dry-"+delivery)
	report := filepath.Join(t.TempDir(), "calls")
	s.run(harness.TraceSpec{Report: report})
	calls := harness.ReadTrace(t, report)
	seen := map[string]int{}
	for _, c := range calls {
		seen[c.Name]++
	}
	t.Logf("%d system calls: %v", len(calls), seen)
	// The script is only worth its name while it goes through all of these.
	for _, name := range []string{"write", "openat", "renameat", "unlinkat"} {
		if seen[name] == 0 {
			t.Errorf("the script has no %s: %v", name, seen)
		}
	}
	if seen["fsync"]+seen["fdatasync"] == 0 {
		t.Errorf("the script has no fsync: %v", seen)
	}
	return calls
}

// Row 2 and 22: the collector is killed at every system call that changes the disk, in a run with commits, rotation and compression.
func TestFault02EverySystemCall(t *testing.T) { both(t, everySystemCall) }

func everySystemCall(t *testing.T, broker *harness.Broker, delivery string, skip func(n int) bool) {
	calls := everyCall(t, broker, delivery)
	acts := []harness.Act{harness.KillBefore}
	if *long {
		acts = append(acts, harness.KillAfter)
	}
	t.Run("at", func(t *testing.T) {
		for _, act := range acts {
			for _, c := range calls {
				if skip(c.N) {
					continue
				}
				t.Run(fmt.Sprintf("%s %d %s", act, c.N, c.Name), func(t *testing.T) {
					t.Parallel()
					newScript(t, broker, delivery, point(delivery, act, c.N)).run(harness.TraceSpec{At: c.N, Act: act})
				})
			}
		}
	})
}

// Row 20 and 16: the same calls fail, one after another, with EIO, ENOSPC and a short write. The collector may refuse to start; once
// it has started it recovers by itself.
func TestFault20EverySystemCallFails(t *testing.T) { both(t, everySystemCallFails) }

var failures = []struct {
	name  string
	trace harness.TraceSpec
}{
	{"EIO", harness.TraceSpec{Act: harness.Fail, Errno: int(syscall.EIO)}},
	{"ENOSPC", harness.TraceSpec{Act: harness.Fail, Errno: int(syscall.ENOSPC)}},
	{"short", harness.TraceSpec{Act: harness.Short}},
}

func everySystemCallFails(t *testing.T, broker *harness.Broker, delivery string, skip func(n int) bool) {
	calls := everyCall(t, broker, delivery)
	t.Run("at", func(t *testing.T) {
		for i, f := range failures {
			for _, c := range calls {
				// In every run each call fails in one way; the long run has all ways.
				if skip(c.N) || !*long && c.N%len(failures) != i || f.name == "short" && !strings.Contains(c.Name, "write") {
					continue
				}
				t.Run(fmt.Sprintf("%s %d %s", f.name, c.N, c.Name), func(t *testing.T) {
					t.Parallel()
					trace := f.trace
					trace.At = c.N
					newScript(t, broker, delivery, point(delivery, harness.Act(f.name), c.N)).run(trace)
				})
			}
		}
	})
}

// point is a subject prefix of its own for each run, because they share a broker.
func point(delivery string, act harness.Act, n int) string {
	return fmt.Sprintf("%s-%s-%d", delivery, strings.ReplaceAll(string(act), " ", "-"), n)
}
