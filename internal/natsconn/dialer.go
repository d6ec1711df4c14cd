package natsconn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// dialer makes the connection's network connections, TCP or in-process. That
// makes it the place where settings that nats.go fixes at Connect are read
// afresh. nats.go calls it from one goroutine at a time, holding the
// connection's lock, before it reads any of them for the attempt.
type dialer struct {
	cfg    Config
	tls    *tls.Config // handed to nats.go, which clones it after each dial
	secure bool
	next   int                       // rotates over the URL file's servers
	conn   atomic.Pointer[nats.Conn] // set once Connect has returned
	tell   func(nc *nats.Conn, err error)
}

// tellHandshake is called before each round of attempts. nats.go tells why a dial
// failed and why a credential was refused, but of a TLS handshake that fails when
// it reconnects it only keeps the reason: a program whose certificate expired, or
// whose server got another, would try for ever and never say why.
func (d *dialer) tellHandshake() {
	nc := d.conn.Load()
	if nc == nil || d.tell == nil {
		return
	}
	if err := nc.LastError(); errors.Is(err, nats.ErrTLS) || errors.Is(err, nats.ErrSecureConnWanted) || errors.Is(err, nats.ErrSecureConnRequired) {
		d.tell(nc, mapError(nil, err))
	}
}

// Dial implements nats.CustomDialer. Without a URL file it dials the address
// that nats.go chose. With one the file decides, each time.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.refreshNKey()
	if d.cfg.URLFile != "" {
		s, err := d.cfg.servers()
		if err != nil {
			return nil, fmt.Errorf("read NATS servers: %w", err)
		}
		u := s.urls[d.next%len(s.urls)]
		d.next++
		if isWebsocket(u) || (u.Scheme == "tls" && !d.secure) {
			return nil, errors.New("read NATS servers: the file changed to another scheme: restart to follow it")
		}
		address = u.Host
		// The certificate must carry the name of the server that is dialled
		// now, not of the one that the file named at the start.
		d.tls.ServerName = u.Hostname()
	}
	nd := net.Dialer{Timeout: connectTimeout, KeepAliveConfig: keepAlive}
	c, err := nd.Dial(network, address)
	if err != nil {
		return nil, err
	}
	if d.cfg.Quiet {
		c = quiet(c)
	}
	return d.cfg.Detour.over(c), nil
}

// InProcessConn implements nats.InProcessConnProvider.
func (d *dialer) InProcessConn() (net.Conn, error) {
	d.refreshNKey()
	c, err := d.cfg.InProcess.InProcessConn()
	if err != nil {
		return nil, err
	}
	return d.cfg.Detour.over(c), nil
}

// refreshNKey follows a seed file that came to hold another key. The signature
// is made from the file as it stands, so the public key must come from it too,
// and nats.go has a callback for the first only. Its options may be written
// here, and only here: the connection's lock is held by our caller.
func (d *dialer) refreshNKey() {
	nc := d.conn.Load()
	if nc == nil || d.cfg.NKey == "" {
		return
	}
	if public, err := publicKey(d.cfg.NKey); err == nil {
		nc.Opts.Nkey = public
	}
}
