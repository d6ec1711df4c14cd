package record

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// A Head is the beginning of one of our lines.
type Head struct {
	Time   []byte // as it stands in the line, 30 bytes; aliases it
	Level  Level
	Logger []byte // unescaped; aliases the line where nothing was escaped
	Rest   int    // offset behind the logger's value: of ,"msg":
}

// ScanHead reads the beginning of one of our own lines, by its fixed offsets. It reports false
// for a line that begins in any other way.
func ScanHead(line []byte) (Head, bool) {
	level, i := scanLevel(line)
	if level == 0 {
		return Head{}, false
	}
	end := plainEnd(line, i+1)
	name := line[i+1 : end]
	if end == len(line) {
		return Head{}, false
	}
	if line[end] != '"' {
		var bad string
		if end, bad = scanString(line, i); bad != "" {
			return Head{}, false
		}
		end--
		name = line[i+1 : end]
		if bytes.IndexByte(name, '\\') >= 0 {
			name = appendUnescaped(nil, name)
		}
	}
	return Head{
		Time:   line[len(headOpen) : len(headOpen)+timeLen],
		Level:  level,
		Logger: name,
		Rest:   end + 1,
	}, true
}

// scanLevel checks a line's beginning up to the logger's opening quote, and returns the level and
// the offset of that quote; level 0 if it is not well-formed.
func scanLevel(line []byte) (Level, int) {
	if len(line) <= levelAt || string(line[:len(headOpen)]) != headOpen ||
		string(line[levelAt-len(headLevel):levelAt]) != headLevel || !timeShape(line[len(headOpen):len(headOpen)+timeLen]) {
		return 0, 0
	}
	rest := line[levelAt:]
	var l Level
	switch rest[0] { // no two levels begin alike
	case 't':
		l = Trace
	case 'd':
		l = Debug
	case 'i':
		l = Info
	case 'w':
		l = Warn
	case 'e':
		l = Error
	case 'f':
		l = Fatal
	case 'p':
		l = Panic
	}
	n := len(levelNames[l])
	if l == 0 || len(rest) <= n+len(headLogger) || string(rest[:n]) != levelNames[l] ||
		string(rest[n:n+len(headLogger)]) != headLogger || rest[n+len(headLogger)] != '"' {
		return 0, 0
	}
	return l, levelAt + n + len(headLogger)
}

// timeShape reports whether b, of timeLen bytes, has digits and punctuation in the right places.
func timeShape(b []byte) bool {
	b = b[:timeLen]
	return shaped(b, timeWords[0]) && shaped(b[8:], timeWords[1]) && shaped(b[16:], timeWords[2]) && shaped(b[22:], timeWords[3])
}

// A shapeWord checks eight bytes at once. An exclusive or with the shape leaves 0 of punctuation
// and 0 to 9 of a digit; the addition brings what is more than that to the top bit.
type shapeWord struct{ shape, add uint64 }

func shaped(b []byte, w shapeWord) bool {
	x := binary.LittleEndian.Uint64(b) ^ w.shape
	return (x|(x+w.add))&eachHigh == 0
}

var timeWords = func() (words [4]shapeWord) {
	const shape = "0000-00-00T00:00:00.000000000Z"
	for i, at := range []int{0, 8, 16, 22} {
		for j := range 8 {
			c := shape[at+j]
			add := uint64(0x80 - 1)
			if c == '0' {
				add = 0x80 - 10
			}
			words[i].shape |= uint64(c) << (8 * j)
			words[i].add |= add << (8 * j)
		}
	}
	return words
}()

// A Tail is the end of one of our lines: who wrote it, and which it was.
type Tail struct {
	App, Worker, Run []byte // unescaped; alias the line where nothing was escaped
	Seq              uint64
	Start            int // offset of ,"app":
}

// ScanTail reads the end of one of our own lines, with or without its newline. It reports false
// for a line that ends in any other way.
func ScanTail(line []byte) (Tail, bool) {
	var t Tail
	end := len(line)
	if end > 0 && line[end-1] == '\n' {
		end--
	}
	seq, at, ok := scanSeq(line[:end])
	if !ok {
		return t, false
	}
	t.Seq = seq
	if t.Run, at, ok = scanBack(line[:at], `,"run":`); !ok {
		return t, false
	}
	if t.Worker, at, ok = scanBack(line[:at], `,"worker":`); !ok {
		return t, false
	}
	if t.App, at, ok = scanBack(line[:at], `,"app":`); !ok {
		return t, false
	}
	t.Start = at
	return t, true
}

// scanSeq reads ,"seq":N} at the end of line and returns N and where it begins.
func scanSeq(line []byte) (seq uint64, at int, ok bool) {
	end := len(line) - 1
	if end < 0 || line[end] != '}' {
		return 0, 0, false
	}
	i := end
	for i > 0 && end-i < 20 && '0' <= line[i-1] && line[i-1] <= '9' {
		i--
	}
	if i == end || line[i] == '0' {
		return 0, 0, false
	}
	seq, err := strconv.ParseUint(string(line[i:end]), 10, 64)
	if err != nil || !bytes.HasSuffix(line[:i], []byte(`,"seq":`)) {
		return 0, 0, false
	}
	return seq, i - len(`,"seq":`), true
}

// scanBack reads a key and a string at the end of line. A quote that is not escaped is where
// the string begins: inside a string it would be.
func scanBack(line []byte, key string) (value []byte, at int, ok bool) {
	end := len(line) - 1
	if end < 0 || line[end] != '"' {
		return nil, 0, false
	}
	i := end
	for i > 0 && bareByte[line[i-1]&0x7f] {
		i-- // most names are words
	}
	for {
		if i = bytes.LastIndexByte(line[:i], '"'); i < 0 {
			return nil, 0, false
		}
		n := 0
		for n < i && line[i-1-n] == '\\' {
			n++
		}
		if n%2 == 0 {
			break
		}
	}
	if !bytes.HasSuffix(line[:i], []byte(key)) {
		return nil, 0, false
	}
	value = line[i+1 : end]
	if bytes.IndexByte(value, '\\') >= 0 {
		value = appendUnescaped(nil, value)
	}
	return value, i - len(key), true
}
