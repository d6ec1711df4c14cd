//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package ring

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
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
	making, err := createLocked(filepath.Join(dir, FileName(third)))
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

// Workers that start at once make their files while others clear away what the dead have left: nobody's start may fail of it.
func TestCreateWhileOthersClearAway(t *testing.T) {
	dir := t.TempDir()
	stop := make(chan struct{})
	var clearing sync.WaitGroup
	for range 4 {
		clearing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = RemoveUnfinished(dir) // two of them may find the same file; that is no error of the one that makes it
				}
			}
		})
	}
	for range 400 {
		id := testID
		id.Run = record.NewRun()
		r, err := Create(filepath.Join(dir, FileName(id)), minCapacity, id, "logs")
		if err != nil {
			t.Error(err)
			break
		}
		if err := r.Remove(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	clearing.Wait()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := RemoveUnfinished(dir); err != nil {
		t.Error(err)
	}
	for _, e := range left {
		if filepath.Ext(e.Name()) == Suffix {
			t.Errorf("%s is left", e.Name())
		}
	}
}
