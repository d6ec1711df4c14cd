package natsconn

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/problem"
)

// Config says where the broker is and who we are to it. The tags are read by
// internal/settings; the names are those of the nats command line program, so
// that LOGBRAID_NATS_URL falls back to NATS_URL and so on.
//
// The zero value means "no broker": [Config.Configured] is false.
//
// Every file named here is read afresh at each connection attempt, so that a
// rotated credential is taken up without a restart.
type Config struct {
	// URL is one server or several, separated by commas.
	URL string `envconfig:"NATS_URL" group:"address" secret:"url" desc:"The NATS server, or several separated by commas" example:"nats://127.0.0.1:4222"`
	// URLFile holds what URL would, on its first line, and wins over URL as
	// long as it can be read. An embedded master keeps its address there, so
	// that workers find its successor on another port.
	URLFile string `envconfig:"NATS_URL_FILE" group:"address" desc:"File that holds the server's URL; read afresh before each connection attempt" example:"/run/logbraid/address"`

	// Creds is a file with a user JWT and its seed.
	Creds string `envconfig:"NATS_CREDS" group:"credential" desc:"Credentials file (user JWT and seed)" example:"/run/secrets/collector.creds"`
	// NKey is a file with a user seed.
	NKey string `envconfig:"NATS_NKEY" group:"credential" desc:"File with an nkey user seed" example:"/run/secrets/collector.nk"`

	Token     string `envconfig:"NATS_TOKEN" group:"credential" secret:"true" desc:"Authentication token; better in a file"`
	TokenFile string `envconfig:"NATS_TOKEN_FILE" group:"credential" desc:"File with the authentication token" example:"/run/secrets/nats-token"`

	User         string `envconfig:"NATS_USER" group:"credential" desc:"User name" example:"collector"`
	Password     string `envconfig:"NATS_PASSWORD" group:"credential" secret:"true" desc:"The user's password; better in a file"`
	PasswordFile string `envconfig:"NATS_PASSWORD_FILE" group:"credential" desc:"File with the user's password" example:"/run/secrets/nats-password"`

	Cert string `envconfig:"NATS_CERT" desc:"Client certificate for mutual TLS (PEM)" example:"/run/secrets/client.pem"`
	Key  string `envconfig:"NATS_KEY" desc:"Private key of the client certificate (PEM)" example:"/run/secrets/client-key.pem"`
	CA   string `envconfig:"NATS_CA" desc:"Certificate authority that signed the server's certificate (PEM)" example:"/run/secrets/ca.pem"`

	// Inbox replaces _INBOX as the prefix of reply subjects, for brokers that
	// give each user a prefix of its own.
	Inbox string `envconfig:"NATS_INBOX" desc:"Prefix of this connection's reply subjects, where the broker gives each user its own" example:"_INBOX_w3"`

	// Name is how the broker's operator sees us: "logbraid etl/w3".
	Name string `ignored:"true"`
	// Ping is the interval of pings, by which a broker is noticed that hangs while
	// its host lives: twice that at most. Zero: 5 s. Longer is for who notices by
	// other means whenever it matters, since each costs processor time.
	Ping time.Duration `ignored:"true"`
	// Quiet keeps Go's monitor thread asleep while the connection is used, which saves a process that is idle in between
	// half of its processor time; on Linux. Who sets it calls [WakeMonitor] where it wakes up goroutines of the program.
	Quiet bool `ignored:"true"`
	// Detour leads long payloads around nats.go; nil: none.
	Detour *Detour `ignored:"true"`
	// InProcess connects to a server in this process instead of dialling;
	// URL and URLFile are then not used.
	InProcess nats.InProcessConnProvider `ignored:"true"`
}

// Configured reports whether there is a broker to connect to.
func (c Config) Configured() bool {
	return c.InProcess != nil || c.URL != "" || c.URLFile != ""
}

// Problems finds everything that is wrong with the configuration: addresses
// that do not parse, credentials that contradict each other, files that cannot
// be read or do not hold what they should. It never connects. The settings are
// named by their variables. No value of a credential is ever part of a problem.
func (c Config) Problems() problem.List {
	var l problem.List
	c.checkAddress(&l)
	c.checkCredentials(&l)
	c.checkTLS(&l)
	if c.Inbox != "" && !validInbox(c.Inbox) {
		l.Add("LOGBRAID_NATS_INBOX", c.Inbox, "not a subject prefix: no spaces, wildcards or empty tokens", "_INBOX_w3")
	}
	return l
}

// Validate is Problems as an error, nil when there are none.
func (c Config) Validate() error { return c.Problems().Err() }

