package record

import (
	"bytes"
	"sync"
	"time"
)

// TextOptions say how [AppendText] shows a record. The zero value gives one plain line.
type TextOptions struct {
	Color bool // ANSI colours, for a terminal
	Stack bool // show a stack trace on indented lines below the record, not escaped at its end
	// Worker is an ANSI sequence for the worker's name, so that each can have its colour; "" gives it none.
	// It counts with Color only.
	Worker string
}

// AppendText appends a line of the log as text, with its newline:
//
//	2026-11-21T10:00:00.123456Z INFO  etl.load[w3] row loaded rows=120 error="..." caller=load/load.go:88
//
// No record can pass for another, nor do anything to a terminal: whatever is not printable comes
// out as \n, \x1b, \u202e, in names, messages, keys and values alike, and names and values with
// anything special in them stand in quotes. Printable are letters, digits, punctuation, symbols,
// spaces and up to four combining marks on one character; controls, line separators, bidi and
// zero-width characters are not. A stack trace on lines of its own is indented. What is no
// record at all is shown as such.
func AppendText(dst, line []byte, o TextOptions) []byte {
	m := textMemories.Get().(*textMemory)
	dst = m.appendText(dst, line, o)
	if cap(m.worker) <= maxTailMemory {
		textMemories.Put(m)
	}
	return dst
}

// A TextAppender appends lines as text, as [AppendText] does, and is faster for many. It is for one goroutine at a time. The zero
// value is ready for use.
type TextAppender struct{ memory textMemory }

// Append appends a line of the log as text.
func (a *TextAppender) Append(dst, line []byte, o TextOptions) []byte {
	dst = a.memory.appendText(dst, line, o)
	if cap(a.memory.worker) > maxTailMemory {
		a.memory.worker, a.memory.tail = nil, nil
	}
	return dst
}

// A textMemory is what the text of the line before tells of the next one's: lines of one run, which have the same tail,
// come in rows.
type textMemory struct {
	tail   []byte // of the last line of ours, from ,"app": to its seq; empty: not known
	worker []byte // that it names, as it is shown without colours

	keys [maxTextKeys + 1]textKey // of the last line's first fields, and of the last one of all others
}

const maxTailMemory = 2 << 10 // bytes; more than what any publisher of ours takes

var textMemories = sync.Pool{New: func() any { return new(textMemory) }}

func (m *textMemory) appendText(dst, line []byte, o TextOptions) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	start := len(dst)
	var v view
	if !m.view(&v, line) {
		return appendNoRecord(dst, line)
	}
	paint := &noColors
	if o.Color {
		paint = &colors
	}
	dst = append(dst, paint.faint...)
	dst = v.appendTime(dst)
	dst = append(dst, paint.reset...)
	dst = append(dst, ' ')
	dst = append(dst, paint.levels[v.level]...)
	dst = append(dst, levelLabels[v.level]...)
	dst = append(dst, paint.reset...)
	dst = append(dst, ' ')
	if len(v.logger) > 0 {
		dst = appendWord(dst, v.logger)
	}
	dst = append(dst, '[')
	if len(v.worker) > 0 && o.Color && o.Worker != "" {
		dst = append(dst, o.Worker...)
		dst = append(dst, v.worker...)
		dst = append(dst, paint.reset...)
	} else {
		dst = append(dst, v.worker...)
	}
	dst = append(dst, ']', ' ')
	if v.plain {
		dst = append(dst, v.msg...)
	} else {
		dst = appendMessage(dst, v.msg)
	}

	s := fieldScanner{b: line}
	if v.fields > 0 {
		dst, s.i = m.appendPlainFields(dst, line[:v.tail], v.fields, paint)
		s.n = 1
	}
	for s.i < v.tail {
		key, value, ok := s.next()
		if !ok {
			break
		}
		key = plainKey(key)
		if reserved(string(key)) {
			v.late(string(key), value)
			continue
		}
		dst = appendField(dst, key, value, paint)
	}
	if s.bad != "" || s.i != v.tail {
		return appendNoRecord(dst[:start], line)
	}
	if v.err != nil {
		dst = appendField(dst, []byte("error"), v.err, paint)
	}
	if v.stack != nil && !o.Stack {
		dst = appendField(dst, []byte("stack"), v.stack, paint)
	}
	if v.caller != nil {
		dst = appendField(dst, []byte("caller"), v.caller, paint)
	}
	if v.foreign {
		dst = append(dst, " foreign=true"...)
	}
	if v.original != nil {
		dst = appendField(dst, []byte("original_length"), v.original, paint)
	}
	dst = append(dst, '\n')
	if v.stack != nil && o.Stack {
		dst = appendStack(dst, v.stack)
	}
	return dst
}

