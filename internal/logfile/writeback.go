package logfile

// A file that grows fast is written to the disk as it grows, in steps, and what
// has got there is dropped from the page cache. Left alone, the kernel lets
// gigabytes of a log push everything else out of memory and then stalls whoever
// writes; and on a virtual machine each new page of memory is several times as
// dear as one that was just given back (docs/performance.md).
//
// It is advice to the kernel, on Linux only. Nothing is known to be on the disk by
// it: it never waits for a write, because waiting would take away the error that
// the next fsync must see (Linux keeps one per open file, sync_file_range(2) with
// a WAIT flag consumes it). What is not on the disk by the time it is to be
// dropped stays in the cache.
const (
	writebackStep = 16 << 20
	// keepBehind is how much of a file stays in the cache behind what is being
	// written back, for those who read along.
	keepBehind = 2 * writebackStep
)

// writebackHandle is a handle of a system that takes the advice.
type writebackHandle interface {
	startWriteback(from, n int64)
	dropWritten(from, n int64)
}

// rolling is how far a file is on its way to the disk, by the writer's knowledge.
type rolling struct {
	on    bool     // since the file was opened: what stood in it before is left alone
	begun int64    // up to here writing back has been started
	drops [2]int64 // where the last two drops ended
}

// A span is a part of a file that is complete, and one before it that can be dropped.
type span struct {
	h              *handle
	from, to       int64
	dropped, until int64
}

// writeback works in a goroutine of its own: starting to write can wait for the
// disk's queue, and the writer waits for no disk.
type writeback struct {
	spans chan span
	ended chan struct{}
}

func newWriteback(inline bool) *writeback {
	w := &writeback{ended: make(chan struct{})}
	if inline {
		close(w.ended)
		return w
	}
	w.spans = make(chan span, 4)
	go w.run()
	return w
}

func (w *writeback) run() {
	defer close(w.ended)
	for s := range w.spans {
		h := s.h.Handle.(writebackHandle)
		h.startWriteback(s.from, s.to-s.from)
		if s.until > s.dropped {
			h.dropWritten(s.dropped, s.until-s.dropped)
		}
		s.h.release()
	}
}

// grew is told by the writer that the file has n bytes more. While the disk does not
// keep up, the span grows with the file.
func (w *writeback) grew(f *File, n int64) {
	r := &f.rolling
	if !r.on {
		start := f.st.length - n
		*r = rolling{on: true, begun: start, drops: [2]int64{start, start}}
	}
	size := (f.st.length - r.begun) / writebackStep * writebackStep
	if size <= 0 || w.spans == nil {
		return
	}
	if _, ok := f.h.Handle.(writebackHandle); !ok {
		return
	}
	// Each part is dropped twice, since some of it may not have got to the disk the first time.
	until := max(r.drops[1], r.begun-keepBehind)
	select {
	case w.spans <- span{f.h.hold(), r.begun, r.begun + size, r.drops[0], until}:
		r.begun += size
		r.drops = [2]int64{r.drops[1], until}
	default:
		f.h.release()
	}
}

// close ends the goroutine; nothing is told any more.
func (w *writeback) close() {
	if w.spans != nil {
		close(w.spans)
	}
	<-w.ended
}
