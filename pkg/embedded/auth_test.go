package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/pkg/record"
	"github.com/logbraid/logbraid/tests/freeport"
)

// gate is a broker with its auth, and no collector.
type gate struct {
	t    *testing.T
	auth *auth
	*broker
}

func newGate(t *testing.T) gate {
	t.Helper()
	a := newAuth(t.TempDir(), "logs", "etl")
	b, err := startBroker(0, true, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.stop)
	return gate{t: t, auth: a, broker: b}
}

func (g gate) token(worker string) string {
	g.t.Helper()
	if _, err := g.auth.issue(worker); err != nil {
		g.t.Fatal(err)
	}
	token, err := g.auth.read(record.Token(worker))
	if err != nil {
		g.t.Fatal(err)
	}
	return token
}

// connect dials as the worker; what the broker refuses later arrives on the channel.
func (g gate) connect(worker, token string) (*nats.Conn, <-chan error) {
	g.t.Helper()
	refused := make(chan error, 16)
	nc, err := nats.Connect(g.url(), nats.Timeout(guard), nats.Token(token),
		nats.CustomInboxPrefix(inbox(record.Token(worker))), nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }),
		nats.ClosedHandler(func(*nats.Conn) { refused <- nats.ErrConnectionClosed }))
	if err != nil {
		g.t.Fatalf("connect as %s: %v", worker, err)
	}
	g.t.Cleanup(nc.Close)
	return nc, refused
}

func (g gate) master() *nats.Conn {
	g.t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(g.srv), nats.Timeout(guard))
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(nc.Close)
	return nc
}

func await(t *testing.T, ch <-chan error, want error) {
	t.Helper()
	select {
	case err := <-ch:
		if !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	case <-time.After(guard):
		t.Fatalf("waited in vain for: %v", want)
	}
}

func TestWorkerIsHeardOnItsOwnSubjectOnly(t *testing.T) {
	g := newGate(t)
	master := g.master()
	sub, err := master.SubscribeSync("logs.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := master.Flush(); err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{"w1", "host.example/3 *>", "ü"} {
		nc, refused := g.connect(name, g.token(name))
		for _, other := range []string{
			record.Subject("logs", "etl", "w2"),
			record.Subject("logs", "other", name),
			"logs.etl", "elsewhere", "$SYS.REQ.SERVER.PING",
			inbox("w2") + ".forged",
		} {
			if err := nc.Publish(other, []byte("forged")); err != nil {
				t.Fatal(err)
			}
			await(t, refused, nats.ErrPermissionViolation)
		}
		own := record.Subject("logs", "etl", name)
		if err := nc.Publish(own, []byte("mine")); err != nil {
			t.Fatal(err)
		}
		msg, err := sub.NextMsg(guard)
		if err != nil {
			t.Fatalf("%s: %v", own, err)
		}
		if msg.Subject != own || string(msg.Data) != "mine" {
			t.Errorf("got %q on %s, want only what was allowed on %s", msg.Data, msg.Subject, own)
		}
	}
}

func TestWorkerHearsItsOwnInboxOnly(t *testing.T) {
	g := newGate(t)
	nc, refused := g.connect("w1", g.token("w1"))
	for _, subject := range []string{"logs.>", ">", "_INBOX.>", inbox("w2") + ".>", "*." + "x", inbox("w1")} {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		await(t, refused, nats.ErrPermissionViolation)
	}

	// What it is there for: a reply from the master.
	master := g.master()
	if _, err := master.Subscribe("logs.>", func(m *nats.Msg) { _ = m.Respond([]byte("ack")) }); err != nil {
		t.Fatal(err)
	}
	if err := master.Flush(); err != nil {
		t.Fatal(err)
	}
	reply, err := nc.Request("logs.etl.w1", []byte("x"), guard)
	if err != nil || string(reply.Data) != "ack" {
		t.Fatalf("request: %v", err)
	}
}

func TestWrongTokenIsRefused(t *testing.T) {
	g := newGate(t)
	token := g.token("w1")
	g.token("w2")
	if err := os.WriteFile(filepath.Join(filepath.Dir(g.auth.dir), "outside"), []byte("..%2Foutside.secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, secret, _ := strings.Cut(token, ".")
	for name, bad := range map[string]string{
		"none":             "",
		"cut":              token[:len(token)-1],
		"longer":           token + "x",
		"other's name":     "w2." + secret,
		"unknown worker":   "w3." + secret,
		"name only":        "w1.",
		"no name":          "." + secret,
		"no dot":           "w1",
		"outside":          "../outside.secret",
		"outside, escaped": "..%2Foutside.secret",
		"bad escape":       "w%31." + secret,
		"space":            "w1 ." + secret,
	} {
		t.Run(name, func(t *testing.T) {
			opts := []nats.Option{nats.NoReconnect(), nats.Timeout(guard)}
			if bad != "" {
				opts = append(opts, nats.Token(bad))
			}
			nc, err := nats.Connect(g.url(), opts...)
			if err == nil {
				nc.Close()
				t.Fatal("was let in")
			}
			if !errors.Is(err, nats.ErrAuthorization) {
				t.Fatalf("got %v, want %v", err, nats.ErrAuthorization)
			}
		})
	}
	// Nothing of this may have hurt the right one.
	g.connect("w1", token)
}

func TestTokenFileIsTheOnlyTruth(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"deleted": os.Remove,
		"rotated": func(path string) error { return os.WriteFile(path, []byte("w1.another\n"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			old := g.token("w1")
			_, closed := g.connect("w1", old)
			_, bystander := g.connect("w2", g.token("w2"))
			g.auth.expire(g.srv) // nothing has changed yet

			if err := change(filepath.Join(g.auth.dir, "w1")); err != nil {
				t.Fatal(err)
			}
			if nc, err := nats.Connect(g.url(), nats.Timeout(guard), nats.Token(old), nats.NoReconnect()); err == nil {
				nc.Close()
				t.Fatal("the old token was let in")
			}
			select {
			case err := <-closed:
				t.Fatalf("closed too early: %v", err)
			default:
			}
			g.auth.expire(g.srv)
			await(t, closed, nats.ErrConnectionClosed)

			// WorkerEnv makes a deleted one anew and keeps a rotated one.
			if fresh := g.token("w1"); fresh == old {
				t.Error("the old token came back")
			} else {
				g.connect("w1", fresh)
			}
			select {
			case err := <-bystander:
				t.Errorf("another worker was disturbed: %v", err)
			default:
			}
		})
	}
}

func TestTokenFileIsPrivateAndKept(t *testing.T) {
	a := newAuth(t.TempDir(), "logs", "etl")
	path, err := a.issue("w 1")
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		t.Errorf("mode is %v", st.Mode())
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.issue("w 1"); err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(second) {
		t.Error("a second issue changed the token")
	}

	if err := os.WriteFile(path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.issue("w 1"); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is no token: got %v, want an error that names it", err)
	}
}

func TestBrokerPort(t *testing.T) {
	a := newAuth(t.TempDir(), "logs", "etl")
	first, err := startBroker(freeport.Get(t), true, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.stop()

	// Somebody else has the port.
	second, err := startBroker(first.port, true, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	if second.port == first.port {
		t.Fatal("two brokers on one port")
	}
	second.stop()

	// The user wanted this one and no other.
	_, err = startBroker(first.port, false, a, nil)
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("got %v, want the server's own reason", err)
	}

	// Free again after a stop: the restarted master takes it up.
	first.stop()
	third, err := startBroker(first.port, true, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer third.stop()
	if third.port != first.port {
		t.Errorf("port is %d, want %d again", third.port, first.port)
	}
}
