//go:build unix

package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/checker"
)

// A WorkerSpec describes a worker: a process with one publisher, configured by its environment, and a ledger.
type WorkerSpec struct {
	Ledger     string        // directory; "" writes none
	Records    int           // per goroutine; 0: until told to stop, or with Serve none
	Goroutines int           // 0: 1
	Every      time.Duration // pause of a goroutine after each burst; 0: none
	Burst      int           // records between two pauses; 0: 1
	FrontEnd   string        // one of FrontEnds(); "": native
	Loggers    []string      // taken in turn; empty: etl.load
	Levels     []string      // taken in turn, each for one record; empty: info
	Payload    int           // bytes of awkward text in each record
	Serve      bool          // when all is logged, answer commands until stop: "log N", "flush", "stats", "latency"
	Leave      bool          // end without Close: what a program does that forgets it
	CloseWait  time.Duration // how long Close may take; 0: the harness's Guard
}

// A WorkerReport is what a worker says at its end.
type WorkerReport struct {
	Run     string
	Calls   int // log calls that returned
	Logged  uint64
	Dropped uint64
	Acked   uint64
	Close   string          // the error of Close
	Unacked uint64          // when that is an UnackedError
	Latency Latency         // of the log calls
	Stats   json.RawMessage // publisher.Stats as it stands
}

// A Worker is a worker's process.
type Worker struct {
	*Process
	Name string
}

// StartWorker starts a worker and waits until its publisher is there. The environment tells the publisher where to publish: it
// comes from the master, or from PlainEnv.
func StartWorker(t T, name string, spec WorkerSpec, options ...Option) *Worker {
	t.Helper()
	w := LaunchWorker(t, name, spec, options...)
	w.Ready(nil)
	return w
}

// LaunchWorker starts a worker and does not wait: for crowds of them.
func LaunchWorker(t T, name string, spec WorkerSpec, options ...Option) *Worker {
	t.Helper()
	p := Start(t, with(Command{Name: name, Role: "worker", Spec: spec}, options))
	return &Worker{Process: p, Name: name}
}

// PlainEnv is the environment of a worker against a broker that asks for no credentials.
func PlainEnv(url, worker string, more ...string) Option {
	return Env(append([]string{"LOGBRAID_NATS_URL=" + url, "LOGBRAID_APP=etl", "LOGBRAID_WORKER=" + worker}, more...)...)
}

// Restart starts the worker again, as a new run, after it has ended.
func (w *Worker) Restart() {
	w.t.Helper()
	w.Process.Relaunch()
	w.Ready(nil)
}

// WaitLogged waits until all of the worker's log calls have returned.
func (w *Worker) WaitLogged() {
	w.t.Helper()
	w.Line("logged")
}

// Report waits for the worker's end in good order and returns what it says then.
func (w *Worker) Report() WorkerReport {
	w.t.Helper()
	var r WorkerReport
	w.decode(w.Line("closed"), &r)
	w.WaitOK()
	return r
}

// Log lets each goroutine of a worker that serves log n more records, and waits until the calls have returned.
func (w *Worker) Log(n int) {
	w.t.Helper()
	w.BeginLog(n)
	w.WaitLogged()
}

// BeginLog is Log without the wait.
func (w *Worker) BeginLog(n int) {
	w.t.Helper()
	w.Send(fmt.Sprintf("log %d", n))
}

// Flush waits until everything that was accepted is acknowledged.
func (w *Worker) Flush() {
	w.t.Helper()
	if answer := w.Asked("flush"); answer != "null" {
		w.t.Fatalf("flush of %s: %s", w.Name, answer)
	}
}

// Latency is that of the log calls since the last time it was asked for.
func (w *Worker) Latency() Latency {
	w.t.Helper()
	var l Latency
	w.Ask("latency", &l)
	return l
}

// Stats are the publisher's counters.
func (w *Worker) Stats() publisher.Stats {
	w.t.Helper()
	var s publisher.Stats
	w.Ask("stats", &s)
	return s
}

// Finish asks the worker to stop logging and to close, and returns what it says then.
func (w *Worker) Finish() WorkerReport {
	w.t.Helper()
	w.Send("stop")
	return w.Report()
}

func playWorker(r *Role) error {
	var spec WorkerSpec
	if err := r.Spec(&spec); err != nil {
		return err
	}
	pub, err := publisher.FromEnv()
	if err != nil {
		return err
	}
	w, err := newWork(r, spec, pub)
	if err != nil {
		return err
	}
	r.Ready(pub.Identity())
	if spec.Records > 0 || !spec.Serve {
		if err := w.log(spec.Records); err != nil {
			return err
		}
		if spec.Serve {
			r.Say("logged", w.calls)
		}
	}
	if spec.Serve {
		if err := serve(r, w.answer, func() error { return nil }); err != nil {
			return err
		}
	}
	if err := w.front.finish(); err != nil {
		return fmt.Errorf("finish front end: %w", err)
	}
	if !spec.Serve {
		r.Say("logged", w.calls)
	}
	if spec.Leave {
		return nil
	}
	return w.close()
}

// work is a worker's doing.
type work struct {
	role   *Role
	spec   WorkerSpec
	pub    *publisher.Publisher
	front  frontEnd
	ledger *checker.Writer

	next []int // by goroutine: its next record's number; each goroutine has its own element

	mu      sync.Mutex
	calls   int
	latency histogram
	err     error
}

