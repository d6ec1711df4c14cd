//go:build linux || darwin

package embedded

import "golang.org/x/sys/unix"

// freeBytes is the room on a directory's disk for who is not root.
func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}
