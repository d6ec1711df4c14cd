package logfile

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Medium is the system's boot id and the mount's id. Mounting anew gives a new
// one (STATX_MNT_ID_UNIQUE, Linux 6.8).
func (d *osDir) Medium() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	f, err := d.root.Open(".")
	if err != nil {
		return ""
	}
	defer f.Close()
	const mountIDUnique = 0x4000
	var st unix.Statx_t
	c, err := f.SyscallConn()
	if err != nil {
		return ""
	}
	var failed error
	err = c.Control(func(fd uintptr) {
		failed = unix.Statx(int(fd), "", unix.AT_EMPTY_PATH, mountIDUnique, &st)
	})
	if err != nil || failed != nil || st.Mask&mountIDUnique == 0 {
		return ""
	}
	return fmt.Sprintf("%s/%d", strings.TrimSpace(string(boot)), st.Mnt_id)
}

// Both only give advice to the kernel; that it is not taken is no error.

func (h *osHandle) startWriteback(from, n int64) {
	h.control(func(fd int) {
		_ = unix.SyncFileRange(fd, from, n, unix.SYNC_FILE_RANGE_WRITE)
	})
}

func (h *osHandle) dropWritten(from, n int64) {
	h.control(func(fd int) {
		_ = unix.Fadvise(fd, from, n, unix.FADV_DONTNEED)
	})
}

func (h *osHandle) control(f func(fd int)) {
	if c, err := h.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { f(int(fd)) })
	}
}
