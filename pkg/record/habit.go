package record

// A habit is the keys that the record before had at the top level, in their order. A call's fields have the same names each
// time, so what there is to find out about a key (that it needs no escapes, is none of ours, and did not come yet) holds again
// for as long as all keys before it are the same as well.
type habit struct {
	texts  [maxHabit][]byte // as they stand in a line: ,"rows":
	known  int              // of texts
	met    int              // so many keys of this record are known ones; -1: one was another
	first  int              // keys of the record's Prefix, which stand before them
	prefix *Prefix          // behind which texts were learnt; without one they may repeat its keys
}

const (
	maxHabit    = 16
	maxHabitKey = 64 // bytes; a Line must not hold on to more
)

// begin is for a new record.
func (h *habit) begin() { h.met, h.first = 0, 0 }

// behind tells that the record begins with a prefix of so many keys.
func (h *habit) behind(p *Prefix, keys int) {
	if h.prefix != p {
		h.known, h.prefix = 0, p
	}
	h.first = keys
}

// next returns the text of k, if that is the key that comes now; keys is how many there are already.
func (h *habit) next(k string, keys int) []byte {
	n := h.met
	if n < 0 || n >= h.known || keys != h.first+n {
		return nil
	}
	text := h.texts[n]
	if string(text[len(`,"`):len(text)-len(`":`)]) != k {
		return nil
	}
	h.met++
	return text
}

// learn takes note of k, which is plain, new and none of ours, and of which next knew nothing.
func (h *habit) learn(k string, keys int) {
	n := h.met
	if n < 0 || n == maxHabit || keys != h.first+n || len(k) > maxHabitKey {
		h.end()
		return
	}
	if h.first == 0 {
		h.prefix = nil
	}
	h.texts[n] = append(append(append(h.texts[n][:0], `,"`...), k...), `":`...)
	h.met++
	h.known = h.met
}

// end is for a key that stays unknown: of those behind it, it is not known that they are others.
func (h *habit) end() { h.met = -1 }
