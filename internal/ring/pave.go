package ring

import "os"

// A paver makes the pages of a part of the file before anything is copied there for the first time. A write of zeros makes
// several pages at once, and, where it is aligned, one large one, which takes one page fault; a fault without it makes one small
// page, at about three times the cost. It never goes back, so it never meets a record. The zero value has nothing to do.
type paver struct {
	file *os.File
	base uint64 // of the part, in the file
	done uint64 // in the part
	size uint64 // of the part
}

// pavedAtOnce takes about 15 µs of the log call that needs it, once in some hundred.
const pavedAtOnce = 64 << 10

var zeros [pavedAtOnce]byte

// until is called before bytes up to end, an offset in the part, are written to. An error is none: the pages come by faults then.
func (p *paver) until(end uint64) {
	for p.done < min(end, p.size) {
		at := p.base + p.done
		n := min(pavedAtOnce-at%pavedAtOnce, p.size-p.done)
		if _, err := p.file.WriteAt(zeros[:n], int64(at)); err != nil {
			p.done = p.size
			return
		}
		p.done += n
	}
}
