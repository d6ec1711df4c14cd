package record

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// A Line builds the body of one record, append-style:
//
//	l := record.GetLine()
//	l.Start(time.Now(), record.Info, "etl.load", "row loaded")
//	l.Int("rows", 120)
//	body := l.Finish(256 << 10)
//	...
//	l.Free()
//
// The body is the record without what [AppendTail] and [AppendEnd] add. Keys never come twice:
// a key of ours becomes fields.KEY, a repeated one KEY#2, KEY#3. A Line is not for concurrent
// use. Start, three fields of basic types and Finish allocate nothing.
type Line struct {
	buf    []byte
	level  Level
	keys   []span // keys of the open groups, outermost first; the innermost's stand last
	groups []group
	index  map[uint64]int // see keys.go
	habit  habit
	skip   int // groups opened beyond maxGroups, which write nothing

	// Kept back until Finish, as encoded values, so that they close the body in a fixed order.
	errv, stack, caller []byte
	foreign             bool
	errors              int       // errors that came after the first
	badTime             time.Time // what Start was given, where time cannot say it

	scratch []byte // the result of a cut
	head    head
}

// A head is a record's beginning, up to the message, which is kept for the next record: records
// come in bursts, and a burst's differ in the nanoseconds.
type head struct {
	text   []byte
	sec    int64
	level  Level  // 0: text is not made yet
	logger []byte // a copy: what Start is given may be overwritten
}

// A group is an open object: where its key began, and which of keys are its own.
type group struct {
	start int // len(buf) before the comma
	base  int // len(keys) after the group's own key
}

const (
	maxGroups = 64       // deeper groups write into the last one
	keepSize  = 64 << 10 // a Line that has grown beyond is not pooled
)

var lines = sync.Pool{New: func() any { return &Line{buf: make([]byte, 0, 1024)} }}

// GetLine takes a Line from the pool. Call Start first, Free last.
func GetLine() *Line { return lines.Get().(*Line) }

// Free gives l back to the pool; neither l nor what Finish returned may be used afterwards.
func (l *Line) Free() {
	if max(cap(l.buf), cap(l.head.text), cap(l.scratch), cap(l.stack), cap(l.errv), cap(l.keys)*int(unsafe.Sizeof(span{}))) <= keepSize {
		lines.Put(l)
	}
}

func (l *Line) reset() {
	l.buf, l.keys, l.groups = l.buf[:0], l.keys[:0], l.groups[:0]
	l.errv, l.stack, l.caller = l.errv[:0], l.stack[:0], l.caller[:0]
	if len(l.index) > 0 {
		clear(l.index)
	}
	l.habit.begin()
	l.level, l.skip, l.errors = 0, 0, 0
	l.foreign = false
	l.badTime = time.Time{}
}

// Level returns what Start was given, Info for a level that was not set.
func (l *Line) Level() Level { return l.level }

// Logger returns the name of the logger that Start was given. It may alias l.
func (l *Line) Logger() []byte {
	h, _ := ScanHead(l.buf)
	return h.Logger
}

// The offsets that a head's fixed width gives; see [ScanHead].
const (
	headOpen   = `{"time":"`
	headLevel  = `","level":"`
	headLogger = `","logger":`
	headMsg    = `,"msg":`
	timeLen    = len("2006-01-02T15:04:05.999999999Z")
	levelAt    = len(headOpen) + timeLen + len(headLevel)
)

// Start begins a record. A time outside the years 0 to 9999 is moved to the nearest that nine
// digits and four can say, and kept in full in the field fields.time.
func (l *Line) Start(t time.Time, level Level, logger, msg string) {
	l.reset()
	l.level = level.normal()
	inRange := l.begin(t, logger)
	l.buf = appendQuoted(l.buf, bytesOf(msg))
	if !inRange {
		l.badTime = t
	}
}

var (
	minSec = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	maxSec = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
)

// begin appends a record's beginning, with t in UTC and nine digits.
func (l *Line) begin(t time.Time, logger string) (inRange bool) {
	sec, nsec := t.Unix(), t.Nanosecond()
	inRange = true
	if sec < minSec {
		sec, nsec, inRange = minSec, 0, false
	} else if sec > maxSec {
		sec, nsec, inRange = maxSec, 999999999, false
	}
	if h := &l.head; sec != h.sec || l.level != h.level || logger != string(h.logger) {
		h.make(sec, l.level, logger)
	}
	l.buf = append(l.buf, l.head.text...)
	nine := l.buf[len(headOpen)+len("2006-01-02T15:04:05."):][:9]
	n := uint32(nsec)
	for i := 7; i > 0; i -= 2 {
		pair := n % 100
		n /= 100
		nine[i], nine[i+1] = byte('0'+pair/10), byte('0'+pair%10)
	}
	nine[0] = byte('0' + n)
	return inRange
}

