package record

import (
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"time"
)

// A Record is a line, read. Raw aliases the line that it was read from; the rest is its own.
type Record struct {
	Time      time.Time
	Level     Level
	Logger    string
	Msg       string
	Error     string // the JSON of an error that is not a string
	Stack     string
	Caller    string
	App       string
	Worker    string
	Run       string
	Seq       uint64
	Foreign   bool
	Truncated bool
	Raw       []byte // the line, without its newline
}

// Parse reads a line of the log, with or without its newline. What the line lacks stays zero. The
// error says what makes the line invalid, or which key of ours has a value that it cannot have.
func Parse(line []byte) (Record, error) {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if err := Valid(line); err != nil {
		return Record{}, err
	}
	r := Record{Raw: line}
	for k, v := range Fields(line) {
		if err := r.set(plainKey(k), v); err != nil {
			return Record{}, fmt.Errorf("parse record: %s: %w", k, err)
		}
	}
	return r, nil
}

func (r *Record) set(key, value []byte) (err error) {
	switch string(key) {
	case "time":
		r.Time, err = time.Parse(time.RFC3339Nano, text(value))
	case "level":
		r.Level, err = ParseLevel(text(value))
	case "logger":
		r.Logger = text(value)
	case "msg":
		r.Msg = text(value)
	case "error":
		r.Error = text(value)
	case "stack":
		r.Stack = text(value)
	case "caller":
		r.Caller = text(value)
	case "app":
		r.App = text(value)
	case "worker":
		r.Worker = text(value)
	case "run":
		r.Run = text(value)
	case "seq":
		r.Seq, err = strconv.ParseUint(string(value), 10, 64)
	case "foreign":
		r.Foreign = string(value) == "true"
	case "truncated":
		r.Truncated = string(value) == "true"
	}
	return err
}

// text returns a string's text, and any other value's JSON.
func text(v []byte) string {
	if len(v) >= 2 && v[0] == '"' {
		return string(plainKey(v[1 : len(v)-1]))
	}
	return string(v)
}

// Field returns the JSON of a top-level key, ours or the user's. It aliases Raw.
func (r Record) Field(key string) (json.RawMessage, bool) {
	for k, v := range Fields(r.Raw) {
		if string(plainKey(k)) == key {
			return json.RawMessage(v), true
		}
	}
	return nil, false
}

// Fields yields the user's own fields, in their order. The values alias Raw.
func (r Record) Fields() iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		for k, v := range Fields(r.Raw) {
			if key := string(plainKey(k)); !reserved(key) && !yield(key, json.RawMessage(v)) {
				return
			}
		}
	}
}
