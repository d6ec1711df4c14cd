package publisher

import (
	"context"
	"log/slog"
	"math"
	"time"
	"unsafe"

	"github.com/logbraid/logbraid/pkg/record"
)

// A Field is a key with a value, for [Logger]. One of the functions below makes it; the zero Field
// adds nothing.
//
// It is no more than four words because the compiler keeps a struct of that size in registers and
// copies a larger one through memory, twice: with a slog.Attr, of five, building three fields costs
// as much as encoding them.
type Field struct {
	key string
	// ref is a string's bytes, with its length in num; or the address of one of marks, with the
	// value in num; or the address of the value, with boxed and its kind in num.
	ref unsafe.Pointer
	num uint64
}

// The kinds of values that are in num itself.
const (
	kindInt = iota
	kindUint
	kindFloat
	kindBool
	kinds
)

// marks are addresses that tell the kinds. What ref points to otherwise is never in here.
var marks [kinds]byte

// The kinds of values that ref points to. No string is so long that boxed is set in its length.
const (
	boxed    = 1 << 63
	boxedAny = boxed | iota
	boxedTime
	boxedGroup
	boxedAttr
)

func scalar(key string, kind int, num uint64) Field {
	return Field{key, unsafe.Pointer(&marks[kind]), num}
}

// A ContextFunc takes from a log call's context what belongs into the record, such as trace_id and
// span_id. It is called for each record that is written, in the caller's goroutine; nil is fine.
type ContextFunc func(ctx context.Context) []Field

// Err is the record's error. A nil error adds nothing.
func Err(err error) Field {
	if err == nil {
		return Field{}
	}
	return Any("error", err)
}

// String is a field with a string.
func String(key, value string) Field {
	return Field{key, unsafe.Pointer(unsafe.StringData(value)), uint64(len(value))}
}

// Int is a field with a whole number.
func Int(key string, value int) Field { return scalar(key, kindInt, uint64(value)) }

// Int64 is a field with a whole number.
func Int64(key string, value int64) Field { return scalar(key, kindInt, uint64(value)) }

// Uint64 is a field with a whole number.
func Uint64(key string, value uint64) Field { return scalar(key, kindUint, value) }

// Float64 is a field with a number; NaN and the infinities become strings.
func Float64(key string, value float64) Field {
	return scalar(key, kindFloat, math.Float64bits(value))
}

// Bool is a field with true or false.
func Bool(key string, value bool) Field {
	var num uint64
	if value {
		num = 1
	}
	return scalar(key, kindBool, num)
}

// Duration is a field with a duration, which becomes a number of nanoseconds.
func Duration(key string, value time.Duration) Field { return scalar(key, kindInt, uint64(value)) }

// Time is a field with a time.
func Time(key string, value time.Time) Field { return Field{key, unsafe.Pointer(&value), boxedTime} }

// Any is a field with any value, as [record.AppendValue] writes it. A slog.LogValuer is asked for
// its value when the record is written.
func Any(key string, value any) Field { return Field{key, unsafe.Pointer(&value), boxedAny} }

// Group is a field that is an object. Without fields it is left out; with an empty key its fields
// stand where the group would.
func Group(key string, fields ...Field) Field {
	return Field{key, unsafe.Pointer(&fields), boxedGroup}
}

// Attr is a field that is an attribute of log/slog.
func Attr(a slog.Attr) Field { return Field{a.Key, unsafe.Pointer(&a), boxedAttr} }

// appendField adds f to l.
func appendField(l *record.Line, f *Field) {
	if kind := uintptr(f.ref) - uintptr(unsafe.Pointer(&marks)); kind < kinds {
		switch kind {
		case kindInt:
			l.Int(f.key, int64(f.num))
		case kindUint:
			l.Uint(f.key, f.num)
		case kindFloat:
			l.Float(f.key, math.Float64frombits(f.num))
		case kindBool:
			l.Bool(f.key, f.num == 1)
		}
		return
	}
	if f.num < boxed {
		if f.key != "" || f.num > 0 {
			l.Str(f.key, unsafe.String((*byte)(f.ref), int(f.num)))
		}
		return
	}
	appendBoxed(l, f)
}

func appendBoxed(l *record.Line, f *Field) {
	switch f.num {
	case boxedTime:
		l.Time(f.key, *(*time.Time)(f.ref))
	case boxedAttr:
		appendAttr(l, (*slog.Attr)(f.ref))
	case boxedAny:
		v := *(*any)(f.ref)
		if _, ok := v.(slog.LogValuer); ok {
			value := slog.AnyValue(v)
			appendValue(l, f.key, &value)
			return
		}
		l.Any(f.key, v)
	case boxedGroup:
		if f.key != "" {
			l.OpenGroup(f.key)
		}
		fields := *(*[]Field)(f.ref)
		for i := range fields {
			appendField(l, &fields[i])
		}
		if f.key != "" {
			l.CloseGroup()
		}
	}
}

// appendAttr adds a to l.
func appendAttr(l *record.Line, a *slog.Attr) { appendValue(l, a.Key, &a.Value) }

// appendValue adds v to l by slog's rules: a LogValuer is resolved, an empty Attr ignored, a group
// with an empty key inlined.
func appendValue(l *record.Line, key string, v *slog.Value) {
	switch v.Kind() {
	case slog.KindString:
		l.Str(key, v.String())
	case slog.KindInt64:
		l.Int(key, v.Int64())
	case slog.KindUint64:
		l.Uint(key, v.Uint64())
	case slog.KindFloat64:
		l.Float(key, v.Float64())
	case slog.KindBool:
		l.Bool(key, v.Bool())
	case slog.KindDuration:
		l.Duration(key, v.Duration())
	case slog.KindTime:
		l.Time(key, v.Time())
	case slog.KindGroup:
		appendGroup(l, key, v.Group())
	case slog.KindLogValuer:
		resolved := v.Resolve()
		appendValue(l, key, &resolved)
	default:
		if x := v.Any(); x != nil || key != "" {
			l.Any(key, x)
		}
	}
}

func appendGroup(l *record.Line, key string, attrs []slog.Attr) {
	if key != "" {
		l.OpenGroup(key)
	}
	for i := range attrs {
		appendAttr(l, &attrs[i])
	}
	if key != "" {
		l.CloseGroup()
	}
}
