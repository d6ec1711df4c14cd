// Package freeport finds ports for servers of tests.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// T is what Get needs of a test.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Get returns a loopback TCP port that nobody listens on, kept for this test: the UDP port of the same number stays bound until
// the test ends, and tells other test processes to look elsewhere. A server that is to come back after a while needs one.
//
// It lies below the range from which the kernel takes the ports of listeners that do not ask for one, and the local ports of outgoing
// connections: while a broker is down, a client that dials its port again and again could otherwise be given that very port as its own,
// and the broker could not come back.
func Get(t T) int {
	t.Helper()
	for range 1000 {
		port := 12_000 + rand.IntN(20_000)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		claim, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			claim.Close()
			continue
		}
		l.Close()
		t.Cleanup(func() { claim.Close() })
		return port
	}
	t.Fatalf("find a free port: none among a thousand")
	return 0
}