func appendNoRecord(dst, line []byte) []byte {
	dst = append(dst, "(not a record) "...)
	return append(appendShown(dst, line, false), '\n')
}

// A view is what the text of a record needs, as parts of its line.
type view struct {
	time   []byte // 30 bytes, or nil
	level  Level
	logger []byte // unescaped
	worker []byte // as it is shown
	msg    []byte // JSON, or if it is plain what is between its quotes
	plain  bool
	fields int // offset of the user's fields, 0 where the order is not ours
	tail   int // offset behind the last field to show

	err, stack, caller, original []byte // JSON
	foreign                      bool
}

// view reads a line of ours by its fixed parts, any other JSON object key by key. Of the first
// kind it has not looked at the fields yet. It reports false for what is no object.
func (m *textMemory) view(v *view, line []byte) bool {
	if h, ok := ScanHead(line); ok {
		if tail, ok := m.scanTail(line); ok && bytes.HasPrefix(line[h.Rest:], []byte(headMsg)) {
			v.time, v.level, v.logger, v.worker, v.tail = h.Time, h.Level, h.Logger, m.worker, tail
			at := h.Rest + len(headMsg)
			if v.msg, v.fields = plainString(line, at); v.fields > 0 {
				v.plain = true
				return true
			}
			if end, bad := scanValue(line, at, maxDepth); bad == "" {
				v.msg, v.fields = line[at:end], end
				return true
			}
		}
	}
	if Valid(line) != nil {
		return false
	}
	*v = view{level: Info, tail: len(line)}
	for k, value := range Fields(line) {
		switch string(plainKey(k)) {
		case "time":
			if t, err := time.Parse(time.RFC3339Nano, text(value)); err == nil {
				if b := t.UTC().AppendFormat(nil, "2006-01-02T15:04:05.000000000Z"); len(b) == timeLen {
					v.time = b
				}
			}
		case "level":
			if l, err := ParseLevel(text(value)); err == nil {
				v.level = l
			}
		case "logger":
			v.logger = []byte(text(value))
		case "worker":
			if name := text(value); name != "" {
				v.worker = appendWord(nil, []byte(name))
			}
		case "msg":
			v.msg = value
		}
	}
	return true
}

// scanTail returns where the tail of a line of ours begins. The last line's is known.
func (m *textMemory) scanTail(line []byte) (start int, ok bool) {
	end := len(line) - 1
	i := end
	for i > 0 && end-i < 19 && '0' <= line[i-1] && line[i-1] <= '9' {
		i--
	}
	if i < end && line[end] == '}' && line[i] != '0' && len(m.tail) > 0 && bytes.HasSuffix(line[:i], m.tail) {
		return i - len(m.tail), true
	}
	t, ok := ScanTail(line)
	if !ok {
		return 0, false
	}
	m.tail, m.worker = m.tail[:0], m.worker[:0]
	if tail := i - t.Start; i < end && tail <= maxTailMemory {
		m.tail = append(m.tail, line[t.Start:i]...)
	}
	if len(t.Worker) > 0 {
		m.worker = appendWord(m.worker, t.Worker)
	}
	return t.Start, true
}

func (v *view) late(key string, value []byte) {
	switch key {
	case "error":
		v.err = value
	case "stack":
		v.stack = value
	case "caller":
		v.caller = value
	case "original_length":
		v.original = value
	case "foreign":
		v.foreign = string(value) == "true"
	}
}

func (v *view) appendTime(dst []byte) []byte {
	if v.time == nil {
		return append(dst, "-                          "...)
	}
	dst = append(dst, v.time[:len("2006-01-02T15:04:05.000000")]...)
	return append(dst, 'Z')
}

var levelLabels = [...]string{"INFO ", "TRACE", "DEBUG", "INFO ", "WARN ", "ERROR", "FATAL", "PANIC"}

type palette struct {
	faint, reset string
	levels       [len(levelLabels)]string
}

var noColors palette

