//go:build unix

package faults

import (
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// programs are the roles of this package: programs that end in other ways than a worker.
var programs = map[string]harness.Play{"program": playProgram, "forker": playForker}

// A programSpec says what a program logs and how it ends after that.
type programSpec struct {
	Ledger  string
	Records int    // 0: until it is killed
	End     string // see playProgram
}

// playProgram is a program as README shows it, with publisher.Main around it.
func playProgram(r *harness.Role) error {
	var spec programSpec
	if err := r.Spec(&spec); err != nil {
		return err
	}
	pub, err := publisher.FromEnv()
	if err != nil {
		return err
	}
	publisher.SetDefault(pub)
	ledger, err := checker.NewWriter(spec.Ledger, pub.Identity().Worker, pub.Identity().Run, true)
	if err != nil {
		return err
	}
	publisher.Main(func() int {
		r.Ready(nil)
		log := pub.Named("etl.load")
		for n := 1; spec.Records == 0 || n <= spec.Records; n++ {
			e := checker.Entry{Source: pub.Identity().Run, N: n, Level: "info", Logger: "etl.load"}
			log.Info("row", publisher.String("id", e.ID()))
			if err := ledger.Accepted(0, n, e.Level, e.Logger); err != nil {
				panic(err)
			}
			if spec.Records == 0 && n%20 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		r.Say("logged", spec.Records)
		switch spec.End {
		case "panic":
			panic("the end")
		case "panic of a goroutine":
			go panic("the end")
			select {}
		case "concurrent map writes":
			clash()
		case "os.Exit":
			os.Exit(3)
		case "runtime.Goexit":
			runtime.Goexit()
		}
		<-r.Stopped()
		return 0
	})
	return nil
}

// clash never returns: the runtime ends the process when it sees two goroutines write to a map.
func clash() {
	m := map[int]int{}
	for range 4 {
		go func() {
			for i := 0; ; i++ {
				m[i%8] = i
			}
		}()
	}
	select {}
}

// home is a master that programs log into.
type home struct {
	t       *testing.T
	master  *harness.Master
	dir     string
	ledgers string
	logs    []checker.Destination
}

func newHome(t *testing.T, delivery string) *home {
	t.Helper()
	h := &home{t: t, dir: t.TempDir(), ledgers: t.TempDir()}
	var handlers []string
	handlers, h.logs = harness.Logs(h.dir)
	h.master = harness.StartMaster(t, harness.MasterSpec{Dir: h.dir, Handlers: handlers, Delivery: delivery})
	return h
}

// start starts a program and waits until it logs. With before, that is called first, when all that the program needs of the master
// is known.
func (h *home) start(name string, spec programSpec, before func(), more ...string) *harness.Process {
	h.t.Helper()
	spec.Ledger = h.ledgers
	command := harness.Command{Name: name, Role: "program", Spec: spec}
	h.master.WorkerEnv(name, append(more, patient...)...)(&command)
	if before != nil {
		before()
	}
	p := harness.Start(h.t, command)
	p.Ready(nil)
	return p
}

// drained waits until the master has delivered and written what dead programs left in their buffer files.
func (h *home) drained() {
	h.t.Helper()
	harness.Until(h.t, "the buffers to be drained", func() bool {
		rings, err := filepath.Glob(filepath.Join(h.dir, ".logbraid", "buffer", "*.ring"))
		return err == nil && len(rings) == 0
	})
	h.master.CatchUp()
}

// lines are the lines of the JSON log with one of the words in them.
func (h *home) lines(word string) []string {
	h.t.Helper()
	b, err := os.ReadFile(h.logs[0].Path)
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, word) {
			all = append(all, line)
		}
	}
	return all
}

func (h *home) check() {
	h.t.Helper()
	h.master.CatchUp()
	h.master.Stop()
	harness.Check(h.t, h.ledgers, h.logs...)
}

// Row 38: a program ends by a panic, os.Exit or runtime.Goexit right behind its last log call, with the master stopped until then,
// so that nothing had been delivered. Everything is, and a panic becomes a record with its text. 0L0D0R0T.
func TestFault38Endings(t *testing.T) { both(t, endings) }

