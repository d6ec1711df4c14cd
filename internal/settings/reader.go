package settings

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ReaderEnv is the file in a log directory in which an embedded master leaves the environment of those who read
// the log beside it. Only the master's own user can read it, and the token file that it names.
func ReaderEnv(dir string) string { return filepath.Join(dir, ".logbraid", "reader.env") }

// ReadEnv reads a file of lines KEY=VALUE, with nothing quoted, in the form of os.Environ.
func ReadEnv(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var env []string
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		key, _, ok := strings.Cut(lines.Text(), "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("read %s: %q is not KEY=VALUE", path, lines.Text())
		}
		env = append(env, lines.Text())
	}
	return env, nil
}
