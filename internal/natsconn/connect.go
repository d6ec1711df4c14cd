package natsconn

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrNotConfigured comes from [Connect] when the configuration names no server.
var ErrNotConfigured = errors.New("no NATS server is configured (set LOGBRAID_NATS_URL)")

// Why each differs from nats.go's default stands beside it; the measurements
// are those of nats.go v1.55.
const (
	// A broker that hangs is noticed after at most two intervals: one for the
	// ping, one for the missing answer.
	pingInterval   = 5 * time.Second
	maxPingsOut    = 1
	flusherTimeout = 2 * time.Second // default: 1 minute in write(2)
	connectTimeout = 2 * time.Second // dial, then TLS and handshake

	// The delays are "full jitter": anything between zero and a bound that
	// doubles, so that a thousand workers do not come back in step.
	firstDelay       = 50 * time.Millisecond
	capDelayLoopback = time.Second // a local broker restarts at once
	capDelay         = 5 * time.Second
)

// keepAlive has the kernel notice that a host is gone, or the way to it, within 14
// seconds. That costs the process nothing, however long the connection is idle.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 3 * time.Second, Count: 3}

// Connect returns a connection that is either established or on its way: when
// the server cannot be reached, or refuses the credentials, attempts go on in
// the background for ever, and hooks tells how they fare. An error means that
// the configuration is not usable; it is a [problem.List] where a setting is to
// blame.
//
// The connection buffers nothing while it is down: Publish then fails with
// nats.ErrReconnectBufExceeded. Close it with nc.Close; nc.Drain would discard
// what it holds when it is called while disconnected.
func Connect(cfg Config, hooks Hooks) (*nats.Conn, error) {
	if !cfg.Configured() {
		return nil, ErrNotConfigured
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	d := &dialer{cfg: cfg, tell: hooks.Error}
	opts, list, err := options(cfg, d)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect(list, append(opts, hooks.options()...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	d.conn.Store(nc)
	return nc, nil
}

// options also returns the list of servers, without credentials.
func options(cfg Config, d *dialer) ([]nats.Option, string, error) {
	ceiling, list := capDelayLoopback, ""
	secure := cfg.CA != "" || cfg.Cert != ""
	if cfg.InProcess == nil {
		s, err := cfg.servers()
		if err != nil {
			return nil, "", fmt.Errorf("read NATS servers: %w", err)
		}
		list = s.list()
		secure = secure || s.secure()
		if !s.loopback() {
			ceiling = capDelay
		}
	}

	opts := []nats.Option{
		nats.Name(cfg.Name),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(cmp.Or(cfg.Ping, pingInterval)),
		nats.MaxPingsOutstanding(maxPingsOut),
		nats.FlusherTimeout(flusherTimeout),
		nats.ReconnectOnFlusherError(),
		nats.Timeout(connectTimeout),
		nats.CustomReconnectDelay(func(attempt int) time.Duration {
			d.tellHandshake()
			return delay(attempt, ceiling)
		}),
	}
	if cfg.Inbox != "" {
		opts = append(opts, nats.CustomInboxPrefix(cfg.Inbox))
	}

	if cfg.InProcess != nil {
		opts = append(opts, nats.InProcessServer(d))
	} else {
		opts = append(opts, nats.SetCustomDialer(d))
	}
	if cfg.URLFile != "" {
		// nats.go would look up the host name that the file held at the start.
		opts = append(opts, nats.SkipHostLookup())
	}

	// Without Secure the configuration is used when the server asks for TLS.
	d.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	d.secure = secure
	opts = append(opts, func(o *nats.Options) error {
		o.TLSConfig = d.tls
		o.Secure = secure
		return nil
	})
	if cfg.CA != "" {
		opts = append(opts, nats.RootCAs(cfg.CA))
	}
	if cfg.Cert != "" {
		opts = append(opts, nats.ClientCert(cfg.Cert, cfg.Key))
	}

	switch {
	case cfg.Creds != "":
		opts = append(opts, nats.UserCredentials(cfg.Creds))
	case cfg.NKey != "":
		public, err := publicKey(cfg.NKey)
		if err != nil {
			return nil, "", fmt.Errorf("read nkey: %w", err)
		}
		opts = append(opts, nats.Nkey(public, func(nonce []byte) ([]byte, error) {
			return sign(cfg.NKey, nonce)
		}))
	default:
		opts = append(opts, nats.UserInfoHandler(cfg.userInfo), nats.TokenHandler(cfg.token))
	}
	return opts, list, nil
}

// delay is what to wait before the attempt (counted from 1).
func delay(attempt int, ceiling time.Duration) time.Duration {
	bound := ceiling
	if shift := attempt - 1; shift < 10 {
		bound = min(ceiling, firstDelay<<shift)
	}
	return rand.N(bound)
}
