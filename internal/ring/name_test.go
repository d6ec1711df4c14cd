package ring

import (
	"strings"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// File systems take names of 255 bytes.
func TestFileNameFits(t *testing.T) {
	for _, worker := range []string{"w3", strings.Repeat("w", 255), strings.Repeat("\xff", 255), ""} {
		name := FileName(record.Identity{App: "etl", Worker: worker, Run: record.NewRun()})
		if len(name)+len(newSuffix)+len(damagedSuffix) > 255 || strings.ContainsAny(name, "/\x00") {
			t.Errorf("worker of %d bytes: %s", len(worker), name)
		}
	}
}

func TestOfWorker(t *testing.T) {
	long := strings.Repeat("w", 200)
	for _, worker := range []string{"w3", "", "w%3", long} {
		if name := FileName(record.Identity{App: "etl", Worker: worker, Run: record.NewRun()}); !OfWorker(name, worker) {
			t.Errorf("%s is not of %q", name, worker)
		}
	}
	if name := FileName(record.Identity{App: "etl", Worker: "w31", Run: record.NewRun()}); OfWorker(name, "w3") {
		t.Errorf("%s is of w3", name)
	}
}
