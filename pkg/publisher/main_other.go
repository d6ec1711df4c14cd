//go:build !unix

package publisher

import "os"

// dieOf ends the process as an unhandled signal does in the Go runtime.
func dieOf(os.Signal) { os.Exit(exitPanic) }
