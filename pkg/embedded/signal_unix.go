//go:build unix

package embedded

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

type signal struct {
	name   string
	polite bool // a request to end, which a program may refuse
}

// signalOf is the signal that ended a process, if one did.
func signalOf(st *os.ProcessState) (signal, bool) {
	ws, ok := st.Sys().(syscall.WaitStatus)
	if !ok || !ws.Signaled() {
		return signal{}, false
	}
	s := ws.Signal()
	name := unix.SignalName(s)
	if name == "" {
		name = s.String()
	}
	return signal{name: name, polite: s == syscall.SIGINT || s == syscall.SIGTERM || s == syscall.SIGHUP}, true
}
