//go:build !linux

package natsconn

import "net"

// quiet leaves the connection as it is: the system calls are known for Linux only.
func quiet(c net.Conn) net.Conn { return c }

// WakeMonitor has nothing to do where no connection is quiet.
func WakeMonitor() {}
