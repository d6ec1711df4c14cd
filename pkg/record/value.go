package record

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// AppendValue appends any value as JSON. It writes what encoding/json writes, except that
//
//   - an error is its text, a time.Time is always RFC 3339, a value whose fields are all hidden is
//     what its String method says;
//   - keys of maps may be of any type; text is escaped as by [AppendString], not for HTML;
//   - what JSON cannot say does not spoil the rest: NaN and the infinities become "NaN", "+Inf"
//     and "-Inf", a function or a channel "!TYPE: func()", a value inside itself "!CYCLE: *T",
//     one nested deeper than 100 "!DEPTH: ...", one that comes after 4 MiB "!SIZE: ...", and a
//     method that panics or fails "!PANIC: ..." or "!ERROR: ...".
//
// It never panics.
func AppendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case string:
		return AppendString(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return appendInt(dst, int64(v))
	case int8:
		return appendInt(dst, int64(v))
	case int16:
		return appendInt(dst, int64(v))
	case int32:
		return appendInt(dst, int64(v))
	case int64:
		return appendInt(dst, v)
	case uint:
		return appendUint(dst, uint64(v))
	case uint8:
		return appendUint(dst, uint64(v))
	case uint16:
		return appendUint(dst, uint64(v))
	case uint32:
		return appendUint(dst, uint64(v))
	case uint64:
		return appendUint(dst, v)
	case float32:
		return appendFloat(dst, float64(v), 32)
	case float64:
		return appendFloat(dst, v, 64)
	case time.Time:
		return appendTime(dst, v)
	case time.Duration:
		return appendInt(dst, int64(v))
	}
	return appendReflected(dst, v)
}

func appendReflected(dst []byte, v any) (out []byte) {
	defer func() {
		if r := recover(); r != nil { // a value that is written to meanwhile is anything
			out = AppendString(dst, "!PANIC: "+panicSays(r))
		}
	}()
	e := valueEncoder{start: len(dst)}
	return e.value(dst, reflect.ValueOf(v), 0)
}

// maxValue bounds what one value may grow to: shared pointers can make a small value print as an
// endless one without any cycle.
const maxValue = 4 << 20

// A valueEncoder walks one value.
type valueEncoder struct {
	start int     // where the value begins in dst
	open  []visit // pointers, maps and slices that are being walked, outermost first
}

type visit struct {
	typ reflect.Type
	ptr uintptr
	len int // of a slice: a part of it is another value
}

var (
	timeType      = reflect.TypeFor[time.Time]()
	numberType    = reflect.TypeFor[json.Number]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
	textType      = reflect.TypeFor[encoding.TextMarshaler]()
	errorType     = reflect.TypeFor[error]()
	stringerType  = reflect.TypeFor[fmt.Stringer]()
)

func (e *valueEncoder) value(dst []byte, v reflect.Value, depth int) []byte {
	if !v.IsValid() {
		return append(dst, "null"...)
	}
	if len(dst)-e.start > maxValue {
		return append(dst, `"!SIZE: more than 4 MiB"`...)
	}
	t := v.Type()
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Func, reflect.Chan:
		if v.IsNil() {
			return append(dst, "null"...)
		}
	case reflect.Map, reflect.Slice:
		if v.IsNil() && !t.Implements(marshalerType) {
			return append(dst, "null"...)
		}
	}
	switch t {
	case timeType:
		return appendTime(dst, v.Interface().(time.Time))
	case numberType:
		if n := v.String(); n != "" {
			if end, bad := scanNumber(bytesOf(n), 0); bad == "" && end == len(n) {
				return append(dst, n...)
			}
		}
		return AppendString(dst, v.String())
	}
	if t.NumMethod() > 0 || v.CanAddr() {
		if out, ok := e.byMethod(dst, v, t, depth); ok {
			return out
		}
	}
	return e.byKind(dst, v, t, depth)
}

// byMethod writes a value that knows how to write itself, as encoding/json would: by its own
// method, or by its pointer's where there is a pointer.
func (e *valueEncoder) byMethod(dst []byte, v reflect.Value, t reflect.Type, depth int) (out []byte, ok bool) {
	m := methodsOf(t)
	if m.of == 0 && m.ofPointer != 0 && v.CanAddr() {
		v, m.of = v.Addr(), m.ofPointer
	}
	// String only for what the caller named himself: deeper down it might tell what JSON keeps
	// quiet about, as the password of a url.Userinfo.
	if m.of == 0 || m.of == byString && depth > 0 || !v.CanInterface() {
		return dst, false
	}
	defer func() {
		if r := recover(); r != nil {
			out, ok = AppendString(dst, "!PANIC: "+panicSays(r)), true
		}
	}()
	switch x := v.Interface(); m.of {
	case byMarshaler:
		b, err := x.(json.Marshaler).MarshalJSON()
		if err != nil {
			return AppendString(dst, "!ERROR: "+err.Error()), true
		}
		return appendRawDepth(dst, b, maxValueDepth-depth), true
	case byText:
		b, err := x.(encoding.TextMarshaler).MarshalText()
		if err != nil {
			return AppendString(dst, "!ERROR: "+err.Error()), true
		}
		return appendQuoted(dst, b), true
	case byError:
		return AppendString(dst, x.(error).Error()), true
	default:
		return AppendString(dst, x.(fmt.Stringer).String()), true
	}
}