// make brings the text up to date. The time is the dear part, and of a fixed length.
func (h *head) make(sec int64, level Level, logger string) {
	if sec != h.sec || h.level == 0 {
		h.text = append(h.text[:0], headOpen...)
		h.text = time.Unix(sec, 0).UTC().AppendFormat(h.text, "2006-01-02T15:04:05.000000000Z")
	}
	h.sec, h.level = sec, level
	h.logger = append(h.logger[:0], logger...)
	h.text = append(h.text[:len(headOpen)+timeLen], headLevel...)
	h.text = append(append(h.text, levelNames[level]...), headLogger...)
	h.text = append(appendQuoted(h.text, bytesOf(logger)), headMsg...)
}

// Str adds a string.
func (l *Line) Str(key, v string) {
	if l.isError(key) {
		l.errv = AppendString(l.errv, v)
		return
	}
	l.buf = AppendString(l.key(key), v)
}

// Int adds a whole number.
func (l *Line) Int(key string, v int64) {
	if l.isError(key) {
		l.errv = appendInt(l.errv, v)
		return
	}
	l.buf = appendInt(l.key(key), v)
}

// Uint adds a whole number.
func (l *Line) Uint(key string, v uint64) {
	if l.isError(key) {
		l.errv = appendUint(l.errv, v)
		return
	}
	l.buf = appendUint(l.key(key), v)
}

// Float adds a number; NaN and the infinities become the strings "NaN", "+Inf", "-Inf".
func (l *Line) Float(key string, v float64) {
	if l.isError(key) {
		l.errv = appendFloat(l.errv, v, 64)
		return
	}
	l.buf = appendFloat(l.key(key), v, 64)
}

// Bool adds true or false.
func (l *Line) Bool(key string, v bool) {
	if l.isError(key) {
		l.errv = strconv.AppendBool(l.errv, v)
		return
	}
	l.buf = strconv.AppendBool(l.key(key), v)
}

// Time adds a time as an RFC 3339 string with the zone that it has.
func (l *Line) Time(key string, v time.Time) {
	if l.isError(key) {
		l.errv = appendTime(l.errv, v)
		return
	}
	l.buf = appendTime(l.key(key), v)
}

// Duration adds a number of nanoseconds, as slog's and logrus's JSON do.
func (l *Line) Duration(key string, v time.Duration) { l.Int(key, int64(v)) }

// Any adds any value, see [AppendValue].
func (l *Line) Any(key string, v any) {
	if l.isError(key) {
		l.errv = AppendValue(l.errv, v)
		return
	}
	l.buf = AppendValue(l.key(key), v)
}

// Raw adds a value that is JSON already. It is checked and made compact; what is not valid JSON,
// or nested deeper than 100, is added as a string.
func (l *Line) Raw(key string, json []byte) {
	if l.isError(key) {
		l.errv = appendRaw(l.errv, json)
		return
	}
	l.buf = appendRaw(l.key(key), json)
}

// Err sets the record's error; nil sets nothing. A second one becomes the field error#2, or error
// of the open group.
func (l *Line) Err(err error) {
	if err == nil {
		return
	}
	if len(l.errv) == 0 {
		l.errv = appendError(l.errv, err)
		return
	}
	l.buf = appendError(l.key("error"), err)
}

// Stack sets the record's stack trace; an empty one sets nothing, a later one replaces.
func (l *Line) Stack(s string) {
	l.stack = l.stack[:0]
	if s != "" {
		l.stack = AppendString(l.stack, s)
	}
}

