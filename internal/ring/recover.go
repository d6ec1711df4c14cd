package ring

import (
	"encoding/binary"
	"math"
)

// recover finds out what the ring holds. What the header says is checked against
// the records, which speak for themselves: each is whole or it is not.
func (r *Ring) recover() Damage {
	var d Damage
	// read takes a cell's copies; pick chooses where both are valid and differ,
	// as a process that was killed between the two leaves them.
	read := func(c cell, pick func(a, b uint64) uint64) (v uint64, ok bool) {
		a, okA := unpack(*c.a)
		b, okB := unpack(*c.b)
		d.Header = d.Header || !okA || !okB
		switch {
		case okA && okB:
			return pick(a, b), true
		case okA:
			return a, true
		}
		return b, okB
	}
	least := func(a, b uint64) uint64 { return min(a, b) }
	most := func(a, b uint64) uint64 { return max(a, b) }

	// Below trusted a record that is not whole was released, and its room used
	// again, before the newest head that we have was written. From there on it
	// is damage.
	head, okHead := read(r.headCell, least)
	trusted, _ := read(r.headCell, most)
	tail, okTail := read(r.tailCell, most)
	if !okHead {
		head, trusted = 0, 0
	}
	if !okTail {
		tail = r.lastWhole(head)
	}
	tail = max(tail, trusted)
	if !okHead {
		trusted = tail
	}
	for r.intact(tail) {
		tail++ // admitted, but its owner did not live to say so
	}
	head = max(head, tail-min(tail, r.slots))

	r.bad = map[uint64]bool{}
	var last slot
	behind := uint64(0) // the ordinal after last
	for o := head; o < tail; o++ {
		if r.intact(o) {
			last, behind = decodeSlot(r.slot(o)), o+1
			continue
		}
		r.bad[o] = true
		if o >= trusted {
			d.Records++
		}
	}
	r.end = uint64(last.off) + uint64(last.len)
	r.headCell.store(r.skipBad(head, tail))
	r.tailCell.store(tail)

	for level := range r.dropCells {
		for reason, c := range r.dropCells[level] {
			v, _ := read(c, most)
			c.store(v)
			if Reason(reason) != Rejected {
				r.dropped += v
			}
		}
	}
	// The newest record's seq says how many were dropped before it.
	if last.seq > behind+r.dropped {
		d.Header = true
		r.countLocked(0, Unknown, last.seq-behind-r.dropped)
		r.dropped = last.seq - behind
	}
	for _, c := range []cell{r.stateCell, r.told, r.through} {
		v, _ := read(c, most)
		c.store(v)
	}
	return d
}

// skipBad is the first ordinal from o on whose record is whole, or tail.
func (r *Ring) skipBad(o, tail uint64) uint64 {
	for o < tail && r.bad[o] {
		o++
	}
	return o
}

// lastWhole is the ordinal behind the newest whole record, for a ring whose tail
// is damaged. head, if it is known, gives the bits of an ordinal that a slot does
// not keep.
func (r *Ring) lastWhole(head uint64) uint64 {
	next := head
	for at := range r.slots {
		o := head&^math.MaxUint32 | uint64(binary.LittleEndian.Uint32(r.slot(at)[8:]))
		if o < head {
			o += 1 << 32
		}
		if o >= next && o%r.slots == at && r.intact(o) {
			next = o + 1
		}
	}
	return next
}