// panicSays returns what a panic said. Its value may have a method that panics in its turn, and
// fmt gives up at the second panic.
func panicSays(r any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("a value of type %T, which panics as well", r)
		}
	}()
	switch r := r.(type) {
	case string:
		return r
	case error:
		return r.Error()
	case fmt.Stringer:
		return r.String()
	}
	return fmt.Sprintf("a value of type %T", r)
}

// appendError appends err's text.
func appendError(dst []byte, err error) (out []byte) {
	n := len(dst)
	defer func() {
		if r := recover(); r == nil {
			return
		} else if v := reflect.ValueOf(err); v.Kind() == reflect.Pointer && v.IsNil() {
			out = AppendString(dst[:n], "<nil>") // a nil *T in an error: what fmt prints
		} else {
			out = AppendString(dst[:n], "!PANIC: "+panicSays(r))
		}
	}()
	return AppendString(dst, err.Error())
}

func (e *valueEncoder) byKind(dst []byte, v reflect.Value, t reflect.Type, depth int) []byte {
	switch v.Kind() {
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return appendInt(dst, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return appendUint(dst, v.Uint())
	case reflect.Float32:
		return appendFloat(dst, v.Float(), 32)
	case reflect.Float64:
		return appendFloat(dst, v.Float(), 64)
	case reflect.Complex64, reflect.Complex128:
		return AppendString(dst, strconv.FormatComplex(v.Complex(), 'g', -1, t.Bits()))
	case reflect.String:
		return AppendString(dst, v.String())
	case reflect.Interface:
		return e.value(dst, v.Elem(), depth)
	case reflect.Pointer:
		return e.nested(dst, v, depth, 0, func(dst []byte) []byte { return e.value(dst, v.Elem(), depth) })
	case reflect.Struct:
		return e.nested(dst, v, depth, 1, func(dst []byte) []byte { return e.structFields(dst, v, t, depth+1) })
	case reflect.Map:
		return e.nested(dst, v, depth, 1, func(dst []byte) []byte { return e.mapEntries(dst, v, depth+1) })
	case reflect.Slice:
		if elem := t.Elem(); elem.Kind() == reflect.Uint8 && methodsOf(elem) == (methods{}) {
			return appendBase64(dst, v.Bytes())
		}
		return e.nested(dst, v, depth, 1, func(dst []byte) []byte { return e.elements(dst, v, depth+1) })
	case reflect.Array:
		return e.nested(dst, v, depth, 1, func(dst []byte) []byte { return e.elements(dst, v, depth+1) })
	}
	return AppendString(dst, "!TYPE: "+t.String())
}

// nested guards a value that holds others: it may lie inside itself, or too deep. A pointer adds
// no depth to the JSON, but a chain of pointers to interfaces is a nesting too: it counts in open.
func (e *valueEncoder) nested(dst []byte, v reflect.Value, depth, more int, write func([]byte) []byte) []byte {
	if depth+more > maxValueDepth || len(e.open) > 2*maxValueDepth {
		return append(dst, `"!DEPTH: nested deeper than 100"`...)
	}
	in := visit{typ: v.Type()}
	switch v.Kind() {
	case reflect.Slice:
		in.len = v.Len()
		fallthrough
	case reflect.Pointer, reflect.Map:
		in.ptr = v.Pointer()
	}
	if in.ptr != 0 {
		if slices.Contains(e.open, in) {
			return AppendString(dst, "!CYCLE: "+in.typ.String())
		}
	}
	e.open = append(e.open, in)
	dst = write(dst)
	e.open = e.open[:len(e.open)-1]
	return dst
}

func (e *valueEncoder) elements(dst []byte, v reflect.Value, depth int) []byte {
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if len(dst)-e.start > maxValue {
			dst = append(dst, `"!SIZE: more than 4 MiB"`...)
			break
		}
		dst = e.value(dst, v.Index(i), depth)
	}
	return append(dst, ']')
}

func appendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

func appendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}
