//go:build unix

package harness

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// sink is a server that keeps what each connection brings and answers each chunk with "ok".
type sink struct {
	mu    sync.Mutex
	conns []*bytes.Buffer
	ends  int
}

func (s *sink) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		b := &bytes.Buffer{}
		s.mu.Lock()
		s.conns = append(s.conns, b)
		s.mu.Unlock()
		go func() {
			buf := make([]byte, 1024)
			for {
				n, err := c.Read(buf)
				s.mu.Lock()
				b.Write(buf[:n])
				if err != nil {
					s.ends++
				}
				s.mu.Unlock()
				if err != nil {
					c.Close()
					return
				}
				c.Write([]byte("ok"))
			}
		}()
	}
}

func (s *sink) got(i int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i >= len(s.conns) {
		return ""
	}
	return s.conns[i].String()
}

func proxied(t *testing.T) (*Proxy, *sink) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &sink{}
	go s.serve(l)
	return StartProxy(t, l.Addr().String()), s
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(Guard))
	return c
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
}

func TestProxyPassesAndHolds(t *testing.T) {
	p, s := proxied(t)
	c := dial(t, p)
	say(t, c, "one")
	hear(t, c)
	p.Set(Hold, Pass)
	say(t, c, "two")
	Until(t, "the proxy to hold the bytes", func() bool { return p.Held() == 3 })
	if got := s.got(0); got != "one" {
		t.Errorf("the server has %q while the proxy holds", got)
	}
	p.Set(Pass, Pass)
	hear(t, c)
	if got := s.got(0); got != "onetwo" {
		t.Errorf("the server has %q", got)
	}
}

func TestProxyDropsOneDirection(t *testing.T) {
	p, s := proxied(t)
	c := dial(t, p)
	say(t, c, "one")
	hear(t, c)
	p.Set(Pass, Drop)
	say(t, c, "two")
	Until(t, "the bytes to arrive", func() bool { return s.got(0) == "onetwo" })
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _ := c.Read(make([]byte, 2)); n != 0 {
		t.Error("the answer came through")
	}
}

func TestProxyStalls(t *testing.T) {
	p, s := proxied(t)
	c := dial(t, p)
	say(t, c, "one")
	hear(t, c)
	p.Set(Stall, Pass)
	c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	block := make([]byte, 1<<20)
	for range 64 { // more than all buffers between here and there
		if _, err := c.Write(block); err != nil {
			if got := s.got(0); got != "one" {
				t.Errorf("the server has %d bytes from a stalled connection", len(got))
			}
			return
		}
	}
	t.Error("a stalled connection takes 64 MiB")
}

func TestProxyCutsInTheMiddle(t *testing.T) {
	p, s := proxied(t)
	c := dial(t, p)
	say(t, c, "one")
	hear(t, c)
	p.CutAfter(2)
	say(t, c, "two")
	// The server may answer what it has of "two" before the connection is cut.
	if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ends with %v, want a reset", err)
	}
	Until(t, "the server to see the end", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.ends == 1 })
	if got := s.got(0); got != "onetw" {
		t.Errorf("the server has %q", got)
	}
	say(t, dial(t, p), "three")
	Until(t, "the next connection to work", func() bool { return s.got(1) == "three" })
}

func TestProxyDeliversLate(t *testing.T) {
	p, s := proxied(t)
	c := dial(t, p)
	say(t, c, "one")
	hear(t, c)
	p.Set(Hold, Pass)
	say(t, c, "late")
	Until(t, "the proxy to hold the bytes", func() bool { return p.Held() == 4 })
	deliver := p.Detach()
	p.Set(Pass, Pass)
	if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client's connection ends with %v, want a reset", err)
	}
	again := dial(t, p)
	say(t, again, "new")
	hear(t, again)
	if got := s.got(0); got != "one" {
		t.Errorf("the old connection has %q before its bytes are delivered", got)
	}
	deliver()
	Until(t, "the late bytes", func() bool { return s.got(0) == "onelate" })
	if got := s.got(1); got != "new" {
		t.Errorf("the new connection has %q", got)
	}
}
