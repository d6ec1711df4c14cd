package ring

import (
	"sort"

	"github.com/logbraid/logbraid/pkg/record"
)

// Next returns the oldest lines that are held and lie in one piece: at most
// maxBytes and maxRecords of them, but always one if there is any. The batch
// lacks only its CRC. The payload is constant until it is released; it must not
// be used afterwards.
func (r *Ring) Next(maxBytes, maxRecords int) (payload []byte, b record.Batch, ok bool) {
	return r.NextBehind(0, maxBytes, maxRecords)
}

// NextBehind is Next without the oldest skip records, which are under way.
func (r *Ring) NextBehind(skip, maxBytes, maxRecords int) (payload []byte, b record.Batch, ok bool) {
	tail := r.tailCell.load()
	head := r.headCell.load()
	ordinal := head + uint64(skip)
	if ordinal >= tail || r.bad[ordinal] {
		return nil, record.Batch{}, false
	}
	first := decodeSlot(r.slot(ordinal))
	next := r.firstBeyond(ordinal+1, min(tail, ordinal+uint64(max(maxRecords, 1))), func(s slot) bool {
		return s.off < first.off || uint64(s.off-first.off)+uint64(s.len) > uint64(maxBytes)
	})
	last := decodeSlot(r.slot(next - 1))
	end := last.off + last.len
	return r.data[first.off:end:end], record.Batch{
		Run:     r.info.Identity.Run,
		First:   first.seq,
		Last:    last.seq,
		Count:   int(next - ordinal),
		Dropped: last.seq - next + r.rejected(),
		Oldest:  decodeSlot(r.slot(head)).seq,
	}, true
}

// firstBeyond returns the first ordinal from o on whose slot is beyond something, and end if none is. It looks at a few of them only, since
// those that are beyond come last: seqs grow, and offsets do but for one place, where a line has gone to the front because it did not fit
// behind the others. It stops at a damaged record, whose slot says anything.
func (r *Ring) firstBeyond(o, end uint64, beyond func(slot) bool) uint64 {
	if len(r.bad) > 0 {
		for o < end && !r.bad[o] && !beyond(decodeSlot(r.slot(o))) {
			o++
		}
		return o
	}
	return o + uint64(sort.Search(int(end-o), func(i int) bool { return beyond(decodeSlot(r.slot(o + uint64(i)))) }))
}

// rejected is the number of records that were discarded: they had a seq and an
// ordinal, all before head, and count as dropped from then on.
func (r *Ring) rejected() (n uint64) {
	for level := range r.dropCells {
		n += r.dropCells[level][Rejected].load()
	}
	return n
}

// Release gives back the room of all records up to the seq last, and returns how
// many there were. Only an acknowledgement that covers them justifies it (I3).
func (r *Ring) Release(last uint64) (n int) {
	tail, head := r.tailCell.load(), r.headCell.load()
	for {
		next := r.firstBeyond(head, tail, func(s slot) bool { return s.seq > last })
		n += int(next - head)
		if head = r.skipBad(next, tail); head == next {
			break
		}
	}
	if n > 0 {
		r.headCell.store(head)
	}
	return n
}

// Discard gives up the oldest record, which the collector refuses for ever, and
// counts it as Rejected. It returns the record's level, 0 if that is unknown.
func (r *Ring) Discard() (level record.Level, ok bool) {
	head, tail := r.headCell.load(), r.tailCell.load()
	if head == tail {
		return 0, false
	}
	s := decodeSlot(r.slot(head))
	if h, ok := record.ScanHead(r.data[s.off : s.off+s.len]); ok {
		level = h.Level
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// Head first: a process that is killed between the two leaves a record that
	// counts as lost, never a count of one that is still held.
	r.headCell.store(r.skipBad(head+1, tail))
	r.countLocked(level, Rejected, 1)
	return level, true
}
