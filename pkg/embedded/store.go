package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/logbraid/logbraid/internal/logfile"
)

// store is where the broker keeps the stream. A nil store is none: direct delivery.
type store struct {
	dir    string
	always bool // force each batch to the disk before it is acknowledged
	lock   io.Closer
}

// openStore takes the store of a log directory. Two servers on one store would both
// acknowledge the same seq, and one of the messages would be gone.
func openStore(s state, always bool) (*store, error) {
	// The log directory itself is for those to read who may read the log; its state is not.
	if err := os.MkdirAll(filepath.Dir(s.dir), 0o750); err != nil {
		return nil, fmt.Errorf("create log directory: %w", err)
	}
	if err := s.create(); err != nil {
		return nil, err
	}
	lock, err := logfile.OS().Lock(s.locking())
	if err != nil {
		return nil, err
	}
	st := &store{dir: s.store(), always: always, lock: lock}
	if err := st.create(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return st, nil
}

func (s *store) create() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("create stream store: %w", err)
	}
	// What is in the store is forced to the disk, so the way to it is: to the log directory's own entry, unless that is in a directory which we
	// may not read, and did not make it in.
	for dir, up := s.dir, 0; up < 3; up++ {
		dir = filepath.Dir(dir)
		if err := forceEntries(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("create stream store: %w", err)
		}
	}
	return nil
}

// options has the server use the store. The stream's own bound is LOGBRAID_STREAM_MAX_BYTES; the server's, by
// default what is free on the disk now, would refuse a stream that the disk has room for later.
func (s *store) options(o *server.Options) {
	if s == nil {
		return
	}
	o.JetStream = true
	o.StoreDir = s.dir
	o.JetStreamMaxStore = math.MaxInt64 / 4
	o.SyncAlways = s.always // else a forcer does it
}

// stream is the directory of a stream's messages.
func (s *store) stream(name string) string {
	return filepath.Join(s.dir, server.JetStreamStoreDir, "$G", "streams", name, "msgs")
}

func (s *store) release() {
	if s != nil && s.lock != nil {
		_ = s.lock.Close() // nothing was written through it
		s.lock = nil
	}
}
