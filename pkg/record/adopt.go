package record

import (
	"bytes"
	"time"
	"unsafe"
)

// Defaults are what a foreign line gets for what it lacks.
type Defaults struct {
	Time    time.Time
	Level   Level // Info if not set
	Logger  string
	Foreign bool // mark the record "foreign":true
}

// Adopt starts dst as the record that raw, one line of somebody else's log, stands for. dst is
// then ready for more fields, or for Finish. It takes any bytes.
//
// A JSON object is read as zap, zerolog, logrus, slog, pino, bunyan, structlog and
// python-json-logger write it:
//
//	slot    keys, the first that is there and usable counts
//	time    time ts timestamp @timestamp asctime; text, or seconds, ms, us or ns since 1970.
//	        A text without a zone is local time, as Python writes it
//	level   level severity levelname lvl log.level; a number counts as Python's, as pino's where
//	        pid and hostname stand beside it
//	msg     msg message event
//	logger  logger logger_name log.logger; and name, where pid and hostname, levelname or asctime
//	        tell that the line is pino's or Python's
//	error   error err; of pino's object its type, message and stack
//	stack   stack stacktrace stack_trace exc_info exception; the last line of a Python traceback
//	        is the error where there is no other
//	caller  caller; source of slog; file beside func of logrus; pathname or filename and lineno
//
// Everything else is kept as a field with its JSON as it is, in its order, and so is a value that
// cannot be read for its slot. Any other line, JSON or not, becomes the message.
func Adopt(dst *Line, raw []byte, d Defaults) {
	raw = bytes.TrimRight(raw, "\r\n")
	if i := skipSpace(raw, 0); i < len(raw) && raw[i] == '{' {
		a := adoption{raw: raw[i:]}
		if a.read() {
			a.write(dst, d)
			return
		}
	}
	dst.Start(d.Time, d.Level, d.Logger, textOf(raw))
	if d.Foreign {
		dst.Foreign()
	}
}

// textOf shares b's bytes, for a callee that copies them.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// The slots, in the table's order. Those with more than one part have one each.
const (
	slotTime = iota
	slotLevel
	slotMsg
	slotLogger
	slotError
	slotStack
	slotCaller
	slotFunc
	slotPath
	slotLineno
	slotPid
	slotHostname
	slots
)

// slotKeys are the keys that may fill each slot, in the order in which they are asked.
var slotKeys = [slots][]string{
	slotTime:     {"time", "ts", "timestamp", "@timestamp", "asctime"},
	slotLevel:    {"level", "severity", "levelname", "lvl", "log.level"},
	slotMsg:      {"msg", "message", "event"},
	slotLogger:   {"logger", "logger_name", "log.logger", "name"},
	slotError:    {"error", "err"},
	slotStack:    {"stack", "stacktrace", "stack_trace", "exc_info", "exception"},
	slotCaller:   {"caller", "source", "file"},
	slotFunc:     {"func"},
	slotPath:     {"pathname", "filename"},
	slotLineno:   {"lineno"},
	slotPid:      {"pid"},
	slotHostname: {"hostname"},
}

const maxRank = 5

// Ranks within slotKeys that are asked for by place.
const (
	rankLevelname = 2
	rankName      = 3
	rankAsctime   = 4
	rankCaller    = 0
	rankSource    = 1
	rankFile      = 2
)

type slotRank struct{ slot, rank int }

type slotKey struct {
	key string
	slotRank
}

// keysByLen has the keys of the table by their length: few share one, so that looking through
// them takes a fraction of a map's time, which a line of ten keys pays twenty times.
var keysByLen = func() (byLen [12][]slotKey) {
	for slot, keys := range slotKeys {
		for rank, key := range keys {
			byLen[len(key)] = append(byLen[len(key)], slotKey{key, slotRank{slot, rank}})
		}
	}
	return byLen
}()

func slotOf(key string) (slotRank, bool) {
	if len(key) < len(keysByLen) {
		for _, k := range keysByLen[len(key)] {
			if k.key == key {
				return k.slotRank, true
			}
		}
	}
	return slotRank{}, false
}

// An adoption reads one JSON line.
type adoption struct {
	raw        []byte
	candidates [slots][maxRank][]byte // values, as JSON
	used       [slots]int             // 1 + the rank of the candidate that filled the slot

	time   time.Time
	level  Level
	msg    []byte
	logger []byte
	err    []byte // JSON
	errSet bool
	stack  []byte
	file   []byte
	line   int
}

// read finds the candidates; it reports false for what is no JSON object.
func (a *adoption) read() bool {
	s := fieldScanner{b: a.raw}
	for {
		k, v, ok := s.next()
		if !ok {
			break
		}
		if at, ok := slotOf(textOf(plainKey(k))); ok && a.candidates[at.slot][at.rank] == nil {
			a.candidates[at.slot][at.rank] = v
		}
	}
	return s.bad == "" && skipSpace(a.raw, s.i) == len(a.raw)
}

// pino reports whether the line has what pino and bunyan put into each of theirs.
func (a *adoption) pino() bool {
	return a.candidates[slotPid][0] != nil && a.candidates[slotHostname][0] != nil
}

// first fills a slot from its first candidate that usable accepts.
func (a *adoption) first(slot int, usable func(value []byte, rank int) bool) {
	for rank, value := range a.candidates[slot] {
		if value != nil && usable(value, rank) {
			a.used[slot] = rank + 1
			return
		}
	}
}

