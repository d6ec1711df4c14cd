package ring

import "github.com/logbraid/logbraid/pkg/record"

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
	last, end := first, first.off+first.len
	ordinal++
	n := 1
	for ; ordinal < tail && n < maxRecords && !r.bad[ordinal]; ordinal++ {
		s := decodeSlot(r.slot(ordinal))
		if s.off != end || uint64(end-first.off)+uint64(s.len) > uint64(maxBytes) {
			break
		}
		end += s.len
		last = s
		n++
	}
	return r.data[first.off:end:end], record.Batch{
		Run:     r.info.Identity.Run,
		First:   first.seq,
		Last:    last.seq,
		Count:   n,
		Dropped: last.seq - ordinal + r.rejected(),
		Oldest:  decodeSlot(r.slot(head)).seq,
	}, true
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
	tail := r.tailCell.load()
	next := r.headCell.load()
	for next < tail && decodeSlot(r.slot(next)).seq <= last {
		next = r.skipBad(next+1, tail)
		n++
	}
	if n > 0 {
		r.headCell.store(next)
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
