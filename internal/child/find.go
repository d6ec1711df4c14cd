package child

import (
	"errors"
	"io/fs"
	"os/exec"
)

// The exit codes with which a shell says that it could not run a command.
const (
	cannotRun = 126
	notFound  = 127
)

// A FindError says that there is no such command, or that it cannot be run.
type FindError struct {
	Code int // with which a shell would end
	err  error
}

func (e *FindError) Error() string { return e.err.Error() }

// Unwrap gives the error of exec.LookPath.
func (e *FindError) Unwrap() error { return e.err }

// Find looks a command up as a shell does. The error is a *FindError.
func Find(command string) (path string, err error) {
	path, err = exec.LookPath(command)
	if err == nil {
		return path, nil
	}
	code := notFound
	if errors.Is(err, fs.ErrPermission) {
		code = cannotRun
	}
	return "", &FindError{code, err}
}
