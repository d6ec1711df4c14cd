// Package ring is the buffer of a publisher: a bounded, ordered set of encoded
// records that await their acknowledgement, in memory or in a file that outlives
// the process. It gives the seqs, so that the order of the numbers is the order
// of the records (I1), and keeps a record until it is released (I3).
//
// Many goroutines append and drop. One, the sender, calls Next, Release and
// Discard. What Next returns is a part of the ring itself: consecutive lines, as
// they go out, with no copy.
package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

var (
	// ErrFull comes from Append when there is no room within the given share. No
	// seq is used up.
	ErrFull = errors.New("buffer is full")
	// ErrTooLong comes from Append for a record that is longer than the ring.
	ErrTooLong = errors.New("record is longer than the buffer")
	// ErrSealed comes from Append after Seal.
	ErrSealed = errors.New("buffer is sealed")
	// ErrNoSpace comes from Create when the file system has no room for the file.
	ErrNoSpace = errors.New("no space for the buffer file")
	// ErrNoMemory comes from New, Create and OpenOrphan when the process may not
	// have so much memory: where the system says so, instead of ending the process.
	ErrNoMemory = errors.New("no memory for the buffer")
	// ErrUnsupported comes from Create where files cannot be mapped or locked.
	ErrUnsupported = errors.New("buffer files are not supported on this system")
	// ErrOwned comes from OpenOrphan while the owner, or somebody who drains the
	// file, is alive.
	ErrOwned = errors.New("buffer file is in use")
)

// A Ring holds lines between the log call and the acknowledgement.
type Ring struct {
	info Info
	tail []byte // what every line ends in before its seq; constant
	sums bool   // the records have checksums; not in memory, which nobody reads afterwards

	// The memory: header, index, data, trailer. head is written by
	// the sender, everything else under mu. A slot and its line are
	// constant from the store of tail that publishes them to the store of head
	// that releases them, so the sender reads them without the lock.
	mem, index, data   []byte
	slots              uint64
	headCell, tailCell cell
	stateCell          cell
	told, through      cell
	dropCells          [levels][reasons]cell
	bad                map[uint64]bool // ordinals of damaged records, in an orphan only
	file               *os.File        // nil: memory only
	path               string
	modified           time.Time
	unmap              func([]byte) error

	// What each Append changes stands together: these cache lines go from one processor to the other with the lock.
	mu      sync.Mutex
	end     uint64 // offset in data behind the newest line
	dropped uint64 // seqs given to no record: the sum of dropCells but for Rejected
	sealed  bool
	indexes paver  // of index
	lines   paver  // of data
	final   *Stats // after Close, when the memory is gone; written under turns.front, too

	turns turns // of those who append
}

// New returns a ring in memory, with size bytes for lines.
func New(size int, id record.Identity) (*Ring, error) {
	info, err := newInfo(size, id, "")
	if err != nil {
		return nil, fmt.Errorf("create buffer: %w", err)
	}
	r, err := newRingInMemory(info)
	if err != nil {
		return nil, fmt.Errorf("create buffer: %w", err)
	}
	if err := r.format(); err != nil {
		return nil, errors.Join(fmt.Errorf("create buffer: %w", err), r.Close())
	}
	return r, nil
}

// newRingInMemory takes the memory from the system and not from Go's heap: when
// there is none, the runtime would end the program and not return an error.
func newRingInMemory(info Info) (*Ring, error) {
	size := info.layout.size()
	if size > uint64(maxInt) {
		return nil, fmt.Errorf("%w: %d bytes", ErrNoMemory, size)
	}
	mem, free, err := allocate(int(size))
	if err != nil {
		return nil, fmt.Errorf("%w: %d bytes: %w", ErrNoMemory, size, err)
	}
	r := newRing(mem, info)
	r.unmap = free
	return r, nil
}

const maxInt = int(^uint(0) >> 1)

func newInfo(size int, id record.Identity, prefix string) (Info, error) {
	info := Info{Identity: id, Prefix: prefix, Created: time.Now(), PID: os.Getpid(), layout: layoutFor(size)}
	if size <= 0 || !info.layout.valid() {
		return Info{}, fmt.Errorf("%d bytes: not between %d and %d", size, minCapacity, maxCapacity)
	}
	return info, nil
}

// newRing is the view on memory that format has filled or will fill.
func newRing(mem []byte, info Info) *Ring {
	l := info.layout
	r := &Ring{
		info:      info,
		tail:      record.AppendTail(nil, info.Identity),
		mem:       mem,
		index:     mem[pageSize:l.data()],
		data:      mem[l.data():l.end()],
		slots:     l.slots,
		turns:     newTurns(),
		headCell:  cellIn(mem, l, cellHead),
		tailCell:  cellIn(mem, l, cellTail),
		stateCell: cellIn(mem, l, cellState),
		told:      cellIn(mem, l, cellTold),
		through:   cellIn(mem, l, cellThrough),
	}
	for level := range r.dropCells {
		for reason := range r.dropCells[level] {
			r.dropCells[level][reason] = cellIn(mem, l, cellDrops+level*reasons+reason)
		}
	}
	return r
}

