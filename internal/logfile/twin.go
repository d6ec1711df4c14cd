package logfile

import "fmt"

// A journal file that was cut leaves no trace in itself: what is left is whole.
// Only beside its twin it shows, and then it must be told from what a crash
// leaves, for that is nothing to report:
//
//   - A process that is killed leaves one file at most one entry behind the
//     other, for an entry is written to the first, then to the second, and no
//     entry before both have the last.
//   - A power cut takes what was not synced, from either. What was, follows from
//     the entries themselves.
//   - Neither leaves a file empty, or none where the other has entries: a file
//     gets its name when it is on the disk with all that it begins with, and
//     nothing is appended before both have theirs.

// cut says what is missing in the files that no crash can have taken; empty
// strings if nothing is.
func (h *history) cut(sameMedium bool) (said [2]string) {
	for i := range h.sides {
		side, other := &h.sides[i], &h.sides[1-i]
		switch {
		case other.last() == 0:
			continue // nothing was ever appended, as far as the other knows
		case !side.exists:
			said[i] = "the file is missing"
			continue
		case !side.header:
			continue // that is said already
		case len(side.entries) == 0:
			said[i] = fmt.Sprintf("the file was cut to %d bytes, which no crash does", side.end+side.torn)
			continue
		}
		missing, synced := h.lacking(i)
		if synced > 0 || sameMedium && missing > 1 {
			said[i] = fmt.Sprintf("%d entries that the other copy has are missing, more than a crash can take", max(missing, synced))
		}
	}
	return said
}

// lacking counts the entries of the history that one file does not have, and how
// many of them were on the disk in it.
func (h *history) lacking(i int) (missing, synced int) {
	has := map[uint64]bool{}
	from := uint64(0)
	for _, c := range h.sides[i].entries {
		if c.snapshot {
			from = max(from, c.number)
		}
		has[c.number] = true
	}
	upTo := h.syncedIn(i)
	for _, c := range h.entries {
		if c.number <= from || has[c.number] {
			continue
		}
		missing++
		if c.number <= upTo {
			synced++
		}
	}
	return missing, synced
}

// syncedIn is the last entry that is known to have been on the disk in a file, or
// 0.
//
// A later entry states how far a sync came. One by interval takes both files with
// it, that of an entry that is awaited only the first. An entry that states itself
// is of FSYNC never, and then none was synced, nor need what is before it have
// been; or of FSYNC always from before entries were marked as awaited.
func (h *history) syncedIn(i int) uint64 {
	upTo := uint64(0)
	for n, c := range h.entries {
		if c.awaited && i == 1 {
			return 0
		}
		if c.durable == c.number {
			if i == 1 || !c.wantsSync() {
				return 0
			}
			if n == len(h.entries)-1 {
				break // the last may be one whose sync failed
			}
		}
		upTo = max(upTo, c.durable)
	}
	return upTo
}

// wantsSync reports whether a file of c has a policy other than never.
func (c *checkpoint) wantsSync() bool {
	for i := range c.files {
		if f := &c.files[i]; !f.unsynced && !f.absent {
			return true
		}
	}
	return false
}
