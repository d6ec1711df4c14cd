package natsconn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/logbraid/logbraid/tests/freeport"
)

func TestConnectInProcess(t *testing.T) {
	s := startServer(t, func(o *server.Options) { o.DontListen = true })
	nc, _ := connect(t, Config{InProcess: s, Name: "logbraid etl/w1"})
	if nc.Opts.Name != "logbraid etl/w1" {
		t.Errorf("name = %q", nc.Opts.Name)
	}
}

// A program may be started before its broker.
func TestConnectBeforeServer(t *testing.T) {
	port := freeport.Get(t)
	ev := newEvents()
	nc, err := Connect(Config{URL: fmt.Sprintf("nats://127.0.0.1:%d", port)}, ev.hooks())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	wait(t, "told failure", ev.errors)
	startServer(t, func(o *server.Options) { o.Port = port })
	wait(t, "connection", ev.connected)
}

// What is published while disconnected must fail rather than be buffered: the
// record stays in our own buffer, whose order we know.
func TestPublishWhileDisconnectedFails(t *testing.T) {
	s := startServer(t, nil)
	nc, ev := connect(t, Config{URL: s.ClientURL()})
	s.Shutdown()
	wait(t, "disconnection", ev.disconnected)
	if err := nc.Publish("logs.a.b", []byte("x")); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("Publish while disconnected: %v, want %v", err, nats.ErrReconnectBufExceeded)
	}
}

func TestDefaults(t *testing.T) {
	s := startServer(t, nil)
	nc, _ := connect(t, Config{URL: s.ClientURL(), Inbox: "_INBOX_w3"})
	o := nc.Opts
	if o.MaxReconnect != -1 || !o.RetryOnFailedConnect || !o.IgnoreAuthErrorAbort || o.ReconnectBufSize != -1 ||
		o.PingInterval != 5*time.Second || o.MaxPingsOut != 1 || o.FlusherTimeout != 2*time.Second || !o.ReconnectOnFlusherError {
		t.Errorf("options %+v", o)
	}
	if inbox := nc.NewInbox(); !strings.HasPrefix(inbox, "_INBOX_w3.") {
		t.Errorf("inbox %s", inbox)
	}
}

func TestDelay(t *testing.T) {
	for _, ceiling := range []time.Duration{capDelay, capDelayLoopback} {
		shortest, longest := ceiling, time.Duration(0)
		for attempt := 1; attempt < 2000; attempt++ {
			d := delay(attempt, ceiling)
			if d < 0 || d >= ceiling {
				t.Fatalf("delay(%d) = %v, ceiling %v", attempt, d, ceiling)
			}
			if attempt == 1 && d >= firstDelay {
				t.Errorf("delay(1) = %v", d)
			}
			if attempt > 10 { // the bound is at its ceiling
				shortest, longest = min(shortest, d), max(longest, d)
			}
		}
		if shortest > ceiling/10 || longest < ceiling*9/10 {
			t.Errorf("2000 delays lie between %v and %v, ceiling %v: not full jitter", shortest, longest, ceiling)
		}
	}
}

// Each credential: right, then rotated on both sides, then taken up again.
func TestCredentials(t *testing.T) {
	newKey := func() (seed, public string) {
		kp, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		s, _ := kp.Seed()
		public, _ = kp.PublicKey()
		return string(s), public
	}
	firstSeed, firstPublic := newKey()
	secondSeed, secondPublic := newKey()

	for _, tt := range []struct {
		name          string
		first, second func(*server.Options)
		before, after string // the file's content
		config        func(c *Config, file string)
	}{
		{
			name:   "token file",
			first:  func(o *server.Options) { o.Authorization = "token-one" },
			second: func(o *server.Options) { o.Authorization = "token-two" },
			before: "token-one\n", after: "token-two\n",
			config: func(c *Config, file string) { c.TokenFile = file },
		},
		{
			name:   "password file",
			first:  func(o *server.Options) { o.Username, o.Password = "collector", "pass-one" },
			second: func(o *server.Options) { o.Username, o.Password = "collector", "pass-two" },
			before: "pass-one", after: "pass-two\r\n",
			config: func(c *Config, file string) { c.User, c.PasswordFile = "collector", file },
		},
		{
			name:   "nkey",
			first:  func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: firstPublic}} },
			second: func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: secondPublic}} },
			before: firstSeed, after: secondSeed,
			config: func(c *Config, file string) { c.NKey = file },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			port := freeport.Get(t)
			s := startServer(t, func(o *server.Options) { o.Port = port; tt.first(o) })
			file := write(t, "credential", tt.before)
			cfg := Config{URL: s.ClientURL()}
			tt.config(&cfg, file)
			_, ev := connect(t, cfg)

			s.Shutdown()
			wait(t, "disconnection", ev.disconnected)
			startServer(t, func(o *server.Options) { o.Port = port; tt.second(o) })
			for !errors.Is(wait(t, "told refusal", ev.errors), nats.ErrAuthorization) {
			}
			write(t, file, tt.after)
			wait(t, "reconnection with the new credential", ev.reconnected)
		})
	}
}

