package record

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// HeaderName is the NATS header that carries a [Batch].
const HeaderName = "Logbraid"

// A Batch says what a message carries: consecutive records of one run. On the wire it is the
// header "Logbraid", its version first:
//
//	1 run=4fK9xQ2LmP first=4211 last=4330 count=118 dropped=2 oldest=4211 crc=1a2b3c4d
//
//	field       meaning
//	first last  seq of the first and the last line of the payload
//	count       lines in the payload; fewer than last-first+1 where the publisher dropped records
//	            in between. The seqs of the lines strictly increase
//	dropped     how many seqs up to last the publisher has dropped in this run, in all
//	oldest      the oldest seq that the publisher still holds, and so can send again
//	crc         CRC-32C (Castagnoli) of the lines, 8 lower-case hex digits
//	enc=s2      the payload is an S2 block of the lines. Absent: it is the lines themselves
//	end=1       the run is over: no payload, count=0, first=last+1, last is the last seq that was
//	            ever given in this run. Absent otherwise
//
// Every field but enc and end is required, none may come twice, and an unknown one is an error: a
// change of meaning gets a new version.
type Batch struct {
	Run     string
	First   uint64
	Last    uint64
	Count   int
	Dropped uint64
	Oldest  uint64
	CRC     uint32
	Enc     string // how the payload is encoded: "" or [S2]
	End     bool
}

// S2 is the encoding of a payload that is one block in the format of github.com/klauspost/compress/s2.
const S2 = "s2"

const (
	wireVersion = "1"
	maxSeq      = 1<<63 - 1 // leaves room for sums
	maxHeader   = 512
)

// AppendHeader appends the header's value.
func (b Batch) AppendHeader(dst []byte) []byte {
	dst = append(dst, wireVersion+" run="...)
	dst = append(dst, b.Run...)
	dst = strconv.AppendUint(append(dst, " first="...), b.First, 10)
	dst = strconv.AppendUint(append(dst, " last="...), b.Last, 10)
	dst = strconv.AppendInt(append(dst, " count="...), int64(b.Count), 10)
	dst = strconv.AppendUint(append(dst, " dropped="...), b.Dropped, 10)
	dst = strconv.AppendUint(append(dst, " oldest="...), b.Oldest, 10)
	dst = append(dst, " crc="...)
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, lowerHex[b.CRC>>shift&15])
	}
	if b.Enc != "" {
		dst = append(append(dst, " enc="...), b.Enc...)
	}
	if b.End {
		dst = append(dst, " end=1"...)
	}
	return dst
}

// ParseBatch reads a header's value. It refuses numbers that contradict each other, so that
// arithmetic on what it returns cannot overflow or go below zero.
func ParseBatch(header string) (Batch, error) {
	b, err := parseBatch(header)
	if err != nil {
		return Batch{}, fmt.Errorf("parse header: %w", err)
	}
	return b, nil
}

func parseBatch(header string) (Batch, error) {
	var b Batch
	if len(header) > maxHeader {
		return b, fmt.Errorf("longer than %d bytes", maxHeader)
	}
	version, rest, more := strings.Cut(header, " ")
	if version != wireVersion {
		return b, fmt.Errorf("version %q is not %q", clip(version, 16), wireVersion)
	}
	const all = 1<<7 - 1
	var seen, bit uint
	for more {
		var item string
		item, rest, more = strings.Cut(rest, " ")
		key, value, _ := strings.Cut(item, "=")
		var err error
		switch key {
		case "run":
			bit = 1 << 0
			if b.Run = value; !validRun(value) {
				err = errors.New("not a run")
			}
		case "first":
			bit = 1 << 1
			b.First, err = parseSeq(value)
		case "last":
			bit = 1 << 2
			b.Last, err = parseSeq(value)
		case "count":
			bit = 1 << 3
			var n uint64
			n, err = parseSeq(value)
			b.Count = int(min(n, 1<<31-1))
		case "dropped":
			bit = 1 << 4
			b.Dropped, err = parseSeq(value)
		case "oldest":
			bit = 1 << 5
			b.Oldest, err = parseSeq(value)
		case "crc":
			bit = 1 << 6
			b.CRC, err = parseCRC(value)
		case "enc":
			bit = 1 << 8
			if b.Enc = value; value != S2 {
				err = errors.New("not s2")
			}
		case "end":
			bit = 1 << 7
			if b.End = value == "1"; !b.End {
				err = errors.New("not 1")
			}
		default:
			err = errors.New("unknown field")
		}
		if err == nil && seen&bit != 0 {
			err = errors.New("comes twice")
		}
		if err != nil {
			return b, fmt.Errorf("%q: %w", clip(item, 64), err)
		}
		seen |= bit
	}
	if seen&all != all {
		return b, errors.New("a field is missing")
	}
	return b, b.consistent()
}

// consistent checks the numbers against each other.
func (b Batch) consistent() error {
	if b.End {
		switch {
		case b.Count != 0 || b.First != b.Last+1 || b.Enc != "":
			return errors.New("an end has count=0, first=last+1 and no encoding")
		case b.Dropped > b.Last:
			return errors.New("more dropped than there were")
		}
		return nil
	}
	if b.First == 0 || b.Last < b.First {
		return errors.New("first and last are not a range")
	}
	span := b.Last - b.First + 1
	count := uint64(b.Count)
	switch {
	case count == 0 || count > span:
		return errors.New("count does not fit first and last")
	case b.Dropped < span-count:
		return errors.New("fewer dropped than are missing between first and last")
	case b.Dropped > b.Last-count:
		return errors.New("more dropped than there were")
	case b.Oldest == 0 || b.Oldest > b.First:
		return errors.New("oldest is not in 1 to first")
	}
	return nil
}

// parseSeq wants a number as AppendHeader writes it, so that one meaning has one form.
func parseSeq(s string) (uint64, error) {
	if s == "" || len(s) > 19 || len(s) > 1 && s[0] == '0' {
		return 0, errors.New("not a number")
	}
	var n uint64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, errors.New("not a number")
		}
		n = n*10 + uint64(s[i]-'0')
	}
	if n >= maxSeq {
		return 0, errors.New("too large")
	}
	return n, nil
}

func parseCRC(s string) (uint32, error) {
	if len(s) != 8 || strings.Trim(s, lowerHex) != "" {
		return 0, errors.New("not 8 lower-case hex digits")
	}
	n, err := strconv.ParseUint(s, 16, 32)
	return uint32(n), err
}
