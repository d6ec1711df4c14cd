//go:build unix

package harness

import (
	"os"
	"testing"
)

func TestRunner(t *testing.T) {
	r := NewRunner()
	var order []int
	var dir string
	if !r.Do(func() {
		dir = r.TempDir()
		r.Cleanup(func() { order = append(order, 1) })
		r.Cleanup(func() { order = append(order, 2) })
	}) {
		t.Error("a good run fails")
	}
	if len(order) != 2 || order[0] != 2 {
		t.Errorf("cleanups ran in the order %v", order)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory of a good run is left")
	}
	r = NewRunner()
	after := false
	if r.Do(func() { dir = r.TempDir(); r.Fatalf("on purpose"); after = true }) || after {
		t.Error("Fatalf does not end a run")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error("the directory of a failed run is gone")
	}
	os.RemoveAll(r.Dir())
}
