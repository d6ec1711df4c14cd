//go:build unix

package faults

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// A forkSpec says what a program logs before it starts itself anew, and how it does that.
type forkSpec struct {
	Ledger  string
	Records int
	Then    string // "exec": in its own place; "child": as a child, which outlives it; "": it logs once more, and closes
}

// playForker is a program that starts itself again, with its environment and what descriptors the system lets it have: with
// LOGBRAID_BUFFER_DIR, a name and a token that are those of its parent.
func playForker(r *harness.Role) error {
	var spec forkSpec
	if err := r.Spec(&spec); err != nil {
		return err
	}
	pub, err := publisher.FromEnv()
	if err != nil {
		return err
	}
	run := pub.Identity().Run
	ledger, err := checker.NewWriter(spec.Ledger, pub.Identity().Worker, run, true)
	if err != nil {
		return err
	}
	log, n := pub.Named("etl.load"), 0
	some := func() error {
		for range spec.Records {
			n++
			e := checker.Entry{Source: run, N: n, Level: "info", Logger: "etl.load"}
			log.Info("row", publisher.String("id", e.ID()))
			if err := ledger.Accepted(0, n, e.Level, e.Logger); err != nil {
				return err
			}
		}
		return nil
	}
	if err := some(); err != nil {
		return err
	}
	r.Ready(run)
	if spec.Then == "" {
		<-r.Stopped()
		if err := some(); err != nil {
			return err
		}
		ctx, cancel := guarded()
		defer cancel()
		if err := pub.Close(ctx); err != nil {
			return err
		}
		return ledger.End(pub.Stats().Logged, pub.Stats().Dropped)
	}
	next := spec
	next.Then = ""
	env, err := harness.RoleEnv("forker", next)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if spec.Then == "exec" {
		return syscall.Exec(self, os.Args[:1], append(os.Environ(), env...))
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), env...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		return err
	}
	select {} // until it is killed
}

// Row 28: a worker whose records nobody has acknowledged executes itself anew, with the same process id, and one starts itself as a
// child and is killed while the child lives on. What comes is a new run; the lock on the buffer of the first goes with the first, so
// that what it left is delivered at once, while the second holds its own. 0L0D0R0T.
func TestFault28ForkAndExec(t *testing.T) { both(t, forkAndExec) }

func forkAndExec(t *testing.T, delivery string) {
	for _, then := range []string{"exec", "child"} {
		t.Run(then, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, delivery)
			command := harness.Command{Name: "w1", Role: "forker", Spec: forkSpec{Ledger: h.ledgers, Records: 1000, Then: then}}
			h.master.WorkerEnv("w1", patient...)(&command)
			h.master.Pause() // nothing is delivered before the program is another
			p := harness.Start(t, command)
			t.Cleanup(func() { // the child, when something went wrong: it holds the pipes of its parent
				if !p.Exited() {
					_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
				}
			})
			var first, second string
			p.Ready(&first)
			p.Ready(&second)
			if first == second {
				t.Errorf("both are run %s", first)
			}
			if then == "child" {
				p.Signal(syscall.SIGKILL)
			}
			h.master.Continue()
			rings := func() []string {
				rings, err := filepath.Glob(filepath.Join(h.dir, ".logbraid", "buffer", "*.ring"))
				if err != nil {
					t.Fatal(err)
				}
				return rings
			}
			if n := len(rings()); n != 2 && n != 1 {
				t.Errorf("%d buffers", n)
			}
			harness.Until(t, "the first run's buffer to be delivered while the second lives", func() bool { return len(rings()) == 1 })
			h.master.CatchUp()
			for _, run := range h.master.Stats().Runs {
				if run.Run == first && (!run.Ended || run.Written < 1000 || run.Lost+run.Dropped > 0) {
					t.Errorf("the first run: %+v", run)
				}
			}
			p.Send("stop")
			if code := p.Wait(); then == "exec" && code != 0 {
				t.Errorf("ended with %v\n%s", p.State(), p.Output())
			}
			h.drained()
			for _, run := range h.master.Stats().Runs {
				if run.Run == second && (!run.Ended || run.Written != 2000) {
					t.Errorf("the second run: %+v", run)
				}
			}
			h.check()
		})
	}
}
