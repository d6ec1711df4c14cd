package logfile

import "testing"

// A buffer that grew for a collector's largest group, 8 MiB and what append adds, is used again: to grow it anew would copy
// several times what is written.
func TestBufferOfALargeGroupComesBack(t *testing.T) {
	var b buffers
	p := b.take()
	for len(p) < 8<<20 {
		p = append(p, make([]byte, 256<<10)...)
	}
	b.give(p)
	if again := b.take(); cap(again) != cap(p) || len(again) != 0 {
		t.Errorf("%d of %d bytes, %d in use", cap(again), cap(p), len(again))
	}
}
