package logfile

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"
)

// An entry of the journal. All integers are little endian.
//
//	marker   4 bytes  "LBj" and the version of the format, 1
//	length   u32      of the payload
//	number   u64      grows with every entry, never used twice
//	previous u64      the number of the entry that this one follows
//	check    u32      CRC32C of the fields above
//	crc      u32      CRC32C of the payload
//	payload
//
// The payload. Counts and numbers are unsigned varints, strings are a length
// and bytes. All values are absolute, so that an entry that cannot be read does
// not spoil the later ones.
//
//	kind     byte     1: what changed; 2: everything there is (a snapshot);
//	                  3: what changed, and nobody was told of it before it was on the disk
//	durable           the number up to which everything is known to be on the disk
//	runs              count, then id, subject, last, dropped, lost, excess, flags, changed
//	evicted           count, then id
//	files             count, then path, generation, length, device, inode,
//	                  tail length, tail CRC (u32), born (Unix seconds), flags, since
//	medium            text, empty if it is as before
//	source            0, or 3 and name, created (Unix nanoseconds), seq, time (likewise);
//	                  1 is the same without the time, from before it was kept
//	days              only where there are any: count, then date (days since 1970), number
const (
	entryMarker  = "LBj\x01"
	entryHeader  = 32
	maxEntry     = 256 << 20
	kindDelta    = 1
	kindSnapshot = 2
	kindAwaited  = 3
	flagEnded    = 1
	flagRebuilt  = 2
	flagRetired  = 1
	flagUnsynced = 2
	flagAbsent   = 4
	flagSource   = 1
	flagTime     = 2
)

// appendEntry encodes c, header and payload.
func appendEntry(dst []byte, c *checkpoint) []byte {
	start := len(dst)
	dst = append(dst, entryMarker...)
	dst = append(dst, make([]byte, entryHeader-len(entryMarker))...)
	dst = appendPayload(dst, c)

	header, payload := dst[start:start+entryHeader], dst[start+entryHeader:]
	binary.LittleEndian.PutUint32(header[4:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(header[8:], c.number)
	binary.LittleEndian.PutUint64(header[16:], c.previous)
	binary.LittleEndian.PutUint32(header[24:], crc32.Checksum(header[:24], castagnoli))
	binary.LittleEndian.PutUint32(header[28:], crc32.Checksum(payload, castagnoli))
	return dst
}

func appendPayload(dst []byte, c *checkpoint) []byte {
	kind := byte(kindDelta)
	switch {
	case c.snapshot:
		kind = kindSnapshot
	case c.awaited:
		kind = kindAwaited
	}
	dst = append(dst, kind)
	dst = binary.AppendUvarint(dst, c.durable)

	dst = binary.AppendUvarint(dst, uint64(len(c.runs)))
	for i := range c.runs {
		r := &c.runs[i]
		dst = appendText(dst, r.id)
		dst = appendText(dst, r.Subject)
		dst = binary.AppendUvarint(dst, r.Last)
		dst = binary.AppendUvarint(dst, r.Dropped)
		dst = binary.AppendUvarint(dst, r.Lost)
		dst = binary.AppendUvarint(dst, r.Excess)
		var flags byte
		if r.Ended {
			flags |= flagEnded
		}
		if r.Rebuilt {
			flags |= flagRebuilt
		}
		dst = append(dst, flags)
		dst = binary.AppendUvarint(dst, r.changed)
	}

	dst = binary.AppendUvarint(dst, uint64(len(c.evicted)))
	for _, id := range c.evicted {
		dst = appendText(dst, id)
	}

	dst = binary.AppendUvarint(dst, uint64(len(c.files)))
	for i := range c.files {
		f := &c.files[i]
		dst = appendText(dst, f.path)
		dst = binary.AppendUvarint(dst, f.generation)
		dst = binary.AppendUvarint(dst, uint64(f.length))
		dst = binary.AppendUvarint(dst, f.id.Device)
		dst = binary.AppendUvarint(dst, f.id.Inode)
		dst = binary.AppendUvarint(dst, uint64(f.tail.length))
		dst = binary.LittleEndian.AppendUint32(dst, f.tail.crc)
		dst = binary.AppendVarint(dst, f.born)
		var flags byte
		if f.retired {
			flags |= flagRetired
		}
		if f.unsynced {
			flags |= flagUnsynced
		}
		if f.absent {
			flags |= flagAbsent
		}
		dst = append(dst, flags)
		dst = binary.AppendUvarint(dst, f.since)
	}

	dst = appendText(dst, c.medium)
	dst = appendSource(dst, c.source)
	if len(c.days) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(c.days)))
		for _, d := range c.days {
			dst = binary.AppendVarint(dst, d.date)
			dst = binary.AppendUvarint(dst, d.number)
		}
	}
	return dst
}

