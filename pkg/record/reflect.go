package record

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// A writer names the method by which a value writes itself.
type writer uint8

const (
	byMarshaler writer = iota + 1 // json.Marshaler
	byError                       // error
	byText                        // encoding.TextMarshaler
	byString                      // fmt.Stringer, where JSON would have nothing to say
)

// methods says by which method values of a type write themselves, and pointers to them.
type methods struct{ of, ofPointer writer }

var methodCache sync.Map // reflect.Type -> methods

func methodsOf(t reflect.Type) methods {
	if m, ok := methodCache.Load(t); ok {
		return m.(methods)
	}
	m := methods{of: writerOf(t, t)}
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface {
		m.ofPointer = writerOf(reflect.PointerTo(t), t)
	}
	methodCache.Store(t, m)
	return m
}

// writerOf returns the method of t, which is base or a pointer to it.
func writerOf(t, base reflect.Type) writer {
	switch {
	case t.Kind() == reflect.Interface:
		return 0 // what is in it decides
	case t.Implements(marshalerType):
		return byMarshaler
	case t.Implements(errorType):
		return byError
	case t.Implements(textType):
		return byText
	case t.Implements(stringerType) && hidden(base):
		return byString
	}
	return 0
}

// hidden reports whether JSON would show nothing of a value, so that String is better.
func hidden(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct:
		return t.NumField() > 0 && len(fieldsOf(t)) == 0
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return true
	}
	return false
}

// A structField is a field as encoding/json sees it.
type structField struct {
	name      string
	index     []int
	tagged    bool
	omitEmpty bool
	omitZero  bool
	quoted    bool // the tag's option "string"
}

var fieldCache sync.Map // reflect.Type -> []structField

func fieldsOf(t reflect.Type) []structField {
	if f, ok := fieldCache.Load(t); ok {
		return f.([]structField)
	}
	f := dominant(collectFields(t))
	fieldCache.Store(t, f)
	return f
}

// collectFields lists the fields of a struct and of those embedded in it, level by level.
func collectFields(t reflect.Type) []structField {
	type level struct {
		typ   reflect.Type
		index []int
	}
	var fields []structField
	visited := map[reflect.Type]bool{}
	var count map[reflect.Type]int
	for next := []level{{typ: t}}; len(next) > 0; {
		current := next
		next = nil
		times := count
		count = map[reflect.Type]int{}
		for _, in := range current {
			if visited[in.typ] {
				continue
			}
			visited[in.typ] = true
			for i := range in.typ.NumField() {
				sf := in.typ.Field(i)
				inner := sf.Type
				if inner.Name() == "" && inner.Kind() == reflect.Pointer {
					inner = inner.Elem()
				}
				if !sf.IsExported() && !(sf.Anonymous && inner.Kind() == reflect.Struct) {
					continue
				}
				tag := sf.Tag.Get("json")
				if tag == "-" {
					continue
				}
				name, options, _ := strings.Cut(tag, ",")
				if !validName(name) {
					name = ""
				}
				index := append(slices.Clip(in.index), i)
				if name == "" && sf.Anonymous && inner.Kind() == reflect.Struct {
					if count[inner]++; count[inner] == 1 {
						next = append(next, level{inner, index})
					}
					continue
				}
				f := structField{name: cmp.Or(name, sf.Name), index: index, tagged: name != ""}
				for _, o := range strings.Split(options, ",") {
					switch o {
					case "omitempty":
						f.omitEmpty = true
					case "omitzero":
						f.omitZero = true
					case "string":
						f.quoted = basic(inner.Kind())
					}
				}
				fields = append(fields, f)
				if times[in.typ] > 1 {
					fields = append(fields, f) // embedded twice at one level: neither counts
				}
			}
		}
	}
	return fields
}

