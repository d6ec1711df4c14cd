package logfile

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// choose returns the checkpoint to go on from: the last one, unless a power cut
// took bytes that it states. Then it is the latest one up to which everything in
// the files is what was written. Only what was not yet known to be on the disk
// can have been lost in that way, so that is how far back it goes; what is
// missing beyond that is damage.
//
// The table of runs goes back with the files (I6), so that the records that
// were lost are missed, counted and told when the publishers go on.
func (r *recovery) choose() uint64 {
	h := r.history
	number := h.number
	for _, p := range r.pasts() {
		if n := p.until(r.fits); n >= h.floor {
			number = min(number, n)
		}
	}
	// A checkpoint, not just a number before which something happened.
	at := h.floor
	for _, c := range h.entries {
		if c.number <= number {
			at = max(at, c.number)
		}
	}
	at = min(at, h.number)
	switch told := r.told(); {
	case at < told:
		r.report(Event{Kind: PowerCut, Path: r.store.main.path, Detail: fmt.Sprintf(
			"checkpoint %d instead of %d: %s", at, told, lostBetween(h.at(at), h.at(told)))})
	case at < h.newest:
		r.report(Event{Kind: PassedOver, Path: r.store.main.path, Detail: fmt.Sprintf(
			"checkpoint %d instead of %d, of which not all bytes are there; unless the disk had said that they are, it was not acknowledged", at, h.newest)})
	}
	return at
}

// told is the last checkpoint that somebody may have been told of before it was on the disk.
func (r *recovery) told() uint64 {
	h := r.history
	told := h.newest
	for _, c := range slices.Backward(h.entries) {
		if c.number > told {
			continue
		}
		if !c.awaited {
			break
		}
		told = c.previous
	}
	return told
}

// sameMedium reports whether nothing that was written can have been lost to a
// power cut: what keeps unsynced bytes has not changed since.
func (r *recovery) sameMedium() bool {
	medium := r.history.medium()
	return medium != "" && medium == r.store.main.dir.Medium()
}

// lostBetween says what the later state has that the earlier one has not.
func lostBetween(earlier, later *state) string {
	var records uint64
	runs := 0
	for id, r := range later.runs {
		if e := earlier.runs[id]; r.Last > e.Last {
			records += r.Last - e.Last
			runs++
		}
	}
	return fmt.Sprintf("%d acknowledged records of %d runs are lost", records, runs)
}

// past is what the checkpoints said of one file, oldest first.
type past struct{ steps []step }

type step struct {
	number uint64    // 0: at the checkpoint that is on the disk
	st     fileState // length 0: nothing to be found
}

// until is the last checkpoint up to which the file is what was written.
func (p *past) until(fits func(*fileState) bool) uint64 {
	for _, s := range p.steps {
		if !fits(&s.st) {
			return max(s.number, 1) - 1
		}
	}
	return math.MaxUint64
}

// pasts collects the files' pasts, from the checkpoint that is known to be on
// the disk onwards. A generation that was rotated since is a past of its own.
// Where there was no power cut only awaited checkpoints are of interest: a
// sync may have failed, and the process may have died before it withdrew them.
func (r *recovery) pasts() []past {
	h := r.history
	same := r.sameMedium()
	byPath := map[string]*past{}
	var retired []past
	note := func(number uint64, st fileState) {
		if st.unsynced {
			st.length = 0 // never asked to be on the disk
		}
		if st.retired {
			retired = append(retired, past{steps: []step{{number, st}}})
			return
		}
		p := byPath[st.path]
		if p == nil {
			p = &past{}
			byPath[st.path] = p
		}
		p.steps = append(p.steps, step{number, st})
	}
	if !same {
		floor := h.at(h.floor)
		for _, path := range sortedKeys(floor.files) {
			note(0, floor.files[path])
		}
		for _, st := range floor.retired {
			note(0, st)
		}
	}
	for _, c := range h.entries {
		if c.number <= h.floor || c.number > h.number || same && !c.awaited {
			continue
		}
		for _, st := range c.files {
			note(c.number, st)
		}
	}
	for _, path := range sortedKeys(byPath) {
		retired = append(retired, *byPath[path])
	}
	return retired
}

// fits reports whether the bytes that a checkpoint says a file has are there. A
// file that is not there at all is none that a power cut took: before the
// journal has a generation, its name is on the disk.
func (r *recovery) fits(st *fileState) bool {
	if st.length == 0 || st.absent {
		return true
	}
	d, name, err := r.folder(st)
	if err != nil {
		return true
	}
	p, err := locate(d, name, st)
	return err != nil || p.fit == fits || p.fit == nowhere
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
