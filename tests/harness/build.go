//go:build unix

package harness

import (
	"fmt"
	"os"
	"os/exec"
)

// Build makes a program, without cgo, as on a machine that has Go alone, so that it needs nothing where it runs.
func Build(output, pkg string) error {
	cmd := exec.Command("go", "build", "-o", output, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}