func appendSource(dst []byte, s *Source) []byte {
	if s == nil {
		return append(dst, 0)
	}
	dst = append(dst, flagSource|flagTime)
	dst = appendText(dst, s.Stream)
	dst = appendTime(dst, s.Created)
	dst = binary.AppendUvarint(dst, s.Seq)
	return appendTime(dst, s.Time)
}

// appendTime keeps a time to the nanosecond; the zero time is 0.
func appendTime(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(dst, 0)
	}
	return binary.AppendVarint(dst, t.UnixNano())
}

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

var (
	errNoEntry   = errors.New("no journal entry here")
	errCutEntry  = errors.New("journal entry is cut off")
	errBadEntry  = errors.New("journal entry has a wrong checksum")
	errMalformed = errors.New("journal entry is malformed")
)

// decodeEntry reads the entry that data begins with and returns its size.
func decodeEntry(data []byte) (*checkpoint, int, error) {
	marker := data[:min(len(data), len(entryMarker))]
	if string(marker) != entryMarker[:len(marker)] {
		return nil, 0, errNoEntry
	}
	if len(data) < entryHeader {
		return nil, 0, errCutEntry
	}
	header := data[:entryHeader]
	if crc32.Checksum(header[:24], castagnoli) != binary.LittleEndian.Uint32(header[24:]) {
		return nil, 0, errBadEntry
	}
	length := binary.LittleEndian.Uint32(header[4:])
	if length > maxEntry {
		return nil, 0, errMalformed
	}
	if uint64(len(data)-entryHeader) < uint64(length) {
		return nil, 0, errCutEntry
	}
	payload := data[entryHeader : entryHeader+int(length)]
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(header[28:]) {
		return nil, 0, errBadEntry
	}
	c := &checkpoint{
		number:   binary.LittleEndian.Uint64(header[8:]),
		previous: binary.LittleEndian.Uint64(header[16:]),
	}
	d := decoder{rest: payload}
	d.checkpoint(c)
	if d.failed || len(d.rest) != 0 || c.number == 0 && !c.snapshot || c.previous >= c.number && !c.snapshot {
		return nil, 0, errMalformed
	}
	return c, entryHeader + int(length), nil
}

// decoder reads a payload; after the first thing that does not fit, it gives
// zeros and failed is set.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) checkpoint(c *checkpoint) {
	switch d.byte() {
	case kindDelta:
	case kindSnapshot:
		c.snapshot = true
	case kindAwaited:
		c.awaited = true
	default:
		d.failed = true
	}
	c.durable = d.uint()
	for range d.count(8) {
		var r runState
		r.id, r.Subject = d.text(), d.text()
		r.Last, r.Dropped, r.Lost, r.Excess = d.uint(), d.uint(), d.uint(), d.uint()
		flags := d.flags(flagEnded | flagRebuilt)
		r.Ended, r.Rebuilt = flags&flagEnded != 0, flags&flagRebuilt != 0
		r.changed = d.uint()
		c.runs = append(c.runs, r)
	}
	for range d.count(1) {
		c.evicted = append(c.evicted, d.text())
	}
	for range d.count(13) {
		var f fileState
		f.path, f.generation = d.text(), d.uint()
		length := d.uint()
		if length > math.MaxInt64 {
			d.failed = true
		}
		f.length = int64(length)
		f.id = FileID{Device: d.uint(), Inode: d.uint()}
		n := d.uint()
		if n > length || n > math.MaxUint32 {
			d.failed = true
		}
		f.tail = tail{length: uint32(n), crc: d.uint32()}
		f.born = d.int()
		flags := d.flags(flagRetired | flagUnsynced | flagAbsent)
		f.retired, f.unsynced, f.absent = flags&flagRetired != 0, flags&flagUnsynced != 0, flags&flagAbsent != 0
		f.since = d.uint()
		c.files = append(c.files, f)
	}
	c.medium = d.text()
	if has := d.flags(flagSource | flagTime); has != 0 {
		c.source = &Source{Stream: d.text(), Created: d.time(), Seq: d.uint()}
		if has&flagTime != 0 {
			c.source.Time = d.time()
		}
	}
	if len(d.rest) > 0 {
		n := d.count(2)
		if n == 0 {
			d.failed = true
		}
		for range n {
			c.days = append(c.days, day{date: d.int(), number: d.uint()})
		}
	}
}

func (d *decoder) fail() {
	d.failed = true
	d.rest = nil
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail()
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) flags(known byte) byte {
	b := d.byte()
	if b&^known != 0 {
		d.fail()
	}
	return b
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) time() time.Time {
	if v := d.int(); v != 0 {
		return time.Unix(0, v).UTC()
	}
	return time.Time{}
}

func (d *decoder) uint32() uint32 {
	if len(d.rest) < 4 {
		d.fail()
		return 0
	}
	v := binary.LittleEndian.Uint32(d.rest)
	d.rest = d.rest[4:]
	return v
}

// count reads a count of things that take at least size bytes each, so that a
// wrong one cannot make us allocate.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.rest)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.uint()
	if n > uint64(len(d.rest)) {
		d.fail()
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}
