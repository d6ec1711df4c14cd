package embedded

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/logbraid/logbraid/internal/logfile"
)

const (
	// forceEvery is how often it is looked whether the stream is to be forced to the disk, and forceAfter how old the oldest message may be
	// then that is not on it: together a second, the most that is at risk in a power cut. NATS's own default is two minutes.
	forceEvery = 250 * time.Millisecond
	forceAfter = 750 * time.Millisecond
)

// forcer forces the broker's files to the disk, unless the log has what they hold. nats-server would do it by itself
// (server.Options.SyncInterval), but it forces all, and keeps whoever stores or reads waiting meanwhile (docs/adr/0020).
type forcer struct {
	fs   logfile.FS
	dir  string
	held func() time.Time // when the last message was stored that is on the disk in the log; zero: not known
	log  *slog.Logger

	stop chan struct{}
	done chan struct{}

	// Of the goroutine.
	forced time.Time        // when the last round began that did not fail
	seen   map[string]sight // by path
	told   bool             // that it fails
}

// sight is a file or directory as it was when it was last forced.
type sight struct {
	logfile.Info
	// failed: it could not be. It is not tried again, for that would say nothing: the kernel holds what it could not write for written.
	failed error
}

func startForcer(f *forcer) *forcer {
	f.stop, f.done = make(chan struct{}), make(chan struct{})
	go f.run()
	return f
}

// finish forces what is left, when the broker has stopped.
func (f *forcer) finish() {
	if f != nil {
		close(f.stop)
		<-f.done
	}
}

func (f *forcer) run() {
	defer close(f.done)
	tick := time.NewTicker(forceEvery)
	defer tick.Stop()
	for {
		select {
		case <-f.stop:
			f.force()
			return
		case <-tick.C:
		}
		if f.due() {
			f.force()
		}
	}
}

// due reports whether a message may be older than it should be without being on the disk.
func (f *forcer) due() bool {
	if time.Since(f.forced) <= forceAfter {
		return false
	}
	age := time.Since(f.held())
	return age < 0 || age > forceAfter // negative after a step of the clock: then it says nothing
}

// force does one round. It fails as long as there is a file that could not be forced.
func (f *forcer) force() {
	begun := time.Now()
	now := make(map[string]sight, len(f.seen))
	_, err := f.tree(f.dir, now)
	f.seen = now
	if err == nil {
		f.forced = begun
	} else if !f.told {
		f.log.Error("cannot force the stream to the disk; a power cut may take what the broker has acknowledged", "error", err)
	}
	f.told = err != nil
}

// tree forces what has changed in a directory, and then its entries if there is a new one, or if it is new itself. What goes away
// meanwhile, the broker has deleted.
func (f *forcer) tree(path string, now map[string]sight) (fresh bool, err error) {
	dir, err := f.fs.OpenDir(path, false)
	if err != nil {
		return false, unlessGone(err)
	}
	defer dir.Close()
	itself, err := dir.Stat()
	if err != nil {
		return false, err
	}
	names, err := dir.List()
	if err != nil {
		return false, err
	}
	var errs []error
	before, known := f.seen[path]
	fresh = !known || before.ID != itself.ID
	entries := fresh
	for _, name := range names {
		at := filepath.Join(path, name)
		info, err := dir.Lstat(name)
		switch {
		case err != nil:
			errs = append(errs, unlessGone(err))
		case info.Mode.IsDir():
			inside, err := f.tree(at, now)
			entries = entries || inside
			errs = append(errs, err)
		case info.Mode.IsRegular():
			was, known := f.seen[at]
			same := known && was.ID == info.ID
			entries = entries || !same
			if !same || was.failed == nil && (was.Size != info.Size || !was.ModTime.Equal(info.ModTime)) {
				was = sight{info, unlessGone(forceFile(dir, name))}
			}
			now[at] = was
			errs = append(errs, was.failed)
		}
	}
	itsOwn := sight{itself, before.failed}
	if entries && (fresh || before.failed == nil) {
		itsOwn.failed = dir.Sync()
	}
	now[path] = itsOwn
	return fresh, errors.Join(append(errs, itsOwn.failed)...)
}

func forceEntries(path string) error {
	dir, err := logfile.OS().OpenDir(path, false)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func forceFile(dir logfile.Dir, name string) error {
	h, err := dir.Open(name, os.O_RDWR, 0)
	if err != nil { // it may have been replaced just now
		h, err = dir.Open(name, os.O_RDWR, 0)
	}
	if err != nil {
		return err
	}
	return errors.Join(h.Sync(), h.Close())
}

func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
