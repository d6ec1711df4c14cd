package publisher_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

// tunnel forwards connections to a broker. Those that it has when it is told to
// stall swallow everything from then on and stay open; later ones work.
type tunnel struct {
	net.Listener
	to string

	mu       sync.Mutex
	stalled  *atomic.Bool // of the connections that come now
	accepted int
}

func startTunnel(t *testing.T, b *broker) *tunnel {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &tunnel{Listener: l, to: b.srv.Addr().String(), stalled: new(atomic.Bool)}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", u.to)
			if err != nil {
				_ = c.Close()
				continue
			}
			t.Cleanup(func() { _, _ = c.Close(), up.Close() })
			u.mu.Lock()
			stalled := u.stalled
			u.accepted++
			u.mu.Unlock()
			go pipe(c, up, stalled)
			go pipe(up, c, stalled)
		}
	}()
	return u
}

func pipe(to, from net.Conn, stalled *atomic.Bool) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			if !stalled.Load() {
				_ = to.Close()
			}
			return
		}
		if stalled.Load() {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

func (u *tunnel) stall() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stalled.Store(true)
	u.stalled = new(atomic.Bool)
}

func (u *tunnel) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.accepted
}

// A broker that hangs is noticed by the answer that does not come, long before the
// ping of an idle connection would.
func TestHangingBrokerIsNoticed(t *testing.T) {
	b := startBroker(t)
	c := collect(t, b, nil)
	u := startTunnel(t, b)
	cfg := config(b)
	cfg.Conn.URL = "nats://" + u.Addr().String()
	publisher.SetAckTimeout(&cfg, 50*time.Millisecond)
	publisher.SetProbe(&cfg, 200*time.Millisecond)
	p := open(t, cfg)
	p.Named("test").Info("before")
	if err := p.Flush(within(t, limit)); err != nil {
		t.Fatal(err)
	}
	u.stall()
	p.Named("test").Info("into nothing")
	// The latency is the promise itself; the pings would take a minute.
	if err := p.Flush(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	mustClose(t, p)
	if r := c.check(p); len(r.lines) != 2 {
		t.Errorf("%d lines", len(r.lines))
	}
}

// A silent collector is no reason to leave a broker that answers.
func TestSilentCollectorKeepsTheConnection(t *testing.T) {
	b := startBroker(t)
	c := collect(t, b, func(n int, _ record.Batch, _ []byte) fate {
		if n < 4 {
			return loseMessage
		}
		return commit
	})
	u := startTunnel(t, b)
	cfg := config(b)
	cfg.Conn.URL = "nats://" + u.Addr().String()
	publisher.SetAckTimeout(&cfg, 10*time.Millisecond)
	publisher.SetProbe(&cfg, limit)
	p := open(t, cfg)
	p.Named("test").Info("again and again")
	c.await("many attempts", func() bool { return c.messages >= 4 })
	mustClose(t, p)
	if n := u.count(); n != 1 {
		t.Errorf("%d connections", n)
	}
	c.check(p)
}
