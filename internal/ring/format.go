package ring

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/logbraid/logbraid/pkg/record"
)

// The memory of a ring, which is also its file, version 2, little endian:
//
//	header    4096 bytes
//	index     slots x 24 bytes, rounded up to 4096
//	data      capacity bytes: lines, each whole, none across the end
//	trailer   4096 bytes, a second header
//
// header and trailer:
//
//	   0  8  magic "lbring", version u16
//	   8  8  capacity
//	  16  8  slots
//	  24  8  created, nanoseconds since 1970
//	  32  4  process id of the owner
//	  36  8  lengths of app, worker, run, prefix, u16 each
//	  44  n  app, worker, run, prefix
//	2044  4  CRC-32C of the bytes before
//	2048     cells, 8 bytes each: 48 bits of a number, 16 bits that check it
//	         0 head, 8 tail, 9 state, 10 told, 11 told through,
//	         16.. dropped by level and reason
//
// slot, of the record with ordinal o (records are counted 0, 1, 2, ... as they
// are admitted) at index o % slots:
//
//	 0  8  seq
//	 8  4  ordinal, low 32 bits
//	12  4  offset in data
//	16  4  length
//	20  4  checksum of the line and of the slot's bytes before, see sums.go
//
// head is the ordinal of the oldest record held, tail the one that comes next.
// Because a dropped record uses up a seq and no ordinal, seq - ordinal - 1 is
// the number of records dropped before it, and no drop needs a place in the index.
const (
	version    = 2
	pageSize   = 4096
	slotSize   = 24
	sumAt      = 20   // in a slot
	staticSize = 2048 // with its CRC
	cellsAt    = 2048
	namesAt    = 44
	maxNames   = staticSize - 4 - namesAt

	cellHead    = 0
	cellTail    = 8 // a cache line of its own: the sender writes head, everybody tail
	cellState   = 9
	cellTold    = 10
	cellThrough = 11
	cellDrops   = 16

	levels  = 8 // record.Level, and 0 for unknown
	reasons = 8 // room for more than are named

	// A slot for every so many bytes of data. The shortest line a publisher makes
	// is about this long, so the data runs out first.
	bytesPerSlot = 128
	minCapacity  = 4 * pageSize
	maxCapacity  = 1<<31 - pageSize // an int also where that is 32 bits
)

var magic = [8]byte{'l', 'b', 'r', 'i', 'n', 'g', version, 0}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// layout is where things are.
type layout struct {
	capacity, slots uint64
}

func layoutFor(size int) layout {
	c := uint64(size)
	c = (c + pageSize - 1) / pageSize * pageSize
	return layout{capacity: c, slots: c / bytesPerSlot}
}

func (l layout) index() uint64 { return (l.slots*slotSize + pageSize - 1) / pageSize * pageSize }
func (l layout) data() uint64  { return pageSize + l.index() }
func (l layout) end() uint64   { return l.data() + l.capacity } // where the trailer begins
func (l layout) size() uint64  { return l.end() + pageSize }

func (l layout) valid() bool {
	return l.capacity >= minCapacity && l.capacity <= maxCapacity && l.capacity%pageSize == 0 &&
		l.slots == l.capacity/bytesPerSlot
}

// Info is the part of a header that never changes.
type Info struct {
	Identity record.Identity
	Prefix   string // of the subject
	Created  time.Time
	PID      int // of the owner

	layout layout
}

// encode writes the static part of a header.
func (i Info) encode(page []byte) error {
	id := i.Identity
	names := [...]string{id.App, id.Worker, id.Run, i.Prefix}
	n := 0
	for _, s := range names {
		n += len(s)
	}
	if n > maxNames {
		return fmt.Errorf("app, worker, run and prefix are %d bytes long, more than %d", n, maxNames)
	}
	copy(page, magic[:])
	binary.LittleEndian.PutUint64(page[8:], i.layout.capacity)
	binary.LittleEndian.PutUint64(page[16:], i.layout.slots)
	binary.LittleEndian.PutUint64(page[24:], uint64(i.Created.UnixNano()))
	binary.LittleEndian.PutUint32(page[32:], uint32(i.PID))
	at := namesAt
	for k, s := range names {
		binary.LittleEndian.PutUint16(page[36+2*k:], uint16(len(s)))
		at += copy(page[at:], s)
	}
	binary.LittleEndian.PutUint32(page[staticSize-4:], crc32.Checksum(page[:staticSize-4], castagnoli))
	return nil
}

