package ring

import "os"

// A paver makes the pages of a part of the file before anything is copied there for the first time. A write of zeros makes
// several pages at once, and large ones; a page fault makes one, at about three times the cost. It never goes back, so it never
// meets a record. The zero value has nothing to do.
type paver struct {
	file *os.File
	base uint64 // of the part, in the file
	done uint64 // in the part
	size uint64 // of the part
}

// pavedAtOnce takes about 10 µs of the log call that needs it, once in more than a hundred.
const pavedAtOnce = 32 << 10

var zeros [pavedAtOnce]byte

// until is called before bytes up to end, an offset in the part, are written to. An error is none: the pages come by faults then.
func (p *paver) until(end uint64) {
	for p.done < min(end, p.size) {
		n := min(pavedAtOnce, p.size-p.done)
		if _, err := p.file.WriteAt(zeros[:n], int64(p.base+p.done)); err != nil {
			p.done = p.size
			return
		}
		p.done += n
	}
}
