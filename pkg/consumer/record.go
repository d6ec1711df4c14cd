package consumer

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

// A Record is one record of the log.
//
// Line aliases the message that brought it, as do the results of Get and Fields: as long as one
// record of a batch is kept, the whole batch is (up to 1 MiB by default). [Record.Clone] makes one
// that stands alone. Nothing writes to it any more, so it may be kept and shared.
type Record struct {
	Time   time.Time
	Level  record.Level
	Logger string
	record.Identity
	Seq      uint64 // 0 for a foreign record
	Foreign  bool   // came without logbraid's header: no seq, and nothing says whether one is missing
	Line     []byte // the record as it stands in the log, without its newline
	Sequence uint64 // of the message in the stream; 0 in direct delivery
}

// Clone returns a record with a line of its own.
func (r Record) Clone() Record {
	r.Line = bytes.Clone(r.Line)
	return r
}

// Msg returns the record's message.
func (r Record) Msg() string { return r.text("msg") }

// Err returns the record's error, "" if it has none. One that is not a string comes as JSON.
func (r Record) Err() string { return r.text("error") }

// Stack returns the record's stack trace, "" if it has none.
func (r Record) Stack() string { return r.text("stack") }

// Caller returns the place in the code that logged, "" if it is not told.
func (r Record) Caller() string { return r.text("caller") }

func (r Record) text(key string) string {
	v, ok := top(r.Line, key)
	if !ok {
		return ""
	}
	if s, ok := stringOf(v); ok {
		return s
	}
	return string(v)
}

// Get returns the JSON of a key, ours or the user's. A key that is not there is taken apart at its
// dots: request.status is the status in request.
func (r Record) Get(key string) (json.RawMessage, bool) { return get(r.Line, key) }

func get(object []byte, key string) (json.RawMessage, bool) {
	if v, ok := top(object, key); ok {
		return v, true
	}
	for at := strings.IndexByte(key, '.'); at >= 0; {
		if v, ok := top(object, key[:at]); ok && v[0] == '{' {
			return get(v, key[at+1:])
		}
		next := strings.IndexByte(key[at+1:], '.')
		if next < 0 {
			break
		}
		at += 1 + next
	}
	return nil, false
}

func top(object []byte, key string) (json.RawMessage, bool) {
	for k, v := range record.Fields(object) {
		if string(k) == key || bytes.IndexByte(k, '\\') >= 0 && unescaped(k) == key {
			return json.RawMessage(v), true
		}
	}
	return nil, false
}

// Str returns the text of a key whose value is a string.
func (r Record) Str(key string) (string, bool) {
	v, ok := r.Get(key)
	if !ok {
		return "", false
	}
	return stringOf(v)
}

// Int returns the value of a key that is a whole number, and false for one that does not fit.
func (r Record) Int(key string) (int64, bool) {
	v, _ := r.Get(key)
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err == nil {
		return n, true
	}
	// 1e3 and 120.0 are whole numbers, too.
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f != float64(int64(f)) || f < -1<<53 || f > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// Float returns the value of a key that is a number.
func (r Record) Float(key string) (float64, bool) {
	v, _ := r.Get(key)
	if len(v) == 0 || v[0] != '-' && (v[0] < '0' || v[0] > '9') {
		return 0, false // ParseFloat takes words, too
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}

// Bool returns the value of a key that is true or false.
func (r Record) Bool(key string) (value, ok bool) {
	v, _ := r.Get(key)
	return string(v) == "true", string(v) == "true" || string(v) == "false"
}

// Duration returns the value of a key that is a number of nanoseconds, as publisher.Duration and
// slog write it, or text such as "1.5s".
func (r Record) Duration(key string) (time.Duration, bool) {
	if s, ok := r.Str(key); ok {
		d, err := time.ParseDuration(s)
		return d, err == nil
	}
	n, ok := r.Int(key)
	return time.Duration(n), ok
}

// Timestamp returns the value of a key that is a time in RFC 3339. The record's own is r.Time.
func (r Record) Timestamp(key string) (time.Time, bool) {
	s, ok := r.Str(key)
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

// Decode fills in v from the whole record, as [json.Unmarshal] does.
func (r Record) Decode(v any) error { return json.Unmarshal(r.Line, v) }

// Fields yields the user's own fields, in their order.
func (r Record) Fields() iter.Seq2[string, json.RawMessage] {
	return record.Record{Raw: r.Line}.Fields()
}

// AppendText appends the record as a line of text, as [record.AppendText] does.
func (r Record) AppendText(dst []byte, o record.TextOptions) []byte {
	return record.AppendText(dst, r.Line, o)
}

func stringOf(v []byte) (string, bool) {
	if len(v) < 2 || v[0] != '"' {
		return "", false
	}
	if s := v[1 : len(v)-1]; bytes.IndexByte(s, '\\') < 0 {
		return string(s), true
	}
	var s string
	err := json.Unmarshal(v, &s)
	return s, err == nil
}

func unescaped(key []byte) string {
	s, _ := stringOf([]byte(`"` + string(key) + `"`))
	return s
}

// A reader makes records of lines.
type reader struct {
	loggers map[string]string // so that a name is one string, however often it comes
}

const maxLoggers = 10_000

// record reads a line that a tracker has passed on.
func (d *reader) record(p *part, line []byte) Record {
	r := Record{Identity: p.from.id, Foreign: p.foreign, Line: line, Sequence: p.sequence}
	if h, ok := record.ScanHead(line); ok {
		r.Time, r.Level, r.Logger = timeOf(h.Time), h.Level, d.logger(h.Logger)
	}
	if !p.foreign {
		t, _ := record.ScanTail(line)
		r.Seq = t.Seq
	}
	return r
}

func (d *reader) logger(name []byte) string {
	if s, ok := d.loggers[string(name)]; ok {
		return s
	}
	if len(d.loggers) >= maxLoggers || d.loggers == nil {
		d.loggers = make(map[string]string)
	}
	s := string(name)
	d.loggers[s] = s
	return s
}

// timeOf reads the time of a head, whose digits ScanHead has found in their places.
func timeOf(b []byte) time.Time {
	n := func(from, to int) (n int) {
		for _, c := range b[from:to] {
			n = n*10 + int(c-'0')
		}
		return n
	}
	return time.Date(n(0, 4), time.Month(n(5, 7)), n(8, 10), n(11, 13), n(14, 16), n(17, 19), n(20, 29), time.UTC)
}