// Caller sets the place of the call, as "load/load.go:88": the file's last two elements.
// An empty file sets nothing.
func (l *Line) Caller(file string, line int) {
	l.caller = l.caller[:0]
	if file == "" {
		return
	}
	file = strings.ReplaceAll(file, `\`, "/")
	if i := strings.LastIndexByte(file, '/'); i > 0 {
		if j := strings.LastIndexByte(file[:i], '/'); j >= 0 {
			file = file[j+1:]
		}
	}
	l.caller = AppendString(l.caller, file)
	if line > 0 {
		l.caller = append(l.caller[:len(l.caller)-1], ':')
		l.caller = appendInt(l.caller, int64(line))
		l.caller = append(l.caller, '"')
	}
}

// Foreign marks the record as one that no publisher of ours made.
func (l *Line) Foreign() { l.foreign = true }

// isError reports whether the value of key belongs into the error's own place.
func (l *Line) isError(key string) bool {
	return key == "error" && len(l.groups) == 0 && len(l.errv) == 0
}

// OpenGroup begins a nested object: the fields that follow go into it, until CloseGroup or
// Finish. A group that stays empty is left out.
func (l *Line) OpenGroup(key string) {
	if len(l.groups) == maxGroups {
		l.skip++
		return
	}
	start := len(l.buf)
	l.buf = append(l.key(key), '{')
	l.groups = append(l.groups, group{start: start, base: len(l.keys)})
}

// CloseGroup ends the innermost group. Without one it does nothing.
func (l *Line) CloseGroup() {
	if l.skip > 0 {
		l.skip--
		return
	}
	n := len(l.groups)
	if n == 0 {
		return
	}
	g := l.groups[n-1]
	l.forget(g.base, n)
	l.groups = l.groups[:n-1]
	if l.buf[len(l.buf)-1] == '{' {
		l.forget(g.base-1, n-1)
		l.buf = l.buf[:g.start]
		return
	}
	l.buf = append(l.buf, '}')
}

// key returns l.buf with a comma where one is needed, the key, made unique, and the colon.
func (l *Line) key(k string) []byte {
	if len(l.groups) == 0 {
		if text := l.habit.next(k, len(l.keys)); text != nil && len(l.index) == 0 {
			l.keys = append(l.keys, span{off: len(l.buf) + len(`,"`), len: len(k)})
			return append(l.buf, text...)
		}
		if name := renamed(k); name != "" {
			k = l.rename(k, name)
		}
	}
	b := l.buf
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	if len(l.keys) >= indexFrom || len(l.index) > 0 || plainEnd(bytesOf(k), 0) < len(k) || l.find(b, k) >= 0 {
		if len(l.groups) == 0 {
			l.habit.end()
		}
		return append(l.unusual(appendQuoted(b, bytesOf(k)), len(b)+1), ':')
	}
	// What is plain and new stands as it is.
	if len(l.groups) == 0 {
		l.habit.learn(k, len(l.keys))
	}
	at := len(b)
	l.keys = append(l.keys, span{off: at + 1, len: len(k)})
	b = slices.Grow(b, len(k)+3)[:at+len(k)+3]
	b[at] = '"'
	copy(b[at+1:], k)
	b[at+len(k)+1], b[at+len(k)+2] = '"', ':'
	return b
}

// rename returns what a field is called whose key is one of ours. A second error is error#2.
func (l *Line) rename(k, name string) string {
	if k == "error" && len(l.errv) > 0 {
		l.errors++
		return "error#" + strconv.Itoa(l.errors+1)
	}
	return name
}

// reserved reports whether k is a top-level key of ours.
func reserved(k string) bool { return renamed(k) != "" }

// renamed returns what a user's field becomes that has one of our keys, "" for any other key.
func renamed(k string) string {
	switch k {
	case "time":
		return "fields.time"
	case "level":
		return "fields.level"
	case "logger":
		return "fields.logger"
	case "msg":
		return "fields.msg"
	case "error":
		return "fields.error"
	case "stack":
		return "fields.stack"
	case "caller":
		return "fields.caller"
	case "foreign":
		return "fields.foreign"
	case "truncated":
		return "fields.truncated"
	case "original_length":
		return "fields.original_length"
	case "app":
		return "fields.app"
	case "worker":
		return "fields.worker"
	case "run":
		return "fields.run"
	case "seq":
		return "fields.seq"
	}
	return ""
}

// TailRoom is what Finish leaves free of max for the identity tail, the seq and the newline. A
// publisher whose tail is longer than TailRoom-EndLen gives a smaller max.
const TailRoom = 512

// minBody is the shortest body that Finish and Truncate cut to.
const minBody = 512

// Finish closes the groups, adds error, stack and caller, and cuts the body so that it takes at
// most max-TailRoom bytes, but never fewer than 512. It returns the body, without the closing
// brace; it is valid until Free, Start or another call on l.
func (l *Line) Finish(max int) []byte {
	for l.skip = 0; len(l.groups) > 0; {
		l.CloseGroup()
	}
	if !l.badTime.IsZero() {
		l.Time("time", l.badTime)
		l.badTime = time.Time{}
	}
	l.buf = appendLate(l.buf, `,"error":`, l.errv)
	l.buf = appendLate(l.buf, `,"stack":`, l.stack)
	l.buf = appendLate(l.buf, `,"caller":`, l.caller)
	if l.foreign {
		l.buf = append(l.buf, `,"foreign":true`...)
	}
	if max -= TailRoom; len(l.buf) > max && len(l.buf) > minBody {
		l.scratch = cutBody(l.scratch[:0], l.buf, max)
		l.buf, l.scratch = l.scratch, l.buf
	}
	l.errv, l.stack, l.caller, l.foreign = l.errv[:0], l.stack[:0], l.caller[:0], false
	return l.buf
}

func appendLate(dst []byte, key string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	return append(append(dst, key...), value...)
}
