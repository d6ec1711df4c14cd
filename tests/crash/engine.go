//go:build unix

package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// Options say what to do. Every field but Cycles has a default.
type Options struct {
	Cycles  int
	Seed    uint64
	Layout  string // "embedded" or "external"; "": by the seed
	Workers int    // 0: 3
	Records int    // that each worker logs in a cycle; 0: 2,000
	FSync   string // "": by the seed
	Victim  string // "": by the seed, anew in each cycle

	Delivery string // direct or stream; "": direct
	MaxBytes int64  // of the stream; 0: the product's default
}

// A Result is what a run showed. Whatever was wrong has failed the test.
type Result struct {
	Layout   string
	Delivery string
	Seed     uint64
	Kills    map[string]int
	Accepted int // records whose log call returned
	Written  int // of those, records in the JSON log
	Runs     int
	Files    int
	Elapsed  time.Duration
}

func (r Result) String() string {
	var kills []string
	for victim, n := range r.Kills {
		kills = append(kills, fmt.Sprintf("%d %s", n, victim))
	}
	sort.Strings(kills)
	return fmt.Sprintf("%s, %s, seed %d: killed %s; %d records accepted from %d runs, %d written into %d files; %v",
		r.Layout, r.Delivery, r.Seed, strings.Join(kills, ", "), r.Accepted, r.Runs, r.Written, r.Files, r.Elapsed.Round(time.Millisecond))
}

// killable is a process of the layout that can be killed and comes back.
type killable interface {
	Kill()
	Relaunch()
	Restart()
	Join(*harness.Group)
}

// layout is what the workers log into.
type layout struct {
	parts   map[string]killable // without the workers
	worker  func(name string) harness.Option
	buffers string // the workers' buffer directory
	settle  func() // after the workers have ended: deliver what killed ones left behind, then stop everything
	json    checker.Destination
	text    checker.Destination
}

// run is the state of one Run.
type run struct {
	t       harness.T
	o       Options
	random  *rand.Rand
	ledgers string
	layout  *layout
	group   *harness.Group
	workers []*harness.Worker
	result  Result
}

// Run does o.Cycles cycles and checks the log.
func Run(t harness.T, o Options) Result {
	t.Helper()
	r := &run{t: t, o: o, random: rand.New(rand.NewPCG(o.Seed, 3)), ledgers: t.TempDir()}
	r.defaults()
	begin := time.Now()
	r.result = Result{Layout: r.o.Layout, Delivery: r.o.Delivery, Seed: o.Seed, Kills: map[string]int{}}
	r.start()
	for cycle := range r.o.Cycles {
		r.cycle(cycle)
		if t.Failed() {
			return r.result
		}
	}
	r.finish()
	r.result.Elapsed = time.Since(begin)
	return r.result
}

func (r *run) defaults() {
	if r.o.Layout == "" {
		r.o.Layout = []string{"embedded", "external"}[r.random.IntN(2)]
	}
	if r.o.Workers == 0 {
		r.o.Workers = 3
	}
	if r.o.Records == 0 {
		r.o.Records = 2_000
	}
	if r.o.Delivery == "" {
		r.o.Delivery = "direct"
	}
	if r.o.FSync == "" {
		r.o.FSync = []string{"never", "1s", "always"}[r.random.IntN(3)]
	}
}

func (r *run) start() {
	r.t.Helper()
	r.group = harness.NewGroup(r.t)
	dir := r.t.TempDir()
	// Small generations and compression, so that kills hit rotations too.
	json, text := filepath.Join(dir, "app.jsonl"), filepath.Join(dir, "app.log")
	compress := []string{"none", "gzip", "zstd"}[r.random.IntN(3)]
	handlers := []string{
		"json://" + json + "?rotate=1MiB&keep=100000&compress=" + compress,
		"file://" + text + "?rotate=700KiB&keep=100000",
	}
	switch r.o.Layout {
	case "embedded":
		r.layout = r.embedded(dir, handlers)
	case "external":
		r.layout = r.external(dir, handlers)
	default:
		r.t.Fatalf("no layout %q", r.o.Layout)
	}
	r.layout.json = checker.Destination{Path: json}
	r.layout.text = checker.Destination{Path: text, Format: checker.Text}
	for i := range r.o.Workers {
		name := fmt.Sprintf("w%d", i+1)
		spec := harness.WorkerSpec{Ledger: r.ledgers, Serve: true, Goroutines: 1 + i%2, Burst: 40, Every: time.Millisecond, Payload: 80,
			FrontEnd: []string{"native", "slog", "logrus"}[i%3]}
		r.workers = append(r.workers, harness.StartWorker(r.t, name, spec, r.layout.worker(name), harness.In(r.group),
			// Nothing may be dropped: a call waits as long as it takes. Small messages are full, and so sent ahead, when few records wait.
			harness.Env("LOGBRAID_OVERFLOW=block", "LOGBRAID_BLOCK_TIMEOUT=10m", "LOGBRAID_BATCH="+[]string{"1MiB", "4KiB", "16KiB"}[i%3],
				"LOGBRAID_BATCH_COMPRESSION="+[]string{"none", "s2"}[i%2])))
	}
}

