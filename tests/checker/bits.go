package checker

// bits is a set of small positive numbers.
type bits []uint64

// add puts n into the set and says whether it was new.
func (b *bits) add(n uint64) bool {
	word := n / 64
	for uint64(len(*b)) <= word {
		*b = append(*b, make([]uint64, word+1-uint64(len(*b))+uint64(len(*b))/2)...)
	}
	was := (*b)[word]
	(*b)[word] |= 1 << (n % 64)
	return was != (*b)[word]
}

func (b bits) has(n uint64) bool {
	return n/64 < uint64(len(b)) && b[n/64]&(1<<(n%64)) != 0
}
