package faults

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// crowd starts n publishers at once in this process. Each logs, flushes, logs and closes.
func crowd(t *testing.T, r *rig, n int) (flushed time.Duration) {
	t.Helper()
	var all, served sync.WaitGroup
	var mu sync.Mutex
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), harness.Guard)
	defer cancel()
	begin := time.Now()
	for i := range n {
		served.Add(1)
		all.Go(func() {
			done := sync.OnceFunc(served.Done)
			defer done()
			pub, err := publisher.New(publisher.Config{App: "etl", Worker: fmt.Sprintf("p%d", i), Conn: natsconn.Config{URL: r.broker.URL},
				Delivery: r.delivery, Buffer: 64 << 10, BlockTimeout: harness.Guard})
			if err != nil {
				fail(err)
				return
			}
			ledger, err := checker.NewWriter(r.ledgers, pub.Identity().Worker, pub.Identity().Run, true)
			if err != nil {
				fail(err)
				return
			}
			log := pub.Named("etl.load")
			for n := 1; n <= 10; n++ {
				e := checker.Entry{Source: pub.Identity().Run, N: n, Level: "info", Logger: "etl.load"}
				log.Info("row", publisher.String("id", e.ID()))
				if err := ledger.Accepted(0, n, e.Level, e.Logger); err != nil {
					fail(err)
				}
				if n == 5 {
					if err := pub.Flush(ctx); err != nil {
						fail(fmt.Errorf("flush: %w", err))
					}
					done()
				}
			}
			if err := pub.Close(ctx); err != nil {
				fail(fmt.Errorf("close: %w", err))
			}
			stats := pub.Stats()
			if err := ledger.End(stats.Logged, stats.Dropped); err != nil {
				fail(err)
			}
		})
	}
	served.Wait()
	flushed = time.Since(begin)
	all.Wait()
	return flushed
}

// cpu is the processor time that processes have used.
func cpu(t *testing.T, pids ...int) time.Duration {
	t.Helper()
	total := time.Duration(0)
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		// utime and stime, in hundredths of a second, are the 12th and 13th field behind the name.
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		for _, field := range f[11:13] {
			ticks, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			total += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return total
}

// Row 32: 1,000 publishers connect at once, and processes with them; then they come and go. All are served, 0L0D0R0T, and
// afterwards broker and collector have no more descriptors than before.
//
// Served within 2 s is a matter of what else the machine does: by the clock, or else by the processor time, when two processors
// have nothing else to do.
func TestFault32Crowd(t *testing.T) { inTurn(t, crowds) }

func crowds(t *testing.T, delivery string) {
	r := newRig(t, delivery, setup{})
	parts := []int{r.broker.Pid(), r.collector.Pid()}
	processes := 100
	if harness.Race {
		processes = 20 // they take a second of processor time each
	}
	w := r.worker("w0", steady) // so that everything that one publisher needs is open already
	w.Log(10)
	r.written(w)
	descriptors := func(pid int) int {
		n, err := harness.Descriptors(pid)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	baseline := []int{descriptors(parts[0]), descriptors(parts[1])}

	used := cpu(t, append(parts, os.Getpid())...)
	took := crowd(t, r, 1000)
	used = cpu(t, append(parts, os.Getpid())...) - used
	t.Logf("1,000 publishers served after %v; with their ends they took %v of processor time", took, used)
	if served := min(took, used/2); served > limit(2*time.Second) {
		t.Errorf("1,000 publishers were served after %v", served)
	}
	var many []*harness.Worker
	for i := range processes {
		many = append(many, harness.LaunchWorker(t, fmt.Sprintf("q%d", i), harness.WorkerSpec{Ledger: r.ledgers, Records: 10}, harness.PlainEnv(r.broker.URL, fmt.Sprintf("q%d", i), append(patient, "LOGBRAID_DELIVERY="+delivery)...)))
	}
	for _, one := range many {
		one.Report()
	}
	for range 3 {
		crowd(t, r, 150)
	}
	for i, pid := range parts {
		harness.Until(t, "the descriptors to be as many as before", func() bool { return descriptors(pid) <= baseline[i] })
	}
	w.Log(10)
	w.Finish()
	r.collector.CatchUp()
	stats := r.collector.Stats()
	r.collector.Stop()
	harness.Check(t, r.ledgers, r.logs...)
	if runs := 1 + 1000 + processes + 3*150; len(stats.Runs) != runs || stats.Logged != stats.Written {
		t.Errorf("%d runs for %d publishers; logged %d, written %d", len(stats.Runs), runs, stats.Logged, stats.Written)
	}
}
