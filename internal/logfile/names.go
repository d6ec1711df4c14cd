package logfile

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Where a store keeps its own files inside a log directory.
const (
	stateDir    = ".logbraid"
	lockName    = "lock"
	journalName = "journal"
)

// lockedDir is the log directory that a lock file guards.
func lockedDir(path string) string { return filepath.Dir(filepath.Dir(path)) }

// rotatedName is what generation number of a file is called once it is rotated.
func rotatedName(base string, number uint64) string { return fmt.Sprintf("%s.%06d", base, number) }

// rotated is a rotated file's name taken apart: app.log.000007.gz, or with .tmp
// behind it while it is being compressed.
type rotated struct {
	base      string
	number    uint64
	extension string
	temporary bool
}

func parseRotated(name string) (rotated, bool) {
	var r rotated
	name, r.temporary = strings.CutSuffix(name, ".tmp")
	for _, c := range []Compression{Gzip, Zstd} {
		if base, ok := strings.CutSuffix(name, c.extension()); ok {
			name, r.extension = base, c.extension()
			break
		}
	}
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 || !isNumber(name[dot+1:]) || r.temporary && r.extension == "" {
		return rotated{}, false
	}
	number, err := strconv.ParseUint(name[dot+1:], 10, 63)
	if err != nil {
		return rotated{}, false
	}
	r.base, r.number = name[:dot], number
	return r, true
}

// isNumber reports whether s is a rotated file's number: six digits, or more
// without a leading zero.
func isNumber(s string) bool {
	return len(s) >= 6 && allDigits(s) && (len(s) == 6 || s[0] != '0')
}

const damagedMark = "damaged-"

// reservedName reports whether name is one that rotation, compression or damage
// handling gives out.
func reservedName(name string) bool {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || !derivedSuffix(name[dot+1:]) {
		return false
	}
	if _, ok := parseRotated(name); ok {
		return true
	}
	return strings.HasPrefix(name[dot+1:], damagedMark)
}

// derivedSuffix reports whether s, the part behind a name's last dot, is one
// that rotation, compression or damage handling gives out.
func derivedSuffix(s string) bool {
	switch s {
	case "gz", "zst", "tmp":
		return true
	}
	if n, ok := strings.CutPrefix(s, damagedMark); ok {
		return n != "" && allDigits(n)
	}
	return isNumber(s)
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
