package natsconn

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

const secret = "s3cr3t"

func TestProblems(t *testing.T) {
	empty := write(t, "empty", " \n")
	garbage := write(t, "garbage", "neither key nor certificate "+secret)
	account, _ := nkeys.CreateAccount()
	seed, _ := account.Seed()
	accountSeed := write(t, "account.nk", string(seed))
	missing := filepath.Join(t.TempDir(), "missing")

	const url = "nats://127.0.0.1:4222"
	for _, tt := range []struct {
		name    string
		cfg     Config
		setting string
		reason  string
	}{
		{"scheme", Config{URL: "http://127.0.0.1"}, "LOGBRAID_NATS_URL", "scheme"},
		{"no host", Config{URL: "nats://"}, "LOGBRAID_NATS_URL", "no host"},
		{"only commas", Config{URL: " , "}, "LOGBRAID_NATS_URL", "names no server"},
		{"path", Config{URL: url + "/x"}, "LOGBRAID_NATS_URL", "after the host"},
		{"port", Config{URL: "nats://127.0.0.1:port"}, "LOGBRAID_NATS_URL", "not a URL"},
		{"bad escape", Config{URL: "nats://u:" + secret + "%zz@h"}, "LOGBRAID_NATS_URL", "%XX"},
		{"unescaped slash", Config{URL: "nats://u:" + secret + "/x@h"}, "LOGBRAID_NATS_URL", "not a URL"},
		{"mixed", Config{URL: "nats://a,ws://b"}, "LOGBRAID_NATS_URL", "WebSocket"},
		{"different credentials", Config{URL: "nats://u:" + secret + "@a,nats://v:" + secret + "@b"}, "LOGBRAID_NATS_URL", "different credentials"},
		{"credentials for one only", Config{URL: "nats://a,nats://v:" + secret + "@b"}, "LOGBRAID_NATS_URL", "different credentials"},
		{"url file missing", Config{URLFile: missing}, "LOGBRAID_NATS_URL_FILE", "no such file"},
		{"url file garbage", Config{URL: url, URLFile: garbage}, "LOGBRAID_NATS_URL_FILE", "not a URL"},
		{"token file missing", Config{URL: url, TokenFile: missing}, "LOGBRAID_NATS_TOKEN_FILE", "no such file"},
		{"token file empty", Config{URL: url, TokenFile: empty}, "LOGBRAID_NATS_TOKEN_FILE", "empty"},
		{"token file is a directory", Config{URL: url, TokenFile: t.TempDir()}, "LOGBRAID_NATS_TOKEN_FILE", "is a directory"},
		{"creds", Config{URL: url, Creds: garbage}, "LOGBRAID_NATS_CREDS", "holds no user"},
		{"nkey", Config{URL: url, NKey: garbage}, "LOGBRAID_NATS_NKEY", "no nkey seed"},
		{"account nkey", Config{URL: url, NKey: accountSeed}, "LOGBRAID_NATS_NKEY", "not a user's"},
		{"two credentials", Config{URL: url, Token: secret, User: "u", Password: secret}, "LOGBRAID_NATS_TOKEN", "more than one"},
		{"credential and URL", Config{URL: "nats://" + secret + "@h", Token: secret}, "LOGBRAID_NATS_TOKEN", "more than one"},
		{"password alone", Config{URL: url, Password: secret}, "LOGBRAID_NATS_USER", "not set"},
		{"user alone", Config{URL: url, User: "u"}, "LOGBRAID_NATS_PASSWORD", "not set"},
		{"two passwords", Config{URL: url, User: "u", Password: secret, PasswordFile: garbage}, "LOGBRAID_NATS_PASSWORD", "keep one"},
		{"certificate alone", Config{URL: url, Cert: garbage}, "LOGBRAID_NATS_KEY", "not set"},
		{"key alone", Config{URL: url, Key: garbage}, "LOGBRAID_NATS_CERT", "not set"},
		{"certificate", Config{URL: url, Cert: garbage, Key: garbage}, "LOGBRAID_NATS_CERT", "PEM"},
		{"authority", Config{URL: url, CA: garbage}, "LOGBRAID_NATS_CA", "no certificate"},
		{"inbox", Config{URL: url, Inbox: "_INBOX.>"}, "LOGBRAID_NATS_INBOX", "prefix"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.cfg.Problems()
			if len(got) != 1 || got[0].Setting != tt.setting || !strings.Contains(got[0].Reason, tt.reason) {
				t.Errorf("problems %v, want one with %s about %q", got, tt.setting, tt.reason)
			}
			if err := tt.cfg.Validate(); err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("error %v", err)
			}
			if nc, err := Connect(tt.cfg, Hooks{}); err == nil {
				nc.Close()
				t.Error("Connect accepts it")
			}
		})
	}

	all := Config{URL: "http://h", Token: secret, Password: secret, CA: garbage, Inbox: "*"}
	if got := all.Problems(); len(got) != 4 {
		t.Errorf("of four problems these are told: %v", got)
	}
	for _, good := range []Config{{}, {URL: url}, {URL: "localhost"}, {URL: "[::1]:4222"}, {URL: "nats://a:1, b:2,tls://c"}, {URL: "wss://h"}} {
		if got := good.Problems(); got != nil {
			t.Errorf("%+v: %v", good, got)
		}
	}
}

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"nats://h:4222":                 "nats://h:4222",
		"nats://u:p@h":                  "nats://xxxxx@h",
		"nats://tok@h":                  "nats://xxxxx@h",
		"u:p@h":                         "xxxxx@h",
		"nats://u:p@h1,nats://u:p@h2":   "nats://xxxxx@h1,nats://xxxxx@h2",
		"nats://u:p,q/r@s@h1,tls://h2":  "nats://xxxxx@h1,tls://h2",
		"nats://u:p%zz@h":               "nats://xxxxx@h",
		"":                              "",
		"nats://u:s3cr3t@a,u:s3cr3t2@b": "nats://xxxxx@b",
	} {
		if got := Redact(text); got != want {
			t.Errorf("Redact(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("nats://user:", "@host,nats://host2", "p,a://s@s")
	f.Fuzz(func(t *testing.T, before, after, password string) {
		// A password with "://" of its own inside cannot be told from two URLs.
		if len(password) < 4 || strings.Contains(password, "://") || strings.Contains(before+after, password) ||
			strings.Contains(masked, password) {
			t.Skip()
		}
		got := Redact("nats://" + strings.ReplaceAll(before, "://", "") + password + "@" + after)
		if strings.Contains(got, password) {
			t.Errorf("%q is still there: %q", password, got)
		}
	})
}

// What goes to the program's own log says that something is wrong, once, and
// never what the credential is.
func TestLogHooks(t *testing.T) {
	var out bytes.Buffer
	h := LogHooks(slog.New(slog.NewTextHandler(&out, nil)))
	for range 50 {
		h.Error(nil, os.ErrDeadlineExceeded)
	}
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Errorf("the same failure is told %d times:\n%s", n, out.String())
	}
	h.Error(nil, os.ErrPermission)
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("another failure is not told:\n%s", out.String())
	}
	out.Reset()

	s := startServer(t, nil)
	ev := newEvents()
	hooks := LogHooks(slog.New(slog.NewTextHandler(&out, nil)))
	connected := hooks.Connected
	hooks.Connected = func(nc *nats.Conn) { connected(nc); ev.connected <- struct{}{} }
	nc, err := Connect(Config{URL: strings.Replace(s.ClientURL(), "//", "//u:"+secret+"@", 1)}, hooks)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	wait(t, "connection", ev.connected)
	if got := out.String(); !strings.Contains(got, "connected to NATS") || strings.Contains(got, secret) {
		t.Errorf("log: %s", got)
	}
}
