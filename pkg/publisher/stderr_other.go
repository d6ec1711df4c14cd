//go:build !unix

package publisher

import (
	"io"
	"os"
)

// stderr is standard error; there is no SIGPIPE here.
func stderr() io.Writer { return os.Stderr }
