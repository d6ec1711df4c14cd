package record

import (
	"fmt"
	"strconv"
	"strings"
)

// A Level is the severity of a record. Levels are ordered: Trace < Debug < ... < Panic.
// The zero value means "not set"; a line started with it becomes Info.
type Level int8

// The levels, least severe first. Their names in a record are lower case.
const (
	Trace Level = iota + 1
	Debug
	Info
	Warn
	Error
	Fatal
	Panic
)

var levelNames = [...]string{"", "trace", "debug", "info", "warn", "error", "fatal", "panic"}

// String returns the level's name as it stands in a record, and "" for a level that is not set.
func (l Level) String() string {
	if l < 0 || int(l) >= len(levelNames) {
		return "level(" + strconv.Itoa(int(l)) + ")"
	}
	return levelNames[l]
}

// MarshalText returns the level's name.
func (l Level) MarshalText() ([]byte, error) {
	if l < 0 || int(l) >= len(levelNames) {
		return nil, fmt.Errorf("marshal level: %d is not a level", int8(l))
	}
	return []byte(levelNames[l]), nil
}

// UnmarshalText accepts what [ParseLevel] accepts; empty text leaves the level not set.
func (l *Level) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*l = 0
		return nil
	}
	v, err := ParseLevel(string(text))
	if err != nil {
		return err
	}
	*l = v
	return nil
}

// normal returns l, or Info where l is not one of the levels: a record always has a level.
func (l Level) normal() Level {
	if l < Trace || l > Panic {
		return Info
	}
	return l
}

// ParseLevel reads a level in any spelling that is common among loggers, in any case: the names
// of this package, those of logrus, zap, zerolog, slog (with an offset, "INFO+2"), Python, pino,
// syslog and java.util.logging, single letters, and Python's numbers (10 debug to 50 critical).
// Spaces around it and a trailing colon are ignored.
func ParseLevel(s string) (Level, error) {
	t := strings.TrimSuffix(strings.TrimSpace(s), ":")
	if l := levelByName(t); l != 0 {
		return l, nil
	}
	if n, ok := wholeNumber(bytesOf(t)); ok {
		if l := levelByNumber(n); l != 0 {
			return l, nil
		}
	} else if l := levelByOffset(t); l != 0 {
		return l, nil
	}
	return 0, fmt.Errorf("parse level: %q is not a level (trace, debug, info, warn, error, fatal, panic)", clip(s, 64))
}

// levelByName returns 0 for a name that it does not know.
func levelByName(s string) Level {
	if len(s) > 13 {
		return 0
	}
	switch strings.ToLower(s) {
	case "trace", "trc", "verbose", "silly", "finer", "finest", "t", "v":
		return Trace
	case "debug", "dbg", "fine", "d":
		return Debug
	case "info", "inf", "information", "informational", "notice", "log", "config", "i", "n":
		return Info
	case "warn", "warning", "wrn", "w":
		return Warn
	case "error", "err", "eror", "severe", "e":
		return Error
	case "fatal", "ftl", "critical", "crit", "alert", "f", "c":
		return Fatal
	case "panic", "pnc", "dpanic", "emerg", "emergency", "p":
		return Panic
	}
	return 0
}

// levelByNumber reads Python's numbers. A custom level counts as the named one below it, as
// logging.Logger.isEnabledFor orders them.
func levelByNumber(n int) Level {
	switch {
	case n <= 0 || n > 100:
		return 0
	case n < 10:
		return Trace
	case n < 20:
		return Debug
	case n < 30:
		return Info
	case n < 40:
		return Warn
	case n < 50:
		return Error
	}
	return Fatal
}

// levelByPinoNumber reads pino's and bunyan's numbers, which name the same tens differently.
func levelByPinoNumber(n int) Level {
	switch {
	case n <= 0 || n > 100:
		return 0
	case n < 20:
		return Trace
	case n < 30:
		return Debug
	case n < 40:
		return Info
	case n < 50:
		return Warn
	case n < 60:
		return Error
	}
	return Fatal
}

// levelByOffset reads slog's form of a level between the named ones, "INFO+2", "DEBUG-4".
func levelByOffset(s string) Level {
	i := strings.LastIndexAny(s, "+-")
	if i <= 0 {
		return 0
	}
	off, err := strconv.Atoi(s[i:])
	if err != nil {
		return 0
	}
	var base int
	switch strings.ToLower(s[:i]) {
	case "debug":
		base = -4
	case "info":
		base = 0
	case "warn":
		base = 4
	case "error":
		base = 8
	default:
		return 0
	}
	switch n := base + off; {
	case n < -4:
		return Trace
	case n < 0:
		return Debug
	case n < 4:
		return Info
	case n < 8:
		return Warn
	}
	return Error
}

// clip returns at most n bytes of s, for error texts.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "..."
}