func TestCredsFile(t *testing.T) {
	operator, _ := nkeys.CreateOperator()
	operatorPublic, _ := operator.PublicKey()
	account, _ := nkeys.CreateAccount()
	accountPublic, _ := account.PublicKey()
	accountJWT, err := jwt.NewAccountClaims(accountPublic).Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	oc := jwt.NewOperatorClaims(operatorPublic)
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(accountPublic, accountJWT); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, func(o *server.Options) {
		o.TrustedOperators = []*jwt.OperatorClaims{oc}
		o.AccountResolver = resolver
	})
	creds := func() string {
		user, _ := nkeys.CreateUser()
		public, _ := user.PublicKey()
		seed, _ := user.Seed()
		userJWT, err := jwt.NewUserClaims(public).Encode(account)
		if err != nil {
			t.Fatal(err)
		}
		text, err := jwt.FormatUserConfig(userJWT, seed)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	file := write(t, "user.creds", creds())
	nc, ev := connect(t, Config{URL: s.ClientURL(), Creds: file})

	write(t, file, creds()) // another user of the account
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	wait(t, "reconnection as another user", ev.reconnected)
}

func TestCredentialsInURL(t *testing.T) {
	pass := startServer(t, func(o *server.Options) { o.Username, o.Password = "u", "p@ss" })
	connect(t, Config{URL: strings.Replace(pass.ClientURL(), "nats://", "nats://u:p%40ss@", 1)})
	token := startServer(t, func(o *server.Options) { o.Authorization = "tok" })
	connect(t, Config{URL: strings.Replace(token.ClientURL(), "nats://", "nats://tok@", 1)})
}

// The embedded master's successor listens on another port.
func TestURLFileIsReadAtEachDial(t *testing.T) {
	first := startServer(t, func(o *server.Options) { o.Authorization = "one" })
	file := write(t, "address", strings.Replace(first.ClientURL(), "nats://", "nats://one@", 1)+"\n")
	nc, ev := connect(t, Config{URLFile: file})
	second := startServer(t, func(o *server.Options) { o.Authorization = "two" })
	write(t, file, strings.Replace(second.ClientURL(), "nats://", "nats://two@", 1))
	first.Shutdown()
	wait(t, "reconnection", ev.reconnected)
	if id := nc.ConnectedServerId(); id != second.ID() {
		t.Errorf("connected to %s, want the server that the file names", id)
	}
}

func TestURLFileMissingFallsBack(t *testing.T) {
	s := startServer(t, nil)
	connect(t, Config{URL: s.ClientURL(), URLFile: t.TempDir() + "/not-yet"})
}

func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue(t)
	other := newAuthority(t)

	t.Run("server certificate", func(t *testing.T) {
		s := startServer(t, ca.serverTLS(t, false))
		connect(t, Config{URL: s.ClientURL(), CA: ca.file})
	})
	t.Run("mutual", func(t *testing.T) {
		s := startServer(t, ca.serverTLS(t, true))
		connect(t, Config{URL: s.ClientURL(), CA: ca.file, Cert: cert, Key: key})
	})
	t.Run("unknown authority", func(t *testing.T) {
		s := startServer(t, ca.serverTLS(t, false))
		ev := newEvents()
		nc, err := Connect(Config{URL: s.ClientURL(), CA: other.file}, ev.hooks())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if err := wait(t, "refusal", ev.errors); !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("error %q", err)
		}
	})
	t.Run("plain server refused", func(t *testing.T) {
		s := startServer(t, nil)
		ev := newEvents()
		nc, err := Connect(Config{URL: strings.Replace(s.ClientURL(), "nats:", "tls:", 1)}, ev.hooks())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if err := wait(t, "refusal", ev.errors); !errors.Is(err, nats.ErrSecureConnWanted) {
			t.Errorf("error %q", err)
		}
	})
	t.Run("name follows the URL file", func(t *testing.T) {
		s := startServer(t, ca.serverTLS(t, false))
		// "localhost" is not in the certificate, 127.0.0.1 is.
		file := write(t, "address", fmt.Sprintf("tls://localhost:%d", s.Addr().(*net.TCPAddr).Port))
		ev := newEvents()
		nc, err := Connect(Config{URLFile: file, CA: ca.file}, ev.hooks())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		wait(t, "refusal", ev.errors)
		write(t, file, "tls://"+s.Addr().String())
		wait(t, "connection", ev.connected)
	})
}

func TestPermissionViolation(t *testing.T) {
	s := startServer(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "w3", Password: "p", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"logs.etl.w3"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_w3.>"}},
		}}}
	})
	nc, ev := connect(t, Config{URL: s.ClientURL(), User: "w3", Password: "p"})
	for _, tt := range []struct {
		do              func() error
		action, subject string
	}{
		{func() error { return nc.Publish("logs.etl.w4", []byte("x")) }, "publish to", "logs.etl.w4"},
		{func() error { _, err := nc.SubscribeSync("logs.>"); return err }, "subscribe to", "logs.>"},
	} {
		if err := tt.do(); err != nil {
			t.Fatal(err)
		}
		err := wait(t, "refusal", ev.errors)
		var pe *PermissionError
		if !errors.As(err, &pe) || pe.Action != tt.action || pe.Subject != tt.subject || !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("error %#v", err)
		}
	}
}

func TestNotConfigured(t *testing.T) {
	if _, err := Connect(Config{}, Hooks{}); !errors.Is(err, ErrNotConfigured) {
		t.Errorf("Connect with nothing: %v", err)
	}
}

// A worker must not link a broker.
func TestNoServerLinked(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "nats-server") {
		t.Error("natsconn imports nats-server")
	}
	if _, err := os.Stat("doc.go"); err != nil {
		t.Fatal("not run in the package's directory")
	}
}