func (r *run) embedded(dir string, handlers []string) *layout {
	r.t.Helper()
	m := harness.StartMaster(r.t, harness.MasterSpec{Dir: dir, Handlers: handlers, FSync: r.o.FSync, Delivery: r.o.Delivery, MaxBytes: r.o.MaxBytes}, harness.In(r.group))
	buffers := filepath.Join(dir, ".logbraid", "buffer")
	return &layout{
		parts:   map[string]killable{"master": m},
		worker:  func(name string) harness.Option { return m.WorkerEnv(name) },
		buffers: buffers,
		settle: func() {
			r.drained(buffers)
			m.CatchUp()
			r.account(harness.AllEnded(r.t, m.Stats))
			m.Stop()
		},
	}
}

func (r *run) external(dir string, handlers []string) *layout {
	r.t.Helper()
	buffers := r.t.TempDir()
	spec := harness.BrokerSpec{}
	if r.o.Delivery == "stream" {
		spec.Store = r.t.TempDir()
	}
	b := harness.StartBroker(r.t, spec, harness.In(r.group))
	c := harness.StartCollector(r.t, harness.CollectorSpec{URL: b.URL, Dir: dir, Handlers: handlers, FSync: r.o.FSync, Delivery: r.o.Delivery, MaxBytes: r.o.MaxBytes}, harness.In(r.group))
	return &layout{
		parts: map[string]killable{"broker": b, "collector": c},
		worker: func(name string) harness.Option {
			return harness.PlainEnv(b.URL, name, "LOGBRAID_BUFFER_DIR="+buffers, "LOGBRAID_DELIVERY="+r.o.Delivery)
		},
		buffers: buffers,
		settle: func() {
			// A publisher delivers what earlier runs of its worker left; the last runs' buffers are left to collector drain.
			ctx, cancel := context.WithTimeout(context.Background(), harness.Guard)
			defer cancel()
			report, err := publisher.Drain(ctx, publisher.DrainConfig{Dir: buffers, Conn: publisher.Connection{URL: b.URL}, Delivery: r.o.Delivery})
			if err != nil || report.InUse > 0 || len(report.Unreadable) > 0 {
				r.t.Errorf("drain: %v: %+v", err, report)
			}
			r.drained(buffers)
			c.CatchUp()
			r.account(harness.AllEnded(r.t, c.Stats))
			c.Stop()
			b.Stop()
		},
	}
}

// cycle lets every worker log its share and kills a victim in the middle of it.
func (r *run) cycle(number int) {
	r.t.Helper()
	before := r.ledgerBytes()
	for _, w := range r.workers {
		w.Send(fmt.Sprintf("log %d", r.o.Records))
	}
	// A ledger line has about twenty bytes, so this is somewhere within the cycle's load.
	share := int64(r.random.Float64() * 0.9 * 20 * float64(r.o.Records*len(r.workers)))
	victims := r.victims()
	victim := victims[r.random.IntN(len(victims))]
	if r.o.Victim != "" {
		victim = r.o.Victim
	}
	harness.Until(r.t, fmt.Sprintf("cycle %d to log %d bytes of ledger", number, share), func() bool { return r.ledgerBytes()-before >= share })
	again := r.random.Float64() < 0.25
	delay := time.Duration(r.random.IntN(60)) * time.Millisecond
	r.kill(victim)
	if again && victim != "all" && !strings.HasPrefix(victim, "w") {
		// Once more, while it starts or has just started.
		r.relaunch(victim)
		time.Sleep(delay) // the moment of the second kill, not a wait for something
		r.kill(victim)
	}
	r.revive(victim)
	for _, w := range r.workers {
		if victim != "all" && victim != w.Name { // those have a new life, which was not told to log yet
			w.WaitLogged()
		}
	}
}

