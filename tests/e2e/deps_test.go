//go:build unix

package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", args, err, out)
	}
	return strings.Fields(string(out))
}

// What each of our packages must not link. A worker must not carry a broker; publisher, collector and consumer never import each other.
func TestForbiddenImports(t *testing.T) {
	const ours = "github.com/logbraid/logbraid/"
	forbidden := map[string][]string{
		"pkg/record":    {"github.com/", "golang.org/x/"},
		"pkg/publisher": {"github.com/nats-io/nats-server", "github.com/spf13/cobra", "github.com/prometheus/", ours + "pkg/collector", ours + "pkg/consumer", ours + "pkg/embedded"},
		"pkg/collector": {"github.com/nats-io/nats-server", "github.com/spf13/cobra", "github.com/prometheus/", ours + "pkg/publisher", ours + "pkg/consumer", ours + "pkg/embedded"},
		"pkg/consumer": {"github.com/nats-io/nats-server", "github.com/spf13/cobra", "github.com/prometheus/", "github.com/sirupsen/", "github.com/klauspost/compress/zstd",
			ours + "pkg/publisher", ours + "pkg/collector", ours + "pkg/embedded", ours + "internal/ring", ours + "internal/logfile"},
		"pkg/embedded":     {"github.com/spf13/cobra", "github.com/prometheus/", ours + "cmd/"},
		"tests/checker":    {ours + "pkg/", ours + "internal/"},
		"internal/ring":    {"github.com/nats-io/", "github.com/sirupsen/"},
		"internal/logfile": {"github.com/nats-io/", "github.com/sirupsen/"},
	}
	for pkg, prefixes := range forbidden {
		deps := goList(t, "-deps", "./"+pkg)
		if len(deps) < 10 {
			t.Fatalf("%s: only %d packages listed", pkg, len(deps))
		}
		for _, dep := range deps {
			for _, prefix := range prefixes {
				// The package itself is in its list.
				if strings.HasPrefix(dep, prefix) && !strings.HasPrefix(dep, ours+pkg) {
					t.Errorf("%s links %s", pkg, dep)
				}
			}
		}
	}
}
