package record

import (
	"bytes"
	"errors"
	"fmt"
)

// Check reports how the lines of a batch, decoded, differ from what b says of them. tail is what [AppendTail] makes of
// the identity that the subject and b name: each line must end with it, its seq and a brace. The
// seqs must strictly increase from First to Last, and each line must begin as ours do. It looks at
// both ends of a line only; what is between them the CRC vouches for.
func (b Batch) Check(payload, tail []byte) error {
	var sum uint32
	lines := lineCheck{batch: b, tail: tail}
	for at := 0; at < len(payload); {
		var n int
		sum, n = sumNext(sum, payload[at:])
		lines.next(payload[:at+n], at) // while they are in the cache
		at += n
	}
	if sum != b.CRC {
		return fmt.Errorf("check batch: crc is %08x, header says %08x", sum, b.CRC)
	}
	if b.End {
		if len(payload) != 0 {
			return errors.New("check batch: an end with a payload")
		}
		return nil
	}
	if lines.err == nil && lines.begin < len(payload) {
		lines.err = fmt.Errorf("line %d has no newline", lines.n+1)
	}
	if lines.err == nil && (lines.n != b.Count || lines.last != b.Last) {
		lines.err = fmt.Errorf("%d lines up to %d, header says %d up to %d", lines.n, lines.last, b.Count, b.Last)
	}
	if lines.err != nil {
		return fmt.Errorf("check batch: %w", lines.err)
	}
	return nil
}

// A lineCheck looks at the lines of a batch one after the other.
type lineCheck struct {
	batch Batch
	tail  []byte

	begin int    // of the first line that it has not looked at
	n     int    // lines before it
	last  uint64 // the seq of the last of them
	err   error  // what is wrong with the one after them
}

// next goes on to the end of p, the payload so far, of which it has not seen what begins at from.
func (c *lineCheck) next(p []byte, from int) {
	for c.err == nil {
		length := bytes.IndexByte(p[from:], '\n')
		if length < 0 {
			return
		}
		end := from + length
		c.err = c.line(p[c.begin:end])
		from, c.begin = end+1, end+1
	}
}

func (c *lineCheck) line(line []byte) error {
	if level, _ := scanLevel(line); level == 0 {
		return fmt.Errorf("line %d does not begin as a record", c.n+1)
	}
	seq, ok := scanEnd(line, c.tail)
	if !ok {
		return fmt.Errorf("line %d does not end with the identity of its run", c.n+1)
	}
	if c.n == 0 && seq != c.batch.First || seq <= c.last || seq > c.batch.Last {
		return fmt.Errorf("line %d has seq %d, header says %d to %d", c.n+1, seq, c.batch.First, c.batch.Last)
	}
	c.n, c.last = c.n+1, seq
	return nil
}

// scanEnd reads the seq between tail and the closing brace.
func scanEnd(line, tail []byte) (uint64, bool) {
	end := len(line) - 1
	if end < 0 || line[end] != '}' {
		return 0, false
	}
	i := end
	var seq, pow uint64 = 0, 1
	for i > 0 && end-i < 19 && '0' <= line[i-1] && line[i-1] <= '9' {
		i--
		seq += uint64(line[i]-'0') * pow
		pow *= 10
	}
	if i == end || line[i] == '0' || !bytes.HasSuffix(line[:i], tail) {
		return 0, false
	}
	return seq, true
}
