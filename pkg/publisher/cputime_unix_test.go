//go:build unix

package publisher

import (
	"syscall"
	"time"
)

// cpuTime is the processor time that the process has taken: unlike the time on the
// wall it is about the same while others use the machine.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
