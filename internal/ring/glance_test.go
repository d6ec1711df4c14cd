package ring

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// The numbers of a ring in use, seen from outside, are those its owner has.
func TestGlance(t *testing.T) {
	if !Supported {
		t.Skip("no buffer files on this system")
	}
	id := record.Identity{App: "etl", Worker: "w1", Run: record.NewRun()}
	path := filepath.Join(t.TempDir(), FileName(id))
	r, err := Create(path, 64<<10, id, "logs")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Remove() }()

	same := func(what string) {
		t.Helper()
		info, got, err := Glance(path)
		if err != nil {
			t.Fatal(err)
		}
		want := r.Stats()
		want.Used = 0
		if info.Identity != id || info.Prefix != "logs" || info.PID != os.Getpid() {
			t.Errorf("%s: info %+v", what, info)
		}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", what, got, want)
		}
	}
	same("empty")
	for range 10 {
		if _, err := r.Append([]byte(`{"time":"x"`), 100); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Drop(record.Info, Timeout); err != nil {
		t.Fatal(err)
	}
	same("ten and a drop")
	r.Release(4)
	same("four released")
	r.Seal()
	same("sealed")

	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[cellsAt+8*cellTail] ^= 1
	damaged := filepath.Join(t.TempDir(), "damaged.ring")
	if err := os.WriteFile(damaged, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Glance(damaged); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a damaged number: got %v, want ErrUnreadable", err)
	}
}