// dominant leaves one field of each name, by the rules of encoding/json: the least nested, of
// several of those the one with a tag, and none where that still leaves several.
func dominant(fields []structField) []structField {
	slices.SortStableFunc(fields, func(a, b structField) int {
		tag := 0
		if a.tagged != b.tagged {
			if tag = 1; a.tagged {
				tag = -1
			}
		}
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(len(a.index), len(b.index)), tag)
	})
	out := fields[:0]
	for i := 0; i < len(fields); {
		n := i + 1
		for n < len(fields) && fields[n].name == fields[i].name {
			n++
		}
		if f := fields[i]; n == i+1 || len(f.index) != len(fields[i+1].index) || f.tagged != fields[i+1].tagged {
			out = append(out, f)
		}
		i = n
	}
	slices.SortFunc(out, func(a, b structField) int { return slices.Compare(a.index, b.index) })
	return slices.Clip(out)
}

// validName reports whether encoding/json takes a tag's name.
func validName(s string) bool {
	if s == "" {
		return false
	}
	for _, r := range s {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return true
}

func basic(k reflect.Kind) bool {
	return reflect.Bool <= k && k <= reflect.Float64 || k == reflect.String
}

func (e *valueEncoder) structFields(dst []byte, v reflect.Value, t reflect.Type, depth int) []byte {
	dst = append(dst, '{')
	n := len(dst)
fields:
	for _, f := range fieldsOf(t) {
		fv := v
		for i, at := range f.index {
			if i > 0 && fv.Kind() == reflect.Pointer {
				if fv.IsNil() {
					continue fields
				}
				fv = fv.Elem()
			}
			fv = fv.Field(at)
		}
		if f.omitEmpty && empty(fv) || f.omitZero && zero(fv) {
			continue
		}
		if len(dst) > n {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, f.name)
		dst = append(dst, ':')
		at := len(dst)
		dst = e.value(dst, fv, depth)
		if f.quoted && string(dst[at:]) != "null" {
			dst = appendQuoted(dst[:at], slices.Clone(dst[at:]))
		}
	}
	return append(dst, '}')
}

// empty is what omitempty leaves out.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// zero is what omitzero leaves out: by the value's own IsZero, if it has one that works.
func zero(v reflect.Value) (is bool) {
	defer func() {
		if recover() != nil {
			is = false
		}
	}()
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return true
		}
	}
	if z, ok := v.Interface().(interface{ IsZero() bool }); ok {
		return z.IsZero()
	}
	if v.CanAddr() {
		if z, ok := v.Addr().Interface().(interface{ IsZero() bool }); ok {
			return z.IsZero()
		}
	}
	return v.IsZero()
}

func (e *valueEncoder) mapEntries(dst []byte, v reflect.Value, depth int) []byte {
	type entry struct {
		key   string
		value reflect.Value
	}
	entries := make([]entry, 0, v.Len())
	for it := v.MapRange(); it.Next(); {
		key := e.mapKey(it.Key(), depth)
		if !utf8.ValidString(key) {
			key = string([]rune(key)) // as it will stand there, so that equal ones meet
		}
		entries = append(entries, entry{key, it.Value()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	dst = append(dst, '{')
	again := 0
	for i, en := range entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		if len(dst)-e.start > maxValue {
			dst = append(dst, `"!SIZE":"more than 4 MiB"`...)
			break
		}
		if i > 0 && entries[i-1].key == en.key {
			again++
			dst = AppendString(dst, en.key+"#"+strconv.Itoa(again+1))
		} else {
			again = 0
			dst = AppendString(dst, en.key)
		}
		dst = append(dst, ':')
		dst = e.value(dst, en.value, depth)
	}
	return append(dst, '}')
}

// mapKey returns a key's text: that of encoding/json where it has one, otherwise its JSON.
func (e *valueEncoder) mapKey(k reflect.Value, depth int) string {
	if k.Kind() == reflect.Interface {
		k = k.Elem()
	}
	if k.Kind() == reflect.String {
		return k.String()
	}
	inner := valueEncoder{open: e.open}
	b := inner.value(nil, k, depth)
	if b[0] == '"' {
		b = appendUnescaped(nil, b[1:len(b)-1])
	}
	return string(b)
}
