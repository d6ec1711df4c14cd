//go:build !linux

package natsconn

import "syscall"

const quietly = false

func readQuietly(uintptr, []byte) (int, error)  { return 0, syscall.ENOSYS }
func writeQuietly(uintptr, []byte) (int, error) { return 0, syscall.ENOSYS }

// WakeMonitor has nothing to do where no connection is quiet.
func WakeMonitor() {}