// format writes both headers of an empty ring.
func (r *Ring) format() error {
	l := r.info.layout
	if err := r.info.encode(r.mem[:pageSize]); err != nil {
		return err
	}
	copy(r.mem[l.end():], r.mem[:staticSize])
	r.headCell.store(0)
	r.tailCell.store(0)
	r.stateCell.store(stateOpen)
	r.told.store(0)
	r.through.store(0)
	for level := range r.dropCells {
		for reason := range r.dropCells[level] {
			r.dropCells[level][reason].store(0)
		}
	}
	return nil
}

const (
	stateOpen = iota
	stateSealed
)

// Info tells whose ring it is.
func (r *Ring) Info() Info { return r.info }

// Path is the ring's file, empty in memory.
func (r *Ring) Path() string { return r.path }

// Append gives the record the next seq and copies it in: body, the identity, the
// seq. If more than share percent of the ring would then be in use, it returns
// ErrFull and no seq is used up.
func (r *Ring) Append(body []byte, share int) (seq uint64, err error) {
	sum := r.digest(body)
	r.lockToAppend()
	seq, err = r.appendLocked(body, sum, share)
	r.mu.Unlock()
	return seq, err
}

func (r *Ring) appendLocked(body []byte, sum uint64, share int) (seq uint64, err error) {
	if r.sealed {
		return 0, ErrSealed
	}
	ordinal := r.tailCell.load()
	seq = ordinal + r.dropped + 1
	n := uint64(len(body) + len(r.tail) + record.LenEnd(seq))
	off, err := r.place(ordinal, n, uint64(share))
	if err != nil {
		return 0, err
	}
	r.lines.until(off + n)
	at := ordinal % r.slots * slotSize
	r.indexes.until(at + slotSize)
	index := r.index[at : at+slotSize]
	line := r.data[off : off+n : off+n]
	copied := copy(line, body)
	copied += copy(line[copied:], r.tail)
	record.AppendEnd(line[:copied], seq) // in place: n counts it
	s := slot{seq: seq, off: uint32(off), len: uint32(n)}
	s.encode(index, ordinal)
	if r.sums {
		binary.LittleEndian.PutUint32(index[sumAt:], s.sum(sum, ordinal))
	}
	r.end = off + n
	r.tailCell.store(ordinal + 1) // publishes the line
	return seq, nil
}

// digest sums a body, where there are checksums.
func (r *Ring) digest(body []byte) uint64 {
	if !r.sums {
		return 0
	}
	return digest(body)
}

// slot returns the bytes of the index entry of the record with this ordinal.
func (r *Ring) slot(ordinal uint64) []byte {
	at := ordinal % r.slots * slotSize
	return r.index[at : at+slotSize]
}

// place finds n contiguous bytes for the record with this ordinal. mu is held.
func (r *Ring) place(ordinal, n, share uint64) (off uint64, err error) {
	size := uint64(len(r.data))
	if n > size {
		return 0, ErrTooLong
	}
	head := r.headCell.load()
	if head == ordinal {
		// Empty: begin again at the front. A worker that keeps up uses the same
		// few pages for ever.
		return 0, nil
	}
	held := ordinal - head
	if (held+1)*100 > r.slots*share {
		return 0, ErrFull
	}
	begin := uint64(decodeSlot(r.slot(head)).off)
	off, used := r.end, r.end-begin+n
	switch {
	case begin < r.end && r.end+n > size: // the line does not fit behind: go to the front
		off, used = 0, size-begin+n
		if n > begin {
			return 0, ErrFull
		}
	case begin >= r.end: // the lines go around the end
		used = size - begin + r.end + n
		if r.end+n > begin {
			return 0, ErrFull
		}
	}
	if used*100 > size*share {
		return 0, ErrFull
	}
	return off, nil
}

// SealEmpty ends the run if nothing is held, and reports whether it is over. While
// a record is held its fate is open: it may yet have to be told of as dropped,
// which takes a seq. Only the sender calls this, so an empty ring stays one.
func (r *Ring) SealEmpty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.headCell.load() != r.tailCell.load() {
		return false
	}
	r.sealLocked()
	return true
}

// Seal ends the run: no further seq is given. It returns the closing statement.
func (r *Ring) Seal() record.Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.final != nil { // the memory is gone
		return r.info.end(r.final.Last, r.final.Drops())
	}
	r.sealLocked()
	return r.endLocked()
}

func (r *Ring) sealLocked() {
	if !r.sealed {
		r.sealed = true
		r.stateCell.store(stateSealed)
	}
}

func (r *Ring) endLocked() record.Batch {
	return r.info.end(r.tailCell.load()+r.dropped, r.dropped+r.rejected())
}

func (i Info) end(last, dropped uint64) record.Batch {
	return record.Batch{Run: i.Identity.Run, First: last + 1, Last: last, Dropped: dropped, Oldest: last + 1, End: true}
}
