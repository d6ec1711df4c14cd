package logfile

// writeback starts writing a growing file to the disk step by step, and drops
// from the page cache what has got there. Left alone, the kernel lets gigabytes
// of a log that nobody reads push everything else out, and then stalls the
// writer until they are written.
func (f *File) writeback() {
	step := f.opts.Writeback
	if step <= 0 {
		return
	}
	h, ok := f.h.Handle.(interface {
		startWriteback(from, n int64)
		dropWritten(from, n int64)
	})
	if !ok {
		return
	}
	for f.st.length-f.flushed >= step {
		h.startWriteback(f.flushed, step)
		if f.flushed >= step {
			// The step before was begun a whole step ago, so that waiting for it
			// is short.
			h.dropWritten(f.flushed-step, step)
		}
		f.flushed += step
	}
}