func decodeInfo(page []byte) (Info, error) {
	if len(page) < pageSize || [8]byte(page[:8]) != magic {
		return Info{}, ErrUnreadable
	}
	if binary.LittleEndian.Uint32(page[staticSize-4:]) != crc32.Checksum(page[:staticSize-4], castagnoli) {
		return Info{}, ErrUnreadable
	}
	i := Info{
		Created: time.Unix(0, int64(binary.LittleEndian.Uint64(page[24:]))),
		PID:     int(int32(binary.LittleEndian.Uint32(page[32:]))),
		layout: layout{
			capacity: binary.LittleEndian.Uint64(page[8:]),
			slots:    binary.LittleEndian.Uint64(page[16:]),
		},
	}
	at := namesAt
	for k, s := range []*string{&i.Identity.App, &i.Identity.Worker, &i.Identity.Run, &i.Prefix} {
		n := int(binary.LittleEndian.Uint16(page[36+2*k:]))
		if at+n > staticSize-4 {
			return Info{}, ErrUnreadable
		}
		*s = string(page[at : at+n])
		at += n
	}
	if !i.layout.valid() {
		return Info{}, ErrUnreadable
	}
	return i, nil
}

// A cell is a number of 48 bits, kept twice, each with a check of its own. One
// 64-bit store changes a copy, so a process that is killed between any two
// instructions leaves copies that are valid; a damaged one is not. (A run that
// logged a million records a second would fill 48 bits in nine years.)
type cell struct{ a, b *uint64 }

func (c cell) load() uint64 { return atomic.LoadUint64(c.a) >> 16 }

// store is for the cell's one writer at a time. Only whoever opens the file
// after its owner's death reads the second copy.
func (c cell) store(v uint64) {
	w := pack(v)
	atomic.StoreUint64(c.a, w)
	*c.b = w
}

func pack(v uint64) uint64 { return v<<16 | uint64(check(v)) }

func unpack(w uint64) (v uint64, ok bool) {
	v = w >> 16
	return v, uint16(w) == check(v)
}

// check is a multiplicative hash: a change of any one byte of v changes it, see
// the test. The constant added makes a word of zeros invalid.
func check(v uint64) uint16 { return uint16(v*0x9E3779B97F4A7C15>>48) + 0xA5C3 }

// cellIn returns the cell in the ring's memory.
func cellIn(mem []byte, l layout, i int) cell {
	at := cellsAt + 8*uint64(i)
	return cell{
		a: (*uint64)(unsafe.Pointer(&mem[at])),
		b: (*uint64)(unsafe.Pointer(&mem[l.end()+at])),
	}
}

// A slot is an entry of the index.
type slot struct {
	seq      uint64
	off, len uint32
}

func decodeSlot(b []byte) slot {
	_ = b[slotSize-1]
	return slot{
		seq: binary.LittleEndian.Uint64(b),
		off: binary.LittleEndian.Uint32(b[12:]),
		len: binary.LittleEndian.Uint32(b[16:]),
	}
}

// encode writes the slot of the record with this ordinal, but for its checksum.
func (s slot) encode(b []byte, ordinal uint64) {
	_ = b[slotSize-1]
	binary.LittleEndian.PutUint64(b, s.seq)
	binary.LittleEndian.PutUint32(b[8:], uint32(ordinal))
	binary.LittleEndian.PutUint32(b[12:], s.off)
	binary.LittleEndian.PutUint32(b[16:], s.len)
}
