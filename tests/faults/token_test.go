//go:build unix

package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/freeport"
	"github.com/logbraid/logbraid/tests/harness"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Row 36: a worker with a wrong token is refused and goes on trying; when the file holds the right one it is taken in, with all
// that it logged meanwhile. The same when its token expires under a worker that is connected, because another has taken its place,
// and when the master comes back with new tokens for all. 0L0D0R0T.
func TestFault36Token(t *testing.T) { both(t, token) }

func token(t *testing.T, delivery string) {
	dir, ledgers := t.TempDir(), t.TempDir()
	handlers, logs := harness.Logs(dir)
	// The proxy leads to one port for ever, so while the master is away nobody else may be given it.
	m := harness.StartMaster(t, harness.MasterSpec{Dir: dir, Handlers: handlers, Delivery: delivery, Port: freeport.Get(t)})
	env := m.WorkerEnv("w1", patient...) // which makes the token
	// Each time that the worker tries it comes through the proxy.
	proxy := harness.StartProxy(t, strings.TrimPrefix(env.Value("LOGBRAID_NATS_URL"), "nats://"))
	direct := harness.Env("LOGBRAID_NATS_URL="+proxy.URL(), "LOGBRAID_NATS_URL_FILE=")
	tokens := filepath.Join(dir, ".logbraid", "tokens")
	right, err := os.ReadFile(filepath.Join(tokens, "w1"))
	if err != nil {
		t.Fatal(err)
	}
	presented := filepath.Join(t.TempDir(), "token")
	write(t, presented, "w1.wrong\n")
	spec := steady
	spec.Ledger, spec.Serve = ledgers, true
	w := harness.StartWorker(t, "w1", spec, env, direct, harness.Env("LOGBRAID_NATS_TOKEN_FILE="+presented))

	connected := func(want bool) {
		t.Helper()
		state := map[bool]string{true: "taken in", false: "refused"}[want]
		harness.Until(t, "the worker to be "+state, func() bool { return w.Stats().Connected == want })
	}
	refused := func(acked uint64) {
		t.Helper()
		tried := proxy.Accepted()
		harness.Until(t, "the worker to try again and again", func() bool { return proxy.Accepted() >= tried+3 })
		if s := w.Stats(); s.Acked != acked || s.Connected {
			t.Errorf("refused, %d records were acknowledged before: %+v", acked, s)
		}
	}
	w.Log(500)
	refused(0)
	if !strings.Contains(w.Stderr(), "Authorization Violation") {
		t.Errorf("the worker does not say why it is not connected:\n%s", w.Stderr())
	}
	write(t, presented, string(right))
	w.Flush()
	connected(true)

	for i, token := range []string{"w1.second\n", "w1.third\n"} {
		write(t, filepath.Join(tokens, "w1"), token)
		connected(false) // its old one has expired
		w.Log(500)
		refused(uint64(500 * (i + 1)))
		write(t, presented, token)
		w.Flush()
		connected(true) // which it learns beside the acknowledgements: the next round must not take the last refusal for its own
	}

	m.Kill()
	if err := os.RemoveAll(tokens); err != nil {
		t.Fatal(err)
	}
	w.Log(500)
	m.Restart()
	m.WorkerEnv("w1") // makes a new one
	w.Log(500)
	if s := w.Stats(); s.Buffered < 500 {
		t.Errorf("with a token of the last master: %+v", s)
	}
	fresh, err := os.ReadFile(filepath.Join(tokens, "w1"))
	if err != nil {
		t.Fatal(err)
	}
	if string(fresh) == "w1.third\n" {
		t.Error("the token is the old one")
	}
	write(t, presented, string(fresh))
	w.Flush()
	if report := w.Finish(); report.Close != "" || report.Dropped != 0 {
		t.Errorf("%+v", report)
	}
	m.CatchUp()
	m.Stop()
	harness.Check(t, ledgers, logs...)
}
