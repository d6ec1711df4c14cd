package logfile

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// lockFile takes the lock file at path and writes into it who holds it.
//
// The lock belongs to the open file, not to the process: a second Store in the
// same process is refused too, and a child does not inherit it (the descriptor
// is closed on exec). The kernel frees it when the holder dies, however it does.
func lockFile(path string) (io.Closer, error) {
	// O_NOFOLLOW where there is such a thing: the lock file is ours alone.
	l := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|openFlags), flock.SetPermissions(0o640))
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !ok {
		_ = l.Close()
		return nil, readHolder(path)
	}
	if err := writeHolder(path); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("write holder of lock %s: %w", path, err)
	}
	return l, nil
}

// The lock file's text, for people and for the one that is refused:
//
//	\n
//	pid 4711
//	since 2026-11-21T10:00:00Z
//	command collector run ...
//
// The first byte is left out of it, since Windows locks that byte against
// reading.
func writeHolder(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|openFlags, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	text := fmt.Sprintf("pid %d\nsince %s\ncommand %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339Nano), commandLine(os.Args))
	if err := f.Truncate(1); err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(text), 1)
	return err
}

// userInfo is where a URL may carry a password.
var userInfo = regexp.MustCompile(`://.*@`)

// commandLine is one line of reasonable length, without passwords: the lock file
// may be read by more people than the process's arguments, and for longer.
func commandLine(args []string) string {
	line := make([]string, len(args))
	for i, arg := range args {
		line[i] = strings.Map(func(r rune) rune {
			if r < ' ' {
				return ' '
			}
			return r
		}, userInfo.ReplaceAllString(arg, "://xxxxx@"))
	}
	text := strings.Join(line, " ")
	return text[:min(len(text), 200)]
}

func readHolder(path string) *LockedError {
	e := &LockedError{Dir: lockedDir(path)}
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return e
	}
	defer f.Close()
	text := make([]byte, 1024)
	n, _ := f.ReadAt(text, 1)
	for line := range strings.Lines(string(text[:n])) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "pid":
			e.PID, _ = strconv.Atoi(value)
		case "since":
			e.Since, _ = time.Parse(time.RFC3339Nano, value)
		case "command":
			e.Command = value
		}
	}
	return e
}
