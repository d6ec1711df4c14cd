//go:build linux

package hosts

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

// A host is a network namespace: a network stack of its own, which nothing but its cable connects with others.
type host struct {
	t    *testing.T
	name string
}

// hosts makes namespaces; they are gone when the test ends, and with them whatever was in them.
func newHosts(t *testing.T, names ...string) []*host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("network namespaces are made with ip (Debian: iproute2)")
	}
	tag := fmt.Sprintf("lb%06x", rand.Uint32()&0xffffff)
	var made []*host
	for _, n := range names {
		h := &host{t, tag + n}
		if out, err := exec.Command("ip", "netns", "add", h.name).CombinedOutput(); err != nil {
			t.Skipf("network namespaces cannot be made here: %v: %s", err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("ip", "netns", "delete", h.name).CombinedOutput(); err != nil {
				t.Errorf("delete namespace %s: %v: %s", h.name, err, out)
			}
		})
		h.ip("link", "set", "lo", "up")
		made = append(made, h)
	}
	return made
}

func (h *host) ip(args ...string) {
	h.t.Helper()
	if out, err := exec.Command("ip", append([]string{"-n", h.name}, args...)...).CombinedOutput(); err != nil {
		h.t.Fatalf("ip -n %s %s: %v: %s", h.name, strings.Join(args, " "), err, out)
	}
}

// A cable between two hosts, with the addresses 10.0.net.1 and 10.0.net.2 at its ends.
type cable struct {
	end   *host
	inner string
}

func connect(a, b *host, net int) *cable {
	a.t.Helper()
	inner, outer := fmt.Sprintf("to%d", net), fmt.Sprintf("from%d", net)
	a.ip("link", "add", inner, "type", "veth", "peer", "name", outer, "netns", b.name)
	a.ip("address", "add", fmt.Sprintf("10.0.%d.1/24", net), "dev", inner)
	b.ip("address", "add", fmt.Sprintf("10.0.%d.2/24", net), "dev", outer)
	a.ip("link", "set", inner, "up")
	b.ip("link", "set", outer, "up")
	return &cable{a, inner}
}

// cut is a cable pulled out: packets vanish, and nobody is told.
func (c *cable) cut()  { c.end.t.Helper(); c.end.ip("link", "set", c.inner, "down") }
func (c *cable) heal() { c.end.t.Helper(); c.end.ip("link", "set", c.inner, "up") }

// in runs a process on the host.
func (h *host) in() harness.Option { return harness.Under("ip", "netns", "exec", h.name) }
