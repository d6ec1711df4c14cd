package record

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// timeLayouts are tried in turn. A fraction is accepted after any seconds, also after a comma.
var timeLayouts = []string{
	time.RFC3339,
	"2006-01-02T15:04:05Z0700", // zap's ISO8601TimeEncoder
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05Z0700",
	"2006-01-02 15:04:05 Z0700",
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05", // Python's asctime
	"2006/01/02 15:04:05", // Go's log
	time.RFC1123Z,
	time.RFC1123,
	time.UnixDate,
	time.ANSIC,
}

// parseTime reads a time from text or, if number, from a number.
func parseTime(s string, number bool) (time.Time, bool) {
	if len(s) > 64 {
		return time.Time{}, false
	}
	if !number {
		for _, layout := range timeLayouts {
			if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
				return t, true
			}
		}
	}
	return parseEpoch(s)
}

// parseEpoch reads seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by
// their size: each unit's numbers end in the year 5138. It keeps every digit of a decimal number.
// A number before 1973 is more likely none of them.
func parseEpoch(s string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	n := len(whole)
	if n == 0 || n > 19 || digits(bytesOf(whole), 0) != n || digits(bytesOf(fraction), 0) != len(fraction) {
		return parseEpochFloat(s)
	}
	var units uint64
	for i := range n {
		units = units*10 + uint64(whole[i]-'0')
	}
	per := unitsPerSecond(float64(units))
	sec, rest := units/per, units%per
	nsec := rest * (1e9 / per)
	for i, scale := 0, 1e8/per; i < len(fraction) && scale > 0; i, scale = i+1, scale/10 {
		nsec += uint64(fraction[i]-'0') * scale
	}
	return time.Unix(int64(sec), int64(nsec)), sec >= firstEpoch
}

const firstEpoch = 1e8 // March 1973

// parseEpochFloat reads the form with an exponent.
func parseEpochFloat(s string) (time.Time, bool) {
	if end, bad := scanNumber(bytesOf(s), 0); bad != "" || end != len(s) {
		return time.Time{}, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= firstEpoch && f < 1e20) {
		return time.Time{}, false
	}
	sec, part := math.Modf(f / float64(unitsPerSecond(f)))
	return time.Unix(int64(sec), int64(part*1e9)), true
}

func unitsPerSecond(n float64) uint64 {
	switch {
	case n < 1e11:
		return 1
	case n < 1e14:
		return 1e3
	case n < 1e17:
		return 1e6
	}
	return 1e9
}
