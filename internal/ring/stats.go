package ring

// Stats are a ring's numbers, of one moment.
type Stats struct {
	Last     uint64 // the last seq given
	Admitted uint64 // records that were taken
	Held     uint64 // of those, not yet released
	Dropped  [levels][reasons]uint64
	Used     int  // bytes
	Capacity int  // bytes
	Sealed   bool // the owner has ended the run
}

// Drops is the number of records dropped, with those that were taken and then rejected.
func (s *Stats) Drops() (n uint64) {
	for _, reasons := range s.Dropped {
		for _, k := range reasons {
			n += k
		}
	}
	return n
}

// Stats can be called at any time, also after Close.
func (r *Ring) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.statsLocked()
}

func (r *Ring) statsLocked() Stats {
	if r.final != nil {
		return *r.final
	}
	head, tail := r.headCell.load(), r.tailCell.load()
	s := Stats{
		Last:     tail + r.dropped,
		Admitted: tail,
		Held:     tail - head,
		Used:     int(r.usedLocked(head, tail)),
		Capacity: len(r.data),
		Sealed:   r.stateCell.load() == stateSealed,
	}
	for level := range r.dropCells {
		for reason := range r.dropCells[level] {
			s.Dropped[level][reason] = r.dropCells[level][reason].load()
		}
	}
	return s
}

// Progress counts records since the run began: everything admitted by now is
// acknowledged when released has reached what admitted is now.
func (r *Ring) Progress() (admitted, released uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.final != nil {
		return r.final.Admitted, r.final.Admitted - r.final.Held
	}
	return r.tailCell.load(), r.headCell.load()
}

// Fill is how many percent of the ring are in use.
func (r *Ring) Fill() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.final != nil {
		return 0
	}
	head, tail := r.headCell.load(), r.tailCell.load()
	return int(max(r.usedLocked(head, tail)*100/uint64(len(r.data)), (tail-head)*100/r.slots))
}

// usedLocked is the number of bytes between the oldest line and the end of the
// newest, with what was skipped at the end of the data.
func (r *Ring) usedLocked(head, tail uint64) uint64 {
	if head == tail {
		return 0
	}
	begin := uint64(decodeSlot(r.slot(head)).off)
	if begin < r.end {
		return r.end - begin
	}
	return uint64(len(r.data)) - begin + r.end
}
