package logfile

import "github.com/logbraid/logbraid/pkg/record"

// gathered is what was appended to a file since the last commit, in order: copied lines, with lent pieces between them.
type gathered struct {
	copied []byte
	lent   []lent
	size   int // of all together

	following func() ([]byte, *uint32) // nil: nothing follows
}

// lent is a piece that is written from where it is.
type lent struct {
	data []byte
	sum  *uint32 // its checksum, where that is known
	at   int     // in copied: how much of it comes first
}

func (g *gathered) lend(p []byte, sum *uint32) {
	g.lent = append(g.lent, lent{data: p, sum: sum, at: len(g.copied)})
	g.size += len(p)
}

// each calls f for the pieces, in order, until one fails.
func (g *gathered) each(f func(p []byte, sum *uint32) error) error {
	done := 0
	for _, l := range g.lent {
		if l.at > done {
			if err := f(g.copied[done:l.at], nil); err != nil {
				return err
			}
			done = l.at
		}
		if err := f(l.data, l.sum); err != nil {
			return err
		}
	}
	if len(g.copied) > done {
		return f(g.copied[done:], nil)
	}
	return nil
}

// tail is the tail of a file that ends in what was gathered: by its last n bytes, or by all if there are fewer.
func (g *gathered) tail(n int) tail {
	n = min(n, g.size)
	t := tail{length: uint32(n)}
	skip := g.size - n
	_ = g.each(func(p []byte, sum *uint32) error {
		if skip >= len(p) {
			skip -= len(p)
			return nil
		}
		if skip > 0 {
			p, sum, skip = p[skip:], nil, 0
		}
		if sum == nil {
			s := record.Checksum(p)
			sum = &s
		}
		t.crc = record.JoinChecksums(t.crc, *sum, len(p))
		return nil
	})
	return t
}
