package ring

import (
	"encoding/binary"
	"fmt"
	"os"
)

// Glance tells whose ring the file is and how full, while its owner, if it
// lives, goes on using it. It takes no lock and changes nothing. The numbers are
// those of one moment each: Held may be off by what was appended or released
// between two of them. Used is not told.
func Glance(path string) (Info, Stats, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return Info{}, Stats{}, fmt.Errorf("open buffer file: %w", err)
	}
	defer func() { _ = f.Close() }()
	page := make([]byte, pageSize)
	if _, err := f.ReadAt(page, 0); err != nil {
		return Info{}, Stats{}, fmt.Errorf("read buffer file: %w", err)
	}
	info, err := decodeInfo(page)
	if err != nil {
		return Info{}, Stats{}, fmt.Errorf("read buffer file %s: %w", path, err)
	}
	// head is read from the same page as tail, so it is never ahead of it. A
	// check that fails is damage: a store changes all eight bytes at once.
	damaged := false
	cell := func(i int) uint64 {
		v, ok := unpack(binary.NativeEndian.Uint64(page[cellsAt+8*i:]))
		damaged = damaged || !ok
		return v
	}
	head, tail := cell(cellHead), cell(cellTail)
	s := Stats{Admitted: tail, Held: tail - min(head, tail), Last: tail, Capacity: int(info.layout.capacity), Sealed: cell(cellState) != stateOpen}
	for level := range s.Dropped {
		for reason := range s.Dropped[level] {
			n := cell(cellDrops + level*reasons + reason)
			s.Dropped[level][reason] = n
			if Reason(reason) != Rejected {
				s.Last += n
			}
		}
	}
	if damaged {
		return info, Stats{}, fmt.Errorf("read buffer file %s: %w", path, ErrUnreadable)
	}
	return info, s, nil
}
