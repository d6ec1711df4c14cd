package settings

import (
	"iter"
	"strings"
)

// Nearest is the candidate that name was most likely meant to be; empty when
// none is near. A typing error or two come first (BUFER), then a word too many
// (BUFFER_SIZE for BUFFER), then what differs in up to a quarter of the letters.
// Of several equally near ones it is the first in alphabetical order.
func Nearest(name string, candidates iter.Seq[string]) string {
	const typing = 2
	name = strings.TrimPrefix(name, Prefix)
	best, least := "", max(typing, len(name)/4)+1
	for c := range candidates {
		bare := strings.TrimPrefix(c, Prefix)
		d := distance(name, bare)
		if strings.HasPrefix(name, bare+"_") {
			d = min(d, typing)
		}
		if d < least || d == least && best != "" && c < best {
			best, least = c, d
		}
	}
	return best
}

// distance is the optimal string alignment distance: how many insertions,
// deletions, substitutions and swaps of neighbours turn a into b.
func distance(a, b string) int {
	before, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev, row = prev, row, before
	}
	return prev[len(b)]
}