func endings(t *testing.T, delivery string) {
	for _, test := range []struct {
		end  string
		code int
		told string // in a record of level fatal
	}{
		{"panic", 2, "the end"},
		{"panic of a goroutine", 2, "the end"},
		// Not the line "fatal error: concurrent map writes": the Go runtime writes that before it turns to its crash output.
		{"concurrent map writes", 2, "fatal error: concurrent use of a map in "},
		{"os.Exit", 3, ""},
		{"runtime.Goexit", -1, ""},
	} {
		t.Run(test.end, func(t *testing.T) {
			t.Parallel()
			if harness.Race && test.end == "concurrent map writes" {
				t.Skip("the race detector ends the process in its own way")
			}
			h := newHome(t, delivery)
			p := h.start("w1", programSpec{Records: 1000, End: test.end}, h.master.Pause)
			p.Line("logged")
			h.master.Continue()
			if test.code == -1 { // its other goroutines go on
				harness.Until(t, "the records to be flushed", func() bool { return len(h.lines(`"msg":"row"`)) == 1000 })
				p.Kill()
			} else if code := p.Wait(); code != test.code {
				t.Errorf("exit code %d\n%s", code, p.Output())
			}
			h.drained()
			if test.told != "" {
				harness.Until(t, "the record of the end", func() bool { return len(h.lines(`"level":"fatal"`)) > 0 })
				if all := strings.Join(h.lines(`"level":"fatal"`), ""); !strings.Contains(all, test.told) || !strings.Contains(all, `"stack":"`) || strings.Count(all, "\n") != 1 {
					t.Errorf("the record of the end: %s", all)
				}
			}
			h.check()
		})
	}
}

// Row 38: storms of signals while a program logs. It ends by the signal; what it could not flush any more its buffer file keeps.
func TestFault38SignalStorm(t *testing.T) { both(t, signalStorm) }

func signalStorm(t *testing.T, delivery string) {
	h := newHome(t, delivery)
	for _, storm := range [][]syscall.Signal{
		{syscall.SIGTERM}, {syscall.SIGINT}, {syscall.SIGHUP}, {syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP},
	} {
		if storm[0] == syscall.SIGHUP && signal.Ignored(syscall.SIGHUP) {
			t.Log("SIGHUP alone: not tried, since this test was started by nohup or alike, and so its children ignore it")
			continue
		}
		p := h.start("w1", programSpec{}, nil)
		before := size(t, h.ledgers)
		harness.Until(t, "the program to log", func() bool { return size(t, h.ledgers) > before+5000 })
		for i := 0; i < 200 && !p.Exited(); i++ {
			p.Signal(storm[i%len(storm)])
		}
		p.Wait()
		if ws := p.ProcessState().Sys().(syscall.WaitStatus); !ws.Signaled() {
			t.Errorf("%v: ended with %v\n%s", storm, p.State(), p.Output())
		}
	}
	h.drained()
	h.check()
}

// Row 38: one SIGTERM with nobody there to deliver to: the flush ends with its limit, and the buffer file keeps the rest.
func TestFault38FlushLimit(t *testing.T) { both(t, flushLimit) }

func flushLimit(t *testing.T, delivery string) {
	h := newHome(t, delivery)
	p := h.start("w1", programSpec{Records: 2000}, nil, "LOGBRAID_CLOSE_TIMEOUT=500ms")
	p.Line("logged")
	q := h.start("w2", programSpec{}, nil, "LOGBRAID_CLOSE_TIMEOUT=500ms")
	h.master.Pause()
	before := size(t, h.ledgers)
	harness.Until(t, "the program to log into its buffer", func() bool { return size(t, h.ledgers) > before+5000 })
	begin := time.Now()
	q.Signal(syscall.SIGTERM)
	q.Wait()
	if ws := q.ProcessState().Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v\n%s", q.State(), q.Output())
	}
	if took := time.Since(begin); took < 500*time.Millisecond || took > limit(5*time.Second) {
		t.Errorf("ended after %v; its limit is 500ms", took)
	}
	h.master.Continue()
	p.Kill()
	h.drained()
	h.check()
}
