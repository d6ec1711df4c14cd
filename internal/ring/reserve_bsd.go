//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package ring

import "os"

// reserve makes the file size bytes long, with blocks behind all of them. These
// systems have no fallocate, or one that APFS and ZFS do not honour.
func reserve(f *os.File, size int64) error { return zero(f, size) }
