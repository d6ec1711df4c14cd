package ring

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skip("cannot mount a small file system:", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, 0) })
	path := filepath.Join(dir, FileName(testID))
	if _, err := Create(path, 1<<20, testID, "logs"); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("create: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	r, err := Create(path, minCapacity, testID, "logs")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Remove(); err != nil {
		t.Error(err)
	}
}

// A buffer file takes memory as records fill it, although the disk's room is reserved. (Where the file system reads nothing
// ahead, as tmpfs, this shows nothing.)
func TestFileTakesMemoryAsItFills(t *testing.T) {
	r, err := Create(filepath.Join(t.TempDir(), FileName(testID)), 16<<20, testID, "logs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Remove() })
	body := []byte(strings.Repeat("x", 200))
	// The first record brings the pages of those that follow it, but no more.
	if _, err := r.Append(body, 100); err != nil {
		t.Fatal(err)
	}
	if n := resident(t, r.data); n < pavedAtOnce/4 || n > 1<<20 {
		t.Errorf("%d bytes of lines in memory behind one record, want some up to %d or a little more", n, pavedAtOnce)
	}
	for range 4000 {
		if _, err := r.Append(body, 100); err != nil {
			t.Fatal(err)
		}
	}
	if n := resident(t, r.mem); n > 3<<20 {
		t.Errorf("%d bytes in memory behind 4,000 records of about 270", n)
	}
}

// resident is how many bytes of mem, whole pages of a file, are in memory.
func resident(t *testing.T, mem []byte) (n int) {
	t.Helper()
	pages := make([]byte, (len(mem)+pageSize-1)/pageSize)
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), uintptr(unsafe.Pointer(&pages[0]))); errno != 0 {
		t.Fatal(errno)
	}
	for _, p := range pages {
		n += int(p&1) * pageSize
	}
	return n
}
