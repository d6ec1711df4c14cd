//go:build unix

package harness

import (
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestMain(m *testing.M) {
	echo := func(r *Role) error {
		var spec string
		if err := r.Spec(&spec); err != nil {
			return err
		}
		r.Ready(spec)
		for {
			select {
			case word := <-r.Commands():
				r.Say("heard", word)
			case <-r.Stopped():
				return nil
			}
		}
	}
	Main(m.Run, testRoles(echo))
}

func TestRoles(t *testing.T) {
	p := Start(t, Command{Role: "echo", Spec: "tell me"})
	var told string
	p.Ready(&told)
	if told != "tell me" {
		t.Errorf("the role was told %q", told)
	}
	p.Send("hello")
	if got := p.Line("heard"); got != `"hello"` {
		t.Errorf("the role heard %s", got)
	}
	p.Pause()
	p.Send("late")
	p.Continue()
	if got := p.Line("heard"); got != `"late"` {
		t.Errorf("the role heard %s", got)
	}
	p.Kill()
	if code := p.Wait(); code != -1 {
		t.Errorf("exit code %d after kill -9", code)
	}
	p.Relaunch()
	p.Ready(nil)
	p.Stop()
}

// Nothing that the tests start may outlive them: a role ends with its standard input.
func TestRoleEndsWithItsParent(t *testing.T) {
	p := Start(t, Command{Role: "idle"})
	p.Ready(nil)
	p.CloseInput()
	if code := p.Wait(); code != 97 {
		t.Errorf("exit code %d", code)
	}
}

func TestGroupDiesAtOnce(t *testing.T) {
	g := NewGroup(t)
	a := Start(t, Command{Role: "idle", Group: g})
	b := Start(t, Command{Role: "idle", Group: g})
	a.Ready(nil)
	b.Ready(nil)
	g.Kill()
	for _, p := range []*Process{a, b} {
		p.Wait()
		if s := p.ProcessState().Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
			t.Errorf("ended with %v", p.State())
		}
	}
}

func TestBrokerKeepsItsPort(t *testing.T) {
	b := StartBroker(t, BrokerSpec{})
	connect := func() {
		t.Helper()
		nc, err := nats.Connect(b.URL, nats.Timeout(Guard))
		if err != nil {
			t.Fatal(err)
		}
		nc.Close()
	}
	connect()
	b.Kill()
	if nc, err := nats.Connect(b.URL, nats.Timeout(time.Second)); err == nil {
		nc.Close()
		t.Error("a killed broker answers")
	}
	b.Restart()
	connect()
	b.Stop()
}