func (a *adoption) write(dst *Line, d Defaults) {
	a.time, a.level, a.logger = d.Time, d.Level, bytesOf(d.Logger)
	a.first(slotTime, a.setTime)
	a.first(slotLevel, a.setLevel)
	a.first(slotMsg, func(v []byte, _ int) bool {
		if v[0] == '{' || v[0] == '[' {
			return false
		}
		a.msg = content(v)
		return true
	})
	a.first(slotLogger, a.setLogger)
	a.first(slotCaller, a.setCaller)
	a.setPath()
	a.first(slotStack, func(v []byte, _ int) bool {
		if v[0] == '"' {
			a.stack = content(v)
		}
		return v[0] == '"'
	})
	keepErr := false
	a.first(slotError, func(v []byte, _ int) bool {
		keepErr = a.setError(v)
		return true
	})

	dst.Start(a.time, a.level, textOf(a.logger), textOf(a.msg))
	s := fieldScanner{b: a.raw}
	for {
		k, v, ok := s.next()
		if !ok {
			break
		}
		key := textOf(plainKey(k))
		if at, ok := slotOf(key); ok && a.used[at.slot] == at.rank+1 && same(v, a.candidates[at.slot][at.rank]) &&
			!(at.slot == slotError && keepErr) {
			continue
		}
		if key == "error" { // its place is taken, or will be
			key = "fields.error"
		}
		dst.Raw(key, v)
	}
	if a.errSet {
		dst.Raw("error", a.err)
	} else if last, ok := pythonError(a.stack); ok {
		dst.Str("error", textOf(last))
	}
	dst.Stack(textOf(a.stack))
	dst.Caller(textOf(a.file), a.line)
	if d.Foreign {
		dst.Foreign()
	}
}

// same reports whether two values are the same bytes of one line: of a key that comes twice only
// the first fills the slot.
func same(a, b []byte) bool { return &a[0] == &b[0] }

// content returns a string's text, and any other value's JSON, without a copy where it can.
func content(v []byte) []byte {
	if v[0] == '"' {
		return plainKey(v[1 : len(v)-1])
	}
	return v
}

func (a *adoption) setTime(v []byte, _ int) bool {
	t, ok := parseTime(textOf(content(v)), v[0] != '"')
	if ok {
		a.time = t
	}
	return ok
}

func (a *adoption) setLevel(v []byte, _ int) bool {
	var l Level
	if v[0] == '"' {
		l, _ = ParseLevel(textOf(content(v)))
	} else if n, ok := wholeNumber(v); ok {
		if l = levelByNumber(n); a.pino() {
			l = levelByPinoNumber(n)
		}
	}
	if l != 0 {
		a.level = l
	}
	return l != 0
}

func (a *adoption) setLogger(v []byte, rank int) bool {
	named := rank != rankName || a.pino() || a.candidates[slotLevel][rankLevelname] != nil || a.candidates[slotTime][rankAsctime] != nil
	if v[0] != '"' || !named {
		return false
	}
	a.logger = content(v)
	return true
}

// setError takes an error's value. It reports whether there is more in it than the record's
// error and stack can hold, so that the value is kept as a field as well.
func (a *adoption) setError(v []byte) (more bool) {
	if string(v) == "null" {
		return false
	}
	a.err, a.errSet = v, true
	if v[0] != '{' {
		return false
	}
	var kind, message, stack []byte
	s := fieldScanner{b: v}
	for {
		k, part, ok := s.next()
		if !ok {
			break
		}
		switch text := part[0] == '"'; {
		case text && string(k) == "type":
			kind = content(part)
		case text && string(k) == "message":
			message = content(part)
		case text && string(k) == "stack":
			stack = content(part)
		default:
			more = true
		}
	}
	if message == nil {
		return false // any object: it is the error, as it is
	}
	if len(kind) > 0 {
		message = append(append(bytes.Clone(kind), ": "...), message...)
	}
	a.err = appendQuoted(nil, message)
	if stack != nil {
		if a.stack == nil {
			a.stack = stack
		} else {
			more = true
		}
	}
	return more
}

func (a *adoption) setCaller(v []byte, rank int) bool {
	switch {
	case v[0] == '"' && (rank == rankCaller || rank == rankFile && a.candidates[slotFunc][0] != nil):
		a.file = content(v)
		if i := bytes.LastIndexByte(a.file, ':'); i > 0 {
			if n, ok := wholeNumber(a.file[i+1:]); ok {
				a.file, a.line = a.file[:i], n
			}
		}
		return true
	case v[0] == '{' && rank == rankSource:
		var file []byte
		var line int
		s := fieldScanner{b: v}
		for {
			k, part, ok := s.next()
			if !ok {
				break
			}
			switch string(k) {
			case "file":
				if part[0] == '"' {
					file = content(part)
				}
			case "line":
				line, _ = wholeNumber(part)
			case "function":
			default:
				return false
			}
		}
		if file == nil || line == 0 {
			return false
		}
		a.file, a.line = file, line
		return true
	}
	return false
}

// setPath takes Python's two keys for the caller, where no other has told it.
func (a *adoption) setPath() {
	line, ok := wholeNumber(a.candidates[slotLineno][0])
	if !ok || a.file != nil {
		return
	}
	a.first(slotPath, func(v []byte, _ int) bool {
		if v[0] != '"' {
			return false
		}
		a.file, a.line = content(v), line
		a.used[slotLineno] = 1
		return true
	})
}

// pythonError returns the last line of a traceback: the exception.
func pythonError(stack []byte) ([]byte, bool) {
	if !bytes.HasPrefix(stack, []byte("Traceback (most recent call last)")) {
		return nil, false
	}
	stack = bytes.TrimRight(stack, "\n")
	return stack[bytes.LastIndexByte(stack, '\n')+1:], true
}

// wholeNumber reads up to nine digits.
func wholeNumber(v []byte) (int, bool) {
	if len(v) == 0 || len(v) > 9 || digits(v, 0) != len(v) {
		return 0, false
	}
	n := 0
	for _, c := range v {
		n = n*10 + int(c-'0')
	}
	return n, true
}
