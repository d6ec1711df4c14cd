//go:build !unix

package embedded

import "os"

type signal struct {
	name   string
	polite bool
}

// signalOf: processes here end with a status only.
func signalOf(*os.ProcessState) (signal, bool) { return signal{}, false }
