package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Layout of a master's state, under DIR/.logbraid. The collector keeps its lock
// and its journal there too; whoever holds that lock owns all of it (I7).
//
//	address          nats://127.0.0.1:PORT, read by workers at every dial
//	tokens/<worker>  a worker's token, 0600; tokens/=reader the readers'
//	reader.env       the environment of those who read the log, without the token
//	buffer/          ring files and crash outputs of the workers
//	stream/          the broker's store, in stream delivery
//	stream.lock      who has it: NATS itself takes no lock
type state struct{ dir string }

func stateOf(dir string) state { return state{dir: filepath.Join(dir, ".logbraid")} }

func (s state) address() string { return filepath.Join(s.dir, "address") }
func (s state) tokens() string  { return filepath.Join(s.dir, "tokens") }
func (s state) buffer() string  { return filepath.Join(s.dir, "buffer") }

func (s state) store() string   { return filepath.Join(s.dir, "stream") }
func (s state) locking() string { return filepath.Join(s.dir, "stream.lock") }

// create makes the directories. Only the holder of the lock calls it.
func (s state) create() error {
	for _, dir := range []string{s.dir, s.tokens(), s.buffer()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create state directory: %w", err)
		}
	}
	return nil
}

// port is the port of the last master here, or 0 if there was none. A file that
// is not ours to understand is as good as none: the port is a convenience, and
// the new one is written over it.
func (s state) port() int {
	b, err := os.ReadFile(s.address())
	if err != nil {
		return 0
	}
	u, err := url.Parse(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil || port < 1 || port > 65535 {
		return 0
	}
	return port
}

// announce tells where the broker is. Workers that wait for it dial again with
// backoff and read the file each time, so this is all a change of port needs.
func (s state) announce(url string) error {
	if b, err := os.ReadFile(s.address()); err == nil && strings.TrimSpace(string(b)) == url {
		return nil
	}
	if err := writeFile(s.address(), url+"\n"); err != nil {
		return fmt.Errorf("write broker address: %w", err)
	}
	return nil
}

// writeFile replaces path in one step: a reader sees the old text or the new
// one, never a part.
func writeFile(path, text string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(os.Remove(f.Name())))
		}
	}()
	if _, err = f.WriteString(text); err != nil {
		return errors.Join(err, f.Close())
	}
	// An empty token after a power cut would be taken for a foreign file.
	if err = f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
