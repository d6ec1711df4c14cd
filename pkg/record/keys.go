package record

import (
	"hash/maphash"
	"strconv"
)

// Keys of one object never come twice. A handful is compared one by one, with no memory of its
// own; a record with more than indexFrom gets an index by hash, so that a record of 30,000
// fields costs what 30,000 fields cost.
const indexFrom = 24

// A span is a key's encoded text in Line.buf, without quotes. again counts its repetitions.
type span struct {
	off, len int
	again    int
}

var keySeed = maphash.MakeSeed()

// find returns the position in keys of the innermost group's key that is k, which needs no
// escapes, or -1. buf is l.buf, or longer. There is no index.
func (l *Line) find(buf []byte, k string) int {
	for i := l.base(len(l.groups)); i < len(l.keys); i++ {
		if s := &l.keys[i]; s.len == len(k) && string(buf[s.off:s.off+s.len]) == k {
			return i
		}
	}
	return -1
}

// unusual notes the key that ends buf, from start to the closing quote, as one of the innermost
// group's, and returns buf. To a key that is taken it appends #2, #3...
func (l *Line) unusual(buf []byte, start int) []byte {
	buf = buf[:len(buf)-1]
	end := len(buf)
	i := l.taken(buf, start)
	for again := i; again >= 0; again = l.taken(buf, start) {
		l.keys[i].again++
		buf = append(buf[:end], '#')
		buf = strconv.AppendInt(buf, int64(l.keys[i].again+1), 10)
	}
	end = len(buf)
	l.keys = append(l.keys, span{off: start, len: end - start})
	l.buf = buf // for the index
	if n := len(l.keys); len(l.index) > 0 {
		l.index[l.hash(start, end, len(l.groups))] = n - 1
	} else if n > indexFrom {
		l.buildIndex()
	}
	return append(buf, '"')
}

// taken returns the position in keys of the innermost group's key that equals buf[start:], or -1.
func (l *Line) taken(buf []byte, start int) int {
	if len(l.index) == 0 {
		return l.find(buf, string(buf[start:]))
	}
	// Equal hashes are taken for equal keys: at worst, once in 2^64, a key gets a needless #2.
	if i, ok := l.index[hashKey(buf[start:], len(l.groups))]; ok {
		return i
	}
	return -1
}

// base returns where the keys of the group at the given depth begin; depth 0 is the record.
func (l *Line) base(depth int) int {
	if depth == 0 {
		return 0
	}
	return l.groups[depth-1].base
}

// forget drops keys[base:], which all belong to the innermost group.
func (l *Line) forget(base, depth int) {
	if len(l.index) > 0 {
		for _, s := range l.keys[base:] {
			delete(l.index, l.hash(s.off, s.off+s.len, depth))
		}
	}
	l.keys = l.keys[:base]
}

func (l *Line) hash(start, end, depth int) uint64 { return hashKey(l.buf[start:end], depth) }

func hashKey(k []byte, depth int) uint64 {
	return maphash.Bytes(keySeed, k) + uint64(depth)*0x9e3779b97f4a7c15
}

func (l *Line) buildIndex() {
	if l.index == nil {
		l.index = make(map[uint64]int, 4*indexFrom)
	}
	depth := 0
	for i, s := range l.keys {
		for depth < len(l.groups) && i >= l.groups[depth].base {
			depth++
		}
		l.index[l.hash(s.off, s.off+s.len, depth)] = i
	}
}