func (c Config) checkAddress(l *problem.List) {
	const example = "nats://127.0.0.1:4222"
	if c.InProcess != nil {
		return
	}
	if c.URL != "" {
		if _, err := parseServers(c.URL); err != nil {
			l.Add("LOGBRAID_NATS_URL", Redact(c.URL), err.Error(), example)
		}
	}
	if c.URLFile != "" {
		// A file that is not there yet is no problem while URL says where to
		// begin: the master may be about to write it.
		if _, err := readServers(c.URLFile); err != nil && (c.URL == "" || !os.IsNotExist(err)) {
			l.Add("LOGBRAID_NATS_URL_FILE", c.URLFile, reason(err), "a file that holds "+example)
		}
	}
}

func (c Config) checkCredentials(l *problem.List) {
	// More than one way to say who we are is a contradiction that the broker
	// would resolve in its own way, so it is refused here.
	var ways []string
	for _, w := range []struct {
		name string
		set  bool
	}{
		{"LOGBRAID_NATS_CREDS", c.Creds != ""},
		{"LOGBRAID_NATS_NKEY", c.NKey != ""},
		{"LOGBRAID_NATS_TOKEN", c.Token != ""},
		{"LOGBRAID_NATS_TOKEN_FILE", c.TokenFile != ""},
		{"LOGBRAID_NATS_USER", c.User != ""},
		{"LOGBRAID_NATS_URL", c.urlCarriesCredentials()},
	} {
		if w.set {
			ways = append(ways, w.name)
		}
	}
	if len(ways) > 1 {
		l.Add(ways[0], "", "more than one credential is set ("+strings.Join(ways, ", ")+"): keep one", "")
	}
	switch {
	case c.User == "" && (c.Password != "" || c.PasswordFile != ""):
		l.Add("LOGBRAID_NATS_USER", "", "not set, but a password is", "collector")
	case c.Password != "" && c.PasswordFile != "":
		l.Add("LOGBRAID_NATS_PASSWORD", "", "set together with LOGBRAID_NATS_PASSWORD_FILE: keep one", "")
	case c.User != "" && c.Password == "" && c.PasswordFile == "":
		l.Add("LOGBRAID_NATS_PASSWORD", "", "not set, but LOGBRAID_NATS_USER is", "")
	}
	c.checkFile(l, "LOGBRAID_NATS_TOKEN_FILE", c.TokenFile, func(p string) error { _, err := readSecret(p); return err })
	c.checkFile(l, "LOGBRAID_NATS_PASSWORD_FILE", c.PasswordFile, func(p string) error { _, err := readSecret(p); return err })
	c.checkFile(l, "LOGBRAID_NATS_CREDS", c.Creds, checkCreds)
	c.checkFile(l, "LOGBRAID_NATS_NKEY", c.NKey, func(p string) error { _, err := publicKey(p); return err })
}

func (c Config) checkTLS(l *problem.List) {
	switch {
	case c.Cert != "" && c.Key == "":
		l.Add("LOGBRAID_NATS_KEY", "", "not set, but LOGBRAID_NATS_CERT is", "/run/secrets/client-key.pem")
	case c.Cert == "" && c.Key != "":
		l.Add("LOGBRAID_NATS_CERT", "", "not set, but LOGBRAID_NATS_KEY is", "/run/secrets/client.pem")
	case c.Cert != "":
		c.checkFile(l, "LOGBRAID_NATS_CERT", c.Cert, func(p string) error {
			_, err := tls.LoadX509KeyPair(p, c.Key)
			return err
		})
	}
	c.checkFile(l, "LOGBRAID_NATS_CA", c.CA, func(p string) error {
		pem, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return fmt.Errorf("holds no certificate in PEM form")
		}
		return nil
	})
}

func (c Config) checkFile(l *problem.List, setting, path string, check func(string) error) {
	if path == "" {
		return
	}
	if err := check(path); err != nil {
		l.Add(setting, path, reason(err), "")
	}
}

// urlCarriesCredentials is about the settings only; a URL file may come to
// carry credentials later, and then they are used.
func (c Config) urlCarriesCredentials() bool {
	if c.InProcess != nil {
		return false
	}
	s, err := c.servers()
	return err == nil && s.user != nil
}

// validInbox holds for a prefix to which ".<id>" can be appended.
func validInbox(s string) bool {
	if strings.ContainsAny(s, " \t\r\n*>") {
		return false
	}
	for token := range strings.SplitSeq(s, ".") {
		if token == "" {
			return false
		}
	}
	return true
}
