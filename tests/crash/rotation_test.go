//go:build unix

package crash

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

// Row 22: a crash right behind each step of rotation and compression: the call has been carried out, and nobody has learned it.
// (TestFault02EverySystemCall has the crashes right before each of them.) Each line is in exactly one generation.
func TestFault22RotationStep(t *testing.T) { both(t, rotationStep) }

func rotationStep(t *testing.T, broker *harness.Broker, delivery string, skip func(n int) bool) {
	steps := []string{"renameat", "renameat2", "linkat", "openat", "unlinkat", "fsync", "fdatasync"}
	report := filepath.Join(t.TempDir(), "calls")
	newScript(t, broker, delivery, "rotation-"+delivery).run(harness.TraceSpec{Calls: steps, Report: report})
	// A rotation begins with the renaming of a file of records and ends with the removal of what was compressed. A first and a
	// second one are gone through; the later ones are the same again.
	seen, from := map[string]int{}, 0
	var points []harness.TracedCall
	for _, c := range harness.ReadTrace(t, report) {
		rotates := strings.HasPrefix(filepath.Base(c.Path), "app.")
		if from == 0 && rotates && strings.HasPrefix(c.Name, "rename") {
			from = c.N
		}
		if from == 0 || !rotates && !strings.HasSuffix(c.Path, ".logbraid") || !*long && seen[c.Name] >= 10 && c.Name != "unlinkat" {
			continue
		}
		seen[c.Name]++
		points = append(points, c)
	}
	t.Logf("%d points: %v", len(points), seen)
	if seen["renameat"] == 0 || seen["openat"] == 0 || seen["unlinkat"] == 0 || seen["fsync"]+seen["fdatasync"] == 0 {
		t.Errorf("a rotation no longer goes through rename, open, sync and unlink: %v", seen)
	}
	t.Run("at", func(t *testing.T) {
		for _, c := range points {
			if skip(c.N) {
				continue
			}
			t.Run(fmt.Sprintf("%d %s %s", c.N, c.Name, filepath.Base(c.Path)), func(t *testing.T) {
				t.Parallel()
				newScript(t, broker, delivery, fmt.Sprintf("rotation-%s-%d", delivery, c.N)).run(harness.TraceSpec{Calls: steps, At: c.N, Act: harness.KillAfter})
			})
		}
	})
}
