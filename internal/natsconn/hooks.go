package natsconn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Hooks tell about the connection's life. Any may be nil. They are called one
// at a time, in order, from a goroutine of the connection: they must not block
// for long, and may be called before Connect has returned.
type Hooks struct {
	// Connected: the first time.
	Connected func(nc *nats.Conn)
	// Disconnected: err says why; nil when Close was called. Attempts to
	// reconnect have begun.
	Disconnected func(nc *nats.Conn, err error)
	// Reconnected: after Disconnected. Subscriptions are in place again; what
	// was published and not acknowledged may or may not have arrived.
	Reconnected func(nc *nats.Conn)
	// Error is whatever goes wrong beside: a connection attempt that failed
	// (refused, wrong credential), a slow subscription (nats.ErrSlowConsumer),
	// a publish or subscribe that the broker does not permit
	// (*PermissionError). Failing attempts repeat this as often as they fail. A
	// TLS handshake that failed is told beside the order of the other calls.
	Error func(nc *nats.Conn, err error)
	// Closed: for ever. Comes after Close, and in the rare cases in which
	// nats.go ends a connection whatever its options say, such as after a
	// protocol error; LastError then says why.
	Closed func(nc *nats.Conn)
}

// PermissionError says that the broker did not let us publish or subscribe.
// NATS reports this asynchronously: the call itself had succeeded.
type PermissionError struct {
	Action  string // "publish to" or "subscribe to"; empty if the broker did not say
	Subject string
	err     error
}

func (e *PermissionError) Error() string {
	if e.Action == "" {
		return "the NATS server refuses: " + e.err.Error()
	}
	return fmt.Sprintf("the NATS server does not permit this user to %s %q: check the user's permissions, and LOGBRAID_APP, LOGBRAID_WORKER, LOGBRAID_PREFIX and LOGBRAID_NATS_INBOX", e.Action, e.Subject)
}

// Unwrap gives nats.ErrPermissionViolation.
func (e *PermissionError) Unwrap() error { return e.err }

// The server's words, unchanged since its first releases:
// Permissions Violation for Publish to "logs.etl.w2"
var violation = regexp.MustCompile(`(?i)for (publish|subscription) to "([^"]*)"`)

func mapError(sub *nats.Subscription, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrPermissionViolation):
		pe := &PermissionError{err: err}
		if m := violation.FindStringSubmatch(err.Error()); m != nil {
			pe.Action, pe.Subject = "publish to", m[2]
			if m[1][0]|0x20 == 's' {
				pe.Action = "subscribe to"
			}
		}
		return pe
	case errors.Is(err, nats.ErrAuthorization):
		return fmt.Errorf("the NATS server refuses the credentials: %w", err)
	case errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAccountAuthExpired):
		return fmt.Errorf("the credentials have expired: put new ones into the file, they are read at each attempt: %w", err)
	case errors.Is(err, nats.ErrAuthRevoked):
		return fmt.Errorf("the credentials were revoked: %w", err)
	case isVerification(err):
		return fmt.Errorf("the NATS server's certificate is not accepted: check LOGBRAID_NATS_CA, and that the certificate names the host of LOGBRAID_NATS_URL: %w", err)
	case isRemoteAlert(err):
		return fmt.Errorf("the NATS server does not accept our certificate: check LOGBRAID_NATS_CERT and LOGBRAID_NATS_KEY: %w", err)
	case errors.Is(err, nats.ErrSlowConsumer) && sub != nil:
		return fmt.Errorf("subscription to %s: %w", sub.Subject, err)
	}
	return err
}

// isVerification holds for a certificate of the server's that we do not accept.
func isVerification(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification)
}

// isRemoteAlert holds for what the server says when it does not accept ours, or
// misses one. The type of the alert is not exported by crypto/tls, the name of
// the operation is all there is. In TLS 1.3 the alert comes after our side of the
// handshake has succeeded, and a write of ours can find the connection closed
// before it is read; nats.go has words of its own for that.
func isRemoteAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error" ||
		errors.Is(err, nats.ErrTLS) && strings.Contains(err.Error(), "closed by remote after TLS handshake")
}

func (h Hooks) options() []nats.Option {
	call := func(f func(*nats.Conn)) nats.ConnHandler {
		return func(nc *nats.Conn) {
			if f != nil {
				f(nc)
			}
		}
	}
	fail := func(nc *nats.Conn, err error) {
		if h.Error != nil && err != nil {
			h.Error(nc, err)
		}
	}
	return []nats.Option{
		nats.ConnectHandler(call(h.Connected)),
		nats.ReconnectHandler(call(h.Reconnected)),
		nats.ClosedHandler(call(h.Closed)),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if h.Disconnected != nil {
				h.Disconnected(nc, mapError(nil, err))
			}
		}),
		nats.ReconnectErrHandler(func(nc *nats.Conn, err error) { fail(nc, mapError(nil, err)) }),
		// Always set: nats.go's default prints to standard error.
		nats.ErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) { fail(nc, mapError(sub, err)) }),
	}
}

// repeatAfter is how long a failure that keeps its words is told only once.
const repeatAfter = 30 * time.Second

// LogHooks tells the connection's life to a logger: what happened, once, and a
// failure that goes on every 30 seconds.
func LogHooks(log *slog.Logger) Hooks {
	var (
		mu    sync.Mutex
		last  string
		at    time.Time
		again int
	)
	server := func(nc *nats.Conn) slog.Attr { return slog.String("server", nc.ConnectedUrlRedacted()) }
	reset := func() {
		mu.Lock()
		defer mu.Unlock()
		last, again = "", 0
	}
	return Hooks{
		Connected: func(nc *nats.Conn) {
			reset()
			log.Info("connected to NATS", server(nc))
		},
		Reconnected: func(nc *nats.Conn) {
			reset()
			log.Info("reconnected to NATS", server(nc))
		},
		Disconnected: func(nc *nats.Conn, err error) {
			if err != nil {
				log.Warn("connection to NATS lost, reconnecting", "error", err)
			}
		},
		Error: func(nc *nats.Conn, err error) {
			mu.Lock()
			defer mu.Unlock()
			if text := err.Error(); text != last || time.Since(at) >= repeatAfter {
				args := []any{"error", err}
				if again > 0 {
					args = append(args, "repeated", again)
				}
				log.Warn("NATS connection", args...)
				last, at, again = text, time.Now(), 0
			} else {
				again++
			}
		},
		Closed: func(nc *nats.Conn) {
			if err := nc.LastError(); err != nil {
				log.Warn("connection to NATS closed", "error", err)
			}
		},
	}
}
