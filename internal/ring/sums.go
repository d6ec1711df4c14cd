package ring

import "hash/crc32"

// sums begins the checksum of a record: of its line until the seq. The tail, which is the same in every line, is not gone through
// every time. A CRC is linear: a change of a checksum changes that of a continuation in a way that depends on the change and the
// continuation's length alone, so for a constant continuation a table per byte tells it.
type sums struct {
	tables [4][256]uint32
	none   uint32 // what the tail makes of the checksum 0
}

func newSums(tail []byte) *sums {
	s := &sums{none: crc32.Update(0, castagnoli, tail)}
	for i := range s.tables {
		for b := range s.tables[i] {
			s.tables[i][b] = crc32.Update(uint32(b)<<(8*i), castagnoli, tail) ^ s.none
		}
	}
	return s
}

// untilSeq is the checksum of a line before its seq: body, then tail. Where there are no sums it is 0.
func (s *sums) untilSeq(body []byte) uint32 {
	if s == nil {
		return 0
	}
	c := crc32.Checksum(body, castagnoli)
	return s.none ^ s.tables[0][byte(c)] ^ s.tables[1][byte(c>>8)] ^ s.tables[2][byte(c>>16)] ^ s.tables[3][byte(c>>24)]
}
