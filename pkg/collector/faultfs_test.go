package collector

import (
	"io/fs"
	"sync/atomic"

	"github.com/logbraid/logbraid/internal/logfile"
)

// faultFS is the operating system's file system until fail is set; then writing and forcing to the disk
// end in that error.
type faultFS struct {
	logfile.FS
	fail atomic.Pointer[error]
	gate atomic.Pointer[chan struct{}] // when set, syncs wait until it is closed
	lazy bool                          // nothing is ever forced to the disk, which most tests would only wait for
}

func newFaultFS() *faultFS { return &faultFS{FS: logfile.OS()} }

func (f *faultFS) breakWith(err error) { f.fail.Store(&err) }
func (f *faultFS) mend()               { f.fail.Store(nil) }

func (f *faultFS) err() error {
	if p := f.fail.Load(); p != nil {
		return *p
	}
	return nil
}

func (f *faultFS) OpenDir(path string, create bool) (logfile.Dir, error) {
	d, err := f.FS.OpenDir(path, create)
	if err != nil {
		return nil, err
	}
	return &faultDir{d, f}, nil
}

type faultDir struct {
	logfile.Dir
	fs *faultFS
}

func (d *faultDir) OpenDir(name string) (logfile.Dir, error) {
	sub, err := d.Dir.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &faultDir{sub, d.fs}, nil
}

func (d *faultDir) Open(name string, flag int, perm fs.FileMode) (logfile.Handle, error) {
	h, err := d.Dir.Open(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultHandle{h, d.fs}, nil
}

func (d *faultDir) Sync() error {
	if d.fs.lazy {
		return nil
	}
	return d.Dir.Sync()
}

type faultHandle struct {
	logfile.Handle
	fs *faultFS
}

func (h *faultHandle) Write(p []byte) (int, error) {
	if err := h.fs.err(); err != nil {
		n, _ := h.Handle.Write(p[:len(p)/2]) // as a full disk does: a part of it
		return n, err
	}
	return h.Handle.Write(p)
}

func (h *faultHandle) WriteAt(p []byte, off int64) (int, error) {
	if err := h.fs.err(); err != nil {
		return 0, err
	}
	return h.Handle.WriteAt(p, off)
}

func (h *faultHandle) Sync() error {
	if gate := h.fs.gate.Load(); gate != nil {
		<-*gate
	}
	if err := h.fs.err(); err != nil || h.fs.lazy {
		return err
	}
	return h.Handle.Sync()
}
