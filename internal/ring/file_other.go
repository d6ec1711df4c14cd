//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package ring

import (
	"fmt"
	"os"

	"github.com/logbraid/logbraid/pkg/record"
)

// Supported tells whether Create can work on this system.
const Supported = false

// Create returns ErrUnsupported: files cannot be mapped or locked here.
func Create(path string, size int, id record.Identity, prefix string) (*Ring, error) {
	return nil, fmt.Errorf("create buffer file: %w", ErrUnsupported)
}

// allocate takes memory from Go's heap: too little ends the program.
func allocate(size int) (mem []byte, free func([]byte) error, err error) {
	return make([]byte, size), func([]byte) error { return nil }, nil
}

func lock(*os.File) error { return ErrUnsupported }

const openFlags = 0