func newWork(r *Role, spec WorkerSpec, pub *publisher.Publisher) (*work, error) {
	w := &work{role: r, spec: spec, pub: pub}
	w.spec.Goroutines = max(w.spec.Goroutines, 1)
	if len(w.spec.Loggers) == 0 {
		w.spec.Loggers = []string{"etl.load"}
	}
	if len(w.spec.Levels) == 0 {
		w.spec.Levels = []string{"info"}
	}
	var err error
	if w.front, err = newFrontEnd(spec.FrontEnd, pub); err != nil {
		return nil, err
	}
	if spec.Ledger != "" {
		id := pub.Identity()
		if w.ledger, err = checker.NewWriter(spec.Ledger, id.Worker, id.Run, true); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// answer carries out the parent's commands.
func (w *work) answer(word, rest string) (any, error) {
	switch word {
	case "log":
		n, err := strconv.Atoi(rest)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("log %q", rest)
		}
		if err := w.log(n); err != nil {
			return nil, err
		}
		w.role.Say("logged", w.calls)
		return n, nil
	case "flush":
		ctx, cancel := context.WithTimeout(context.Background(), Guard)
		defer cancel()
		return nil, w.pub.Flush(ctx)
	case "stats":
		return w.pub.Stats(), nil
	case "latency": // of the calls since the last time
		w.mu.Lock()
		defer w.mu.Unlock()
		l := w.latency.summary()
		w.latency = histogram{}
		return l, nil
	}
	return nil, fmt.Errorf("unknown command %q", word)
}

// log lets each goroutine log so many records and waits for them; 0: until the parent says stop.
func (w *work) log(records int) error {
	if w.next == nil {
		w.next = make([]int, w.spec.Goroutines)
	}
	var wg sync.WaitGroup
	for g := range w.spec.Goroutines {
		wg.Go(func() {
			calls, times, err := w.one(g, records)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.calls += calls
			w.latency.add(&times)
			w.err = errors.Join(w.err, err)
		})
	}
	wg.Wait()
	return w.err
}

// one is a goroutine's loop: a record, and after the call its line in the ledger.
func (w *work) one(g, records int) (calls int, times histogram, err error) {
	run := w.pub.Identity().Run
	for records == 0 || calls < records {
		select {
		case <-w.role.Stopped():
			if records == 0 {
				return calls, times, nil
			}
		default:
		}
		w.next[g]++
		n := w.next[g]
		e := checker.Entry{Source: run, Goroutine: g, N: n, Level: w.spec.Levels[n%len(w.spec.Levels)], Logger: w.spec.Loggers[n%len(w.spec.Loggers)]}
		id := e.ID()
		pad := checker.Payload(id, w.spec.Payload)
		begin := time.Now()
		w.front.log(e.Level, e.Logger, id, pad)
		times.note(time.Since(begin))
		calls++
		if w.ledger != nil {
			if err := w.ledger.Accepted(g, n, e.Level, e.Logger); err != nil {
				return calls, times, fmt.Errorf("write ledger: %w", err)
			}
		}
		if w.spec.Every > 0 && calls%max(w.spec.Burst, 1) == 0 {
			time.Sleep(w.spec.Every)
		}
	}
	return calls, times, nil
}

func (w *work) close() error {
	wait := w.spec.CloseWait
	if wait == 0 {
		wait = Guard
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	report := WorkerReport{Run: w.pub.Identity().Run, Calls: w.calls, Latency: w.latency.summary()}
	if err := w.pub.Close(ctx); err != nil {
		report.Close = err.Error()
		var unacked *publisher.UnackedError
		if errors.As(err, &unacked) {
			report.Unacked = unacked.Records
		}
	}
	stats := w.pub.Stats()
	report.Logged, report.Dropped, report.Acked = stats.Logged, stats.Dropped, stats.Acked
	report.Stats, _ = json.Marshal(stats)
	if w.ledger != nil && report.Close == "" {
		if err := w.ledger.End(report.Logged, report.Dropped); err != nil {
			return fmt.Errorf("end ledger: %w", err)
		}
	}
	w.role.Say("closed", report)
	return nil
}

// Check reads the ledgers and holds each destination against them; whatever is wrong fails the test.
func Check(t T, ledgers string, destinations ...checker.Destination) []*checker.Report {
	t.Helper()
	accepted, err := checker.ReadLedgers(ledgers)
	if err != nil {
		t.Fatalf("read ledgers: %v", err)
	}
	var reports []*checker.Report
	for _, d := range destinations {
		report, err := checker.Check(accepted, d)
		if err != nil {
			t.Fatalf("check %s: %v", d.Path, err)
		}
		t.Logf("%d accepted from %d sources; %v", accepted.Records(), accepted.Sources(), report)
		if err := report.Err(); err != nil {
			t.Errorf("%v", err)
		}
		Agree(t, d, report)
		reports = append(reports, report)
	}
	return reports
}

// Logs are the two files that most tests let a collector write: everything as JSON, and everything as text.
func Logs(dir string) (handlers []string, destinations []checker.Destination) {
	json, text := filepath.Join(dir, "app.jsonl"), filepath.Join(dir, "app.log")
	return []string{"json://" + json, "file://" + text},
		[]checker.Destination{{Path: json}, {Path: text, Format: checker.Text}}
}
