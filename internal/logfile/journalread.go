package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sort"
)

// The journal is kept twice, in journal and journal.copy: every entry is written
// to both. What is damaged in one is read from the other, so that no single
// flipped bit and no single lost file can lose an acknowledged record. Each file
// begins with this header, whose last byte is the version, and goes on with
// entries.
const journalHeader = "logbraid journal\x00\x01"

// scan is what one journal file holds.
type scan struct {
	entries []*checkpoint
	ends    []int64 // of each of entries, in the file
	exists  bool
	header  bool
	// newer: the header names a later version of the format.
	newer bool
	// end is where the next entry belongs: behind the last good one.
	end int64
	// torn counts bytes behind end that are the beginning of an entry: what a
	// crash during the write leaves. No damage.
	torn int64
	// bad lists stretches that are no entries. badEnd: one is behind the last
	// good entry.
	bad    []stretch
	badEnd bool
}

type stretch struct{ from, to int64 }

func (s *scan) damaged() bool { return len(s.bad) > 0 || s.exists && !s.header }

// scanJournal reads all entries that can be read: behind a bad stretch it goes
// on with the next good entry.
func scanJournal(data []byte) scan {
	s := scan{exists: true}
	pos := 0
	switch n := len(journalHeader); {
	case bytes.HasPrefix(data, []byte(journalHeader)):
		s.header = true
		pos = n
	case len(data) < n && string(data) == journalHeader[:len(data)]:
		// Made, but the header did not get to the disk.
		s.header = true
		s.torn = int64(len(data))
		return s
	case len(data) >= n && string(data[:n-1]) == journalHeader[:n-1]:
		s.newer = data[n-1] > journalHeader[n-1]
	}
	s.read(data, pos)
	return s
}

// scanTwin is scanJournal for the second of two files. They are the same but for
// the last entry, unless something is wrong, and then what was read from the
// first need not be decoded again: that is half of the time of a recovery.
func scanTwin(data []byte, first *scan, firstData []byte) scan {
	if !first.header || len(first.bad) > 0 {
		return scanJournal(data)
	}
	same := int64(commonPrefix(data, firstData))
	n := sort.Search(len(first.ends), func(i int) bool { return first.ends[i] > same })
	if n == 0 {
		return scanJournal(data)
	}
	s := scan{exists: true, header: true, entries: slices.Clip(first.entries[:n]), ends: slices.Clip(first.ends[:n])}
	s.read(data, int(s.ends[n-1]))
	return s
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	const step = 4096
	at := 0
	for at+step <= n && bytes.Equal(a[at:at+step], b[at:at+step]) {
		at += step
	}
	for at < n && a[at] == b[at] {
		at++
	}
	return at
}

// read takes the entries from pos on.
func (s *scan) read(data []byte, pos int) {
	s.end = int64(pos)
	for pos < len(data) {
		c, size, err := decodeEntry(data[pos:])
		if err == nil {
			pos += size
			s.entries = append(s.entries, c)
			s.ends = append(s.ends, int64(pos))
			s.end = int64(pos)
			continue
		}
		next := nextEntry(data, pos+1)
		if next < 0 {
			rest := data[pos:]
			if errors.Is(err, errCutEntry) || len(bytes.Trim(rest, "\x00")) == 0 {
				s.torn = int64(len(rest))
			} else {
				s.bad = append(s.bad, stretch{int64(pos), int64(len(data))})
				s.badEnd = true
				s.end = int64(len(data)) // entries behind it are found again
			}
			break
		}
		s.bad = append(s.bad, stretch{int64(pos), int64(next)})
		pos = next
	}
}

// nextEntry finds the next entry that can be read, at from or later, or -1.
func nextEntry(data []byte, from int) int {
	for from < len(data) {
		i := bytes.Index(data[from:], []byte(entryMarker))
		if i < 0 {
			return -1
		}
		if _, _, err := decodeEntry(data[from+i:]); err == nil {
			return from + i
		}
		from += i + 1
	}
	return -1
}

// history is the journal put together from both files.
type history struct {
	sides [2]scan
	// base is the state that entries build on: entries[0].previous, if any.
	base *state
	// entries lead from base to the newest, oldest first.
	entries []*checkpoint
	// number is that of the last checkpoint that can be used. newest is that of
	// the last entry; between the two something is missing. highest is the
	// highest ever used.
	number, newest, highest uint64
	// floor: what is not newer than this checkpoint is known to be on the disk.
	floor uint64
	// missing counts entries that are in neither file, before number.
	missing int
	// found: there is an entry. A journal is never made without one.
	found bool
}

// readJournal reads both files. Damage is not an error; an error means that a
// file could not be read at all, or is of a later version.
func readJournal(dir Dir) (*history, error) {
	h := &history{base: newState()}
	var first []byte
	for i, name := range journalNames {
		data, err := readFile(dir, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("read journal: %w", err)
		case i == 0:
			first = data
			h.sides[i] = scanJournal(data)
		default:
			h.sides[i] = scanTwin(data, &h.sides[0], first)
		}
	}
	h.merge()
	if !h.found && (h.sides[0].newer || h.sides[1].newer) {
		return nil, ErrVersion
	}
	return h, nil
}

// merge puts the entries of both files in order. The last checkpoint is the
// entry with the highest number; each entry names the one that it follows, so an
// entry that was withdrawn after a failed commit is passed over.
func (h *history) merge() {
	deltas := map[uint64]*checkpoint{}
	var snapshot *checkpoint
	for i := range h.sides {
		side := &h.sides[i]
		for _, c := range side.entries {
			h.found = true
			h.highest = max(h.highest, c.number)
			if c.snapshot {
				if snapshot == nil || c.number > snapshot.number {
					snapshot = c
				}
			} else if deltas[c.number] == nil {
				deltas[c.number] = c
			}
		}
	}
	start := uint64(0)
	if snapshot != nil {
		start = snapshot.number
		h.base.apply(snapshot)
		h.floor = snapshot.durable
	}
	numbers := slices.Sorted(maps.Keys(deltas))
	h.number = start
	at := start
	if n := len(numbers); n > 0 && numbers[n-1] > start {
		at = numbers[n-1]
		h.number = at
	}
	h.newest = h.number
	for at > start {
		if c := deltas[at]; c != nil {
			h.entries = append(h.entries, c)
			h.floor = max(h.floor, c.durable)
			at = c.previous
			continue
		}
		// In neither file. If a later entry says that it was on the disk, then it
		// was damaged there; the values of the later ones are absolute, and they
		// hold. Otherwise a power cut took it, and it ends here.
		i, _ := slices.BinarySearch(numbers, at)
		before := start
		if i > 0 {
			before = max(start, numbers[i-1])
		}
		if h.floor >= at {
			h.missing++
		} else {
			h.number = before
			h.missing = 0
		}
		at = before
	}
	slices.Reverse(h.entries)
}

// at is the state at a checkpoint.
func (h *history) at(number uint64) *state {
	s := h.base.clone()
	for _, c := range h.entries {
		if c.number > number {
			break
		}
		s.apply(c)
	}
	return s
}

// medium is what kept unsynced bytes when the last entry was written.
func (h *history) medium() string {
	medium := h.base.medium
	for _, c := range h.entries {
		if c.medium != "" {
			medium = c.medium
		}
	}
	return medium
}

// readFile reads a file of the store whole.
func readFile(dir Dir, name string) ([]byte, error) {
	h, err := dir.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	info, err := h.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size)
	n, err := h.ReadAt(data, 0)
	if err == io.EOF {
		err = nil
	}
	return data[:n], err
}
