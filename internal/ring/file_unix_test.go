//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package ring

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestUnfinishedIsRemoved(t *testing.T) {
	dir := t.TempDir()
	r := createIn(t, dir)
	defer func() { _ = r.Remove() }()
	other := testID
	other.Run = "0000000000"
	left := filepath.Join(dir, FileName(other)+newSuffix)
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	third := testID
	third.Run = "1111111111"
	making, err := createLocked(filepath.Join(dir, FileName(third)+newSuffix))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = making.Close() }()
	if err := RemoveUnfinished(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file whose owner died: %v", err)
	}
	for _, path := range []string{r.Path(), making.Name()} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("a file in use: %v", err)
		}
	}
}
