package settings

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written 4096, 256KiB, 100MiB or 1.5GiB. KB, MB and
// GB mean thousands; K, M and G alone mean what KiB, MiB and GiB do. Case does
// not matter.
type Size int64

// Units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

var units = map[string]float64{
	"": 1, "b": 1,
	"k": 1 << 10, "kib": 1 << 10, "kb": 1e3,
	"m": 1 << 20, "mib": 1 << 20, "mb": 1e6,
	"g": 1 << 30, "gib": 1 << 30, "gb": 1e9,
	"t": 1 << 40, "tib": 1 << 40, "tb": 1e12,
}

var errSize = errors.New("not a size: a number, then nothing, KiB, MiB or GiB")

// ParseSize reads a size. Negative sizes, and such as do not fit into 63 bits,
// are errors; a fraction of a byte is dropped.
func ParseSize(text string) (Size, error) {
	text = strings.TrimSpace(text)
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit, ok := units[strings.ToLower(strings.TrimSpace(text[len(digits):]))]
	if !ok || digits == "" || strings.Trim(digits, "0123456789.") != "" {
		return 0, errSize
	}
	if whole, err := strconv.ParseInt(digits, 10, 64); err == nil {
		if whole > math.MaxInt64/int64(unit) {
			return 0, errors.New("too large")
		}
		return Size(whole * int64(unit)), nil
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return 0, errSize
	}
	if f*unit >= math.MaxInt64 {
		return 0, errors.New("too large")
	}
	return Size(f * unit), nil
}

// UnmarshalText implements encoding.TextUnmarshaler, which envconfig uses.
func (s *Size) UnmarshalText(text []byte) error {
	v, err := ParseSize(string(text))
	if err != nil {
		return err
	}
	*s = v
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String uses the largest unit that leaves a whole number: 16MiB, 1536KiB, 1000.
func (s Size) String() string {
	if s != 0 {
		for _, u := range []struct {
			size Size
			name string
		}{{TiB, "TiB"}, {GiB, "GiB"}, {MiB, "MiB"}, {KiB, "KiB"}} {
			if s%u.size == 0 {
				return strconv.FormatInt(int64(s/u.size), 10) + u.name
			}
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
