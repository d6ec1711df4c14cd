package record

import "slices"

// A Prefix is a beginning of fields encoded once and shared by many records, as slog's WithAttrs
// and WithGroup ask for. It does not change after it was made and is safe for concurrent use.
type Prefix struct {
	text                []byte
	keys                []span  // offsets within text
	groups              []group // offsets within text
	skip, errors        int
	errv, stack, caller []byte
	steps               []func(*Line)
}

// NewPrefix returns parent, which may be nil, followed by what build adds to the Line that it is
// given: fields, groups that it opens and leaves open, Err, Stack. build must not keep the Line,
// and must be repeatable.
func NewPrefix(parent *Prefix, build func(*Line)) *Prefix {
	l := GetLine()
	defer l.Free()
	l.reset()
	l.buf = append(l.buf, '"') // what a head ends with: the first key sees that it needs a comma
	p := &Prefix{}
	if parent != nil {
		l.Prefix(parent)
		p.steps = slices.Clip(parent.steps)
	}
	build(l)
	p.steps = append(p.steps, build)
	p.text = slices.Clone(l.buf[1:])
	p.keys = slices.Clone(l.keys)
	p.groups = slices.Clone(l.groups)
	shift(p.keys, p.groups, -1)
	p.skip, p.errors = l.skip, l.errors
	p.errv, p.stack, p.caller = slices.Clone(l.errv), slices.Clone(l.stack), slices.Clone(l.caller)
	return p
}

// Prefix adds p's fields and opens its groups. It belongs right after Start, where it is a copy;
// elsewhere p is built anew.
func (l *Line) Prefix(p *Prefix) {
	if p == nil {
		return
	}
	if len(l.keys) > 0 || len(l.groups) > 0 || len(l.errv) > 0 {
		for _, step := range p.steps {
			step(l)
		}
		return
	}
	at := len(l.buf)
	l.buf = append(l.buf, p.text...)
	l.keys = append(l.keys, p.keys...)
	l.groups = append(l.groups, p.groups...)
	shift(l.keys, l.groups, at)
	l.habit.behind(p, len(l.keys))
	l.skip, l.errors = p.skip, p.errors
	l.errv = append(l.errv, p.errv...)
	if len(p.stack) > 0 {
		l.stack = append(l.stack[:0], p.stack...)
	}
	if len(p.caller) > 0 {
		l.caller = append(l.caller[:0], p.caller...)
	}
	if len(l.keys) > indexFrom {
		l.buildIndex()
	}
}

func shift(keys []span, groups []group, by int) {
	for i := range keys {
		keys[i].off += by
	}
	for i := range groups {
		groups[i].start += by
	}
}