var colors = palette{
	faint: "\x1b[2m",
	reset: "\x1b[0m",
	levels: [...]string{Trace: "\x1b[2m", Debug: "\x1b[36m", Info: "\x1b[32m", Warn: "\x1b[33m",
		Error: "\x1b[31m", Fatal: "\x1b[1;31m", Panic: "\x1b[1;31m"},
}

// appendPlainFields appends the fields from line[i:] on that need no second look: the key is plain and not one of
// ours, the value a number or a plain string. It returns where it stopped, at the end or at the first other field.
func (m *textMemory) appendPlainFields(dst, line []byte, i int, paint *palette) ([]byte, int) {
	for n := 0; i+1 < len(line) && line[i] == ','; n++ {
		key, at := m.key(n, line, i, paint)
		if at == 0 || at == len(line) {
			break
		}
		if value, end := plainString(line, at); end > 0 {
			dst = appendWord(append(dst, key...), value)
			i = end
			continue
		}
		end, bad := scanNumber(line, at)
		if bad != "" {
			break
		}
		dst = append(dst, key...)
		dst = append(dst, line[at:end]...)
		i = end
	}
	return dst, i
}

// A textKey is the key of a field: records have the same ones in the same order, mostly.
type textKey struct {
	line  []byte // ,"key":
	text  []byte // key=, with a space before it and its colours
	paint *palette
}

const (
	maxTextKeys = 16
	maxTextKey  = 64 // bytes in a line; the memory must not hold on to more
)

// key returns how the key of the nth field, at line[i], is shown, and the position of its value; 0 if it needs a second look.
func (m *textMemory) key(n int, line []byte, i int, paint *palette) (text []byte, at int) {
	k := &m.keys[min(n, maxTextKeys)]
	if k.paint == paint && bytes.HasPrefix(line[i:], k.line) {
		return k.text, i + len(k.line)
	}
	key, at := plainString(line, i+1)
	if at == 0 || at == len(line) || line[at] != ':' || reserved(string(key)) {
		return nil, 0
	}
	at++
	k.line, k.text, k.paint = append(k.line[:0], line[i:at]...), appendKey(k.text[:0], key, paint), paint
	if len(k.line) > maxTextKey {
		text, *k = k.text, textKey{}
		return text, at
	}
	return k.text, at
}

// plainString returns what is between the quotes of the string at b[i], and the position behind it; 0 if there is no
// string, or one with anything but plain bytes.
func plainString(b []byte, i int) (s []byte, end int) {
	if b[i] != '"' {
		return nil, 0
	}
	end = plainEnd(b, i+1)
	if end == len(b) || b[end] != '"' {
		return nil, 0
	}
	return b[i+1 : end], end + 1
}

func appendKey(dst, key []byte, paint *palette) []byte {
	dst = append(dst, ' ')
	dst = append(dst, paint.faint...)
	dst = appendWord(dst, key)
	dst = append(dst, '=')
	return append(dst, paint.reset...)
}

func appendField(dst, key, value []byte, paint *palette) []byte {
	return appendFieldValue(appendKey(dst, key, paint), value)
}

func appendFieldValue(dst, value []byte) []byte {
	switch value[0] {
	case '"':
		return appendWord(dst, plainKey(value[1:len(value)-1]))
	case '{', '[':
		return appendShown(dst, appendCompact(nil, value), false)
	}
	return append(dst, value...)
}

// appendMessage appends the msg, which is not quoted: it is there to be read.
func appendMessage(dst, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	if s, end := plainString(value, 0); end == len(value) {
		return append(dst, s...)
	}
	switch {
	case value[0] == '"':
		return appendShown(dst, plainKey(value[1:len(value)-1]), false)
	}
	return appendShown(dst, value, false)
}

// appendStack appends a stack trace on indented lines.
func appendStack(dst, value []byte) []byte {
	for line := range bytes.SplitSeq(bytes.TrimRight([]byte(text(value)), "\n"), []byte("\n")) {
		dst = append(dst, "    "...)
		for {
			rest, ok := bytes.CutPrefix(line, []byte("\t"))
			if !ok {
				break
			}
			dst, line = append(dst, "    "...), rest
		}
		dst = appendShown(dst, bytes.TrimSuffix(line, []byte("\r")), false)
		dst = append(dst, '\n')
	}
	return dst
}
