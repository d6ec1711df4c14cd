package natsconn

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel gives up a peer that is gone within 15 seconds, without the process.
func TestKeepAlive(t *testing.T) {
	s := startServer(t, nil)
	c, err := (&dialer{}).Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	option := func(level, name int) (v int) {
		t.Helper()
		if errControl := raw.Control(func(fd uintptr) { v, err = unix.GetsockoptInt(int(fd), level, name) }); errControl != nil || err != nil {
			t.Fatal(errControl, err)
		}
		return v
	}
	idle, interval, count := option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
	if on := option(unix.SOL_SOCKET, unix.SO_KEEPALIVE); on == 0 || idle+interval*count >= 15 {
		t.Errorf("keepalive %d: after %d s, every %d s, %d times", on, idle, interval, count)
	}
}
