//go:build unix && !(linux && amd64)

package harness

import "errors"

// CanTrace says why Traced does not work here.
func CanTrace() error { return errors.New("the tracer knows only Linux on amd64") }

func trace(string) error { return CanTrace() }