// victims are all that can be killed, sorted, so that the seed decides alone. Workers together are as likely as each part.
func (r *run) victims() []string {
	names := []string{"all", r.workers[r.random.IntN(len(r.workers))].Name}
	for name := range r.layout.parts {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (r *run) kill(victim string) {
	r.t.Helper()
	kind := victim
	switch {
	case victim == "all":
		r.group.Kill()
		for _, p := range r.layout.parts {
			p.Kill() // reaps it
		}
		for _, w := range r.workers {
			w.Kill()
		}
	case r.layout.parts[victim] != nil:
		r.layout.parts[victim].Kill()
	default:
		kind = "worker"
		r.byName(victim).Kill()
	}
	r.result.Kills[kind]++
}

func (r *run) byName(name string) *harness.Worker {
	for _, w := range r.workers {
		if w.Name == name {
			return w
		}
	}
	r.t.Fatalf("no worker %q", name)
	return nil
}

// relaunch starts a part that was killed, and does not wait until it is ready.
func (r *run) relaunch(victim string) {
	r.t.Helper()
	r.layout.parts[victim].Relaunch()
}

// revive starts again what was killed.
func (r *run) revive(victim string) {
	r.t.Helper()
	switch {
	case victim == "all":
		r.group = harness.NewGroup(r.t)
		for _, name := range sortedKeys(r.layout.parts) { // broker before collector
			r.layout.parts[name].Join(r.group)
			r.layout.parts[name].Restart()
		}
		for _, w := range r.workers {
			w.Join(r.group)
			w.Restart()
		}
	case r.layout.parts[victim] != nil:
		r.layout.parts[victim].Restart()
	default:
		r.byName(victim).Restart()
	}
}

// ledgerBytes grows with each log call that has returned.
func (r *run) ledgerBytes() int64 {
	entries, err := os.ReadDir(r.ledgers)
	if err != nil {
		r.t.Fatalf("list ledgers: %v", err)
	}
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	return total
}

// finish ends the workers in good order, lets what dead ones left behind be delivered, and checks.
func (r *run) finish() {
	r.t.Helper()
	for _, w := range r.workers {
		report := w.Finish()
		if report.Close != "" || report.Dropped != 0 {
			r.t.Errorf("%s: Close: %q, dropped %d", w.Name, report.Close, report.Dropped)
		}
	}
	r.layout.settle()
	accepted, err := checker.ReadLedgers(r.ledgers)
	if err != nil {
		r.t.Fatalf("read ledgers: %v", err)
	}
	r.result.Accepted, r.result.Runs = accepted.Records(), accepted.Sources()
	for _, d := range []checker.Destination{r.layout.json, r.layout.text} {
		report, err := checker.Check(accepted, d)
		if err != nil {
			r.t.Fatalf("check %s: %v", d.Path, err)
		}
		r.t.Logf("%v", report)
		if err := report.Err(); err != nil {
			r.t.Errorf("seed %d: %v", r.o.Seed, err)
		}
		r.result.Files += report.Files
		if d.Format == checker.JSON {
			r.result.Written = report.Records
		}
	}
}

// drained waits until no buffer is left.
func (r *run) drained(dir string) {
	r.t.Helper()
	harness.Until(r.t, "the buffers of killed workers to be drained", func() bool {
		names, err := filepath.Glob(filepath.Join(dir, "*.ring"))
		return err == nil && len(names) == 0
	})
}

// account is I9 by the collector's counters: after everything has been delivered and all runs have ended nothing is in flight, and
// here nothing may have been dropped or lost.
func (r *run) account(s harness.CollectorStats) {
	r.t.Helper()
	for _, run := range s.Runs {
		if run.Logged != run.Written || run.Dropped != 0 || run.Lost != 0 || run.Excess != 0 {
			r.t.Errorf("seed %d: the collector's count of run %s of %s: %+v", r.o.Seed, run.Run, run.Worker, run)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
