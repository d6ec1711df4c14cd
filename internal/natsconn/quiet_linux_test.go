package natsconn

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"golang.org/x/net/nettest"
)

// pair is a quiet connection and its other end.
func pair(t testing.TB) (*quietConn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := (&dialer{cfg: Config{Quiet: true}}).Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	q, ok := c.(*quietConn)
	if !ok {
		t.Fatalf("the connection is a %T", c)
	}
	return q, other
}

// TestQuietConn: whatever a net.Conn is held to, deadlines and concurrent calls included.
func TestQuietConn(t *testing.T) {
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		c, other := pair(t)
		return c, other, func() { _ = c.Close(); _ = other.Close() }, nil
	})
}

// TestQuietWriteIsWhole: more than the kernel takes at once, in writes of all kinds of lengths.
func TestQuietWriteIsWhole(t *testing.T) {
	c, other := pair(t)
	want := make([]byte, 8<<20)
	for i := range want {
		want[i] = byte(i>>16 ^ i>>8 ^ i)
	}
	wrote := make(chan error, 1)
	go func() {
		for left, size := want, 1; len(left) > 0; size = size*3%(maxQuiet+3) + 1 {
			n, err := c.Write(left[:min(size, len(left))])
			if err != nil || n != min(size, len(left)) {
				wrote <- errors.Join(err, errors.New("a short write"))
				return
			}
			left = left[n:]
		}
		n, err := c.Write(want) // not quietly
		if err == nil && n != len(want) {
			err = errors.New("a short write")
		}
		wrote <- errors.Join(err, c.Close())
	}()
	got, err := io.ReadAll(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, append(want, want...)) {
		t.Errorf("%d bytes arrived, others than were written", len(got))
	}
}

// TestQuietErrors: a program that looks at the connection's errors finds what it would find without us.
func TestQuietErrors(t *testing.T) {
	c, other := pair(t)
	// With data unread, closing resets the connection.
	if _, err := c.Write([]byte("unread")); err != nil {
		t.Fatal(err)
	}
	if err := other.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
	_, err := c.Write([]byte("x"))
	var op *net.OpError
	if !errors.Is(err, syscall.EPIPE) || !errors.As(err, &op) || op.Op != "write" || op.Net != "tcp" || op.Addr.String() != other.LocalAddr().String() {
		t.Errorf("write: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read behind Close: %v", err)
	}
}
