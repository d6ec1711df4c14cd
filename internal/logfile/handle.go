package logfile

import "sync/atomic"

// handle is an open file that the writer and the syncer share: it is closed when
// both have let go of it.
type handle struct {
	Handle
	path string
	refs atomic.Int32

	// written counts the writer's writes; synced is how many of them are known
	// to be on the disk.
	written uint64
	synced  atomic.Uint64
}

// newHandle gives the caller the one reference.
func newHandle(h Handle, path string) *handle {
	n := &handle{Handle: h, path: path}
	n.refs.Store(1)
	return n
}

func (h *handle) hold() *handle {
	h.refs.Add(1)
	return h
}

// release lets go. An error of close says nothing that the last sync did not.
func (h *handle) release() {
	if h.refs.Add(-1) == 0 {
		_ = h.Close()
	}
}

// clean reports, to the writer, that nothing written waits for a sync.
func (h *handle) clean() bool { return h.synced.Load() == h.written }
