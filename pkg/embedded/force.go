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

	// consumers is the directory of a stream's consumers, whose positions are no part of what is promised.
	consumers = "obs"
)

// forcer forces the broker's files to the disk, unless the log has what they hold. nats-server would do it by itself
// (server.Options.SyncInterval), but it forces all, and keeps whoever stores or reads waiting meanwhile (docs/adr/0020).
type forcer struct {
	fs   logfile.FS
	dir  string
	held func() time.Time // when the last message was stored that is on the disk in the log
	log  *slog.Logger

	stop chan struct{}
	done chan struct{}

	// Of the goroutine.
	forced time.Time               // when the last round began that did not fail
	seen   map[string]logfile.Info // files and directories as they were when they were last forced
	told   bool                    // that it fails
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

// force does one round. When it fails, the next one tries again what was not forced.
func (f *forcer) force() {
	begun := time.Now()
	now := make(map[string]logfile.Info, len(f.seen))
	err := f.tree(f.dir, now)
	f.seen = now
	if err == nil {
		f.forced = begun
	} else if !f.told {
		f.log.Error("cannot force the stream to the disk; a power cut may take what the broker has acknowledged", "error", err)
	}
	f.told = err != nil
}

// tree forces what has changed in a directory, its entries last. What goes away meanwhile, the broker has deleted.
func (f *forcer) tree(path string, now map[string]logfile.Info) error {
	dir, err := f.fs.OpenDir(path, false)
	if err != nil {
		return unlessGone(err)
	}
	defer dir.Close()
	itself, err := dir.Stat()
	if err != nil {
		return err
	}
	names, err := dir.List()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		at := filepath.Join(path, name)
		info, err := dir.Lstat(name)
		switch {
		case err != nil:
		case info.Mode.IsDir() && name != consumers:
			err = f.tree(at, now)
		case info.Mode.IsRegular():
			if err = f.changed(at, info, func() error { return forceFile(dir, name) }); err == nil {
				now[at] = info
			}
		}
		errs = append(errs, unlessGone(err))
	}
	if err = f.changed(path, itself, dir.Sync); err == nil {
		now[path] = itself
	}
	return errors.Join(append(errs, err)...)
}

// changed forces what is not as it was the last time.
func (f *forcer) changed(path string, now logfile.Info, force func() error) error {
	if was, ok := f.seen[path]; ok && was.ID == now.ID && was.Size == now.Size && was.ModTime.Equal(now.ModTime) {
		return nil
	}
	return force()
}

func forceFile(dir logfile.Dir, name string) error {
	h, err := dir.Open(name, os.O_RDWR, 0)
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
