package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

type (
	inner struct {
		A int `json:"a"`
		B string
	}
	Other   struct{ B, C int }
	hidden1 struct{ Shown int }
	tagged  struct {
		Name    string             `json:"name"`
		Empty   string             `json:"empty,omitempty"`
		Zero    time.Time          `json:"zero,omitzero"`
		Skip    int                `json:"-"`
		Quoted  int                `json:",string"`
		QuotedS string             `json:"qs,string"`
		QuotedP *int               `json:"qp,string"`
		Any     any                `json:"any"`
		Map     map[string]int     `json:"map"`
		Ptr     *inner             `json:"ptr"`
		Slice   []inner            `json:"slice"`
		Array   [2]bool            `json:"array"`
		Bytes   []byte             `json:"bytes"`
		Raw     json.RawMessage    `json:"raw"`
		Num     json.Number        `json:"num"`
		Ints    map[int]string     `json:"ints"`
		Addr    netip.Addr         `json:"addr"`
		Texts   map[netip.Addr]int `json:"texts"`
		inner
		*Other
		hidden1
		Dur time.Duration
		F32 float32
	}
	onPointer struct{ n int }
	marshaler struct{ text string }
	state     int
)

func (p *onPointer) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "p%d", p.n), nil }
func (m marshaler) MarshalJSON() ([]byte, error) {
	if m.text == "" {
		return nil, errors.New("nothing to say")
	}
	return []byte(m.text), nil
}
func (s state) String() string { return "state" }

func plainJSON(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// TestValueAsEncodingJSON holds AppendValue to encoding/json wherever they promise the same.
func TestValueAsEncodingJSON(t *testing.T) {
	one := 1
	u, _ := url.Parse("https://user@example.com/a?b=c")
	values := []any{
		nil, true, "a<b>&c\u2028", int8(-1), uint64(math.MaxUint64), int64(math.MinInt64), float32(0.1), 1e21, 1e-7, 123456789.125,
		math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64, float32(1e-7), float32(3.4e38), state(3),
		[]string{"a"}, []string(nil), []string{}, map[string]any{"b": 1, "a": []any{nil, 1.5}}, map[string]string(nil),
		[]byte("bytes"), [3]byte{1, 2, 3}, json.RawMessage(` {"a" : [1, 2] } `), json.Number("12.50"),
		big.NewInt(12345), net.IPv4(1, 2, 3, 4), netip.MustParseAddr("::1"), time.Duration(5), time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 3600)),
		u, *u, struct{}{}, &one, new(*int), map[int]string{10: "a", 9: "b"}, map[netip.Addr]int{netip.MustParseAddr("1.2.3.4"): 1},
		&onPointer{7}, []onPointer{{1}}, []*onPointer{{2}, nil}, marshaler{`"ok"`}, &marshaler{`[1]`}, []any{marshaler{`1`}},
		struct{ P onPointer }{}, &struct{ P onPointer }{onPointer{3}}, inner{1, "b"}, &inner{}, Other{},
		struct {
			inner
			Other
		}{inner{1, "x"}, Other{2, 3}},
		struct {
			*inner
			B string `json:"B"`
		}{},
		struct {
			X struct{ inner }
			Y *Other
		}{},
		tagged{Num: "1"},
		&tagged{Name: "n", Empty: "e", Zero: time.Unix(0, 0).UTC(), Quoted: 2, QuotedS: `q"`, QuotedP: &one, Any: []any{1, "x"},
			Map: map[string]int{"k": 1}, Ptr: &inner{}, Slice: []inner{{}, {}}, Bytes: []byte{0xff}, Raw: json.RawMessage(`{"x":1}`),
			Num: "3", Ints: map[int]string{1: "x"}, Addr: netip.MustParseAddr("10.0.0.1"), Other: &Other{1, 2}, Dur: time.Second, F32: 1.1},
	}
	for _, v := range values {
		if got, want := string(AppendValue([]byte("x"), v)), "x"+plainJSON(t, v); got != want {
			t.Errorf("%T\n got %s\nwant %s", v, got, want)
		}
	}
}

type (
	panicString  struct{ _ int }
	panicJSON    struct{}
	panicError   struct{}
	panicText    struct{}
	panicTwice   struct{}
	valueError   struct{ text string }
	stringer     struct{ hidden int }
	loop         struct{ Next *loop }
	loopMap      map[string]loopMap
	selfMarshal  struct{ depth int }
	interfaceKey map[any]int
)

func (panicString) String() string             { panic("string") }
func (panicJSON) MarshalJSON() ([]byte, error) { panic(errors.New("json")) }
func (panicError) Error() string               { panic(panicString{}) }
func (panicText) MarshalText() ([]byte, error) { panic(map[string]int{"no": 1}) }
func (panicTwice) Error() string               { panic(panicError{}) }
func (e *valueError) Error() string            { return e.text }
func (s stringer) String() string              { return fmt.Sprint("shown ", s.hidden) }
func (s selfMarshal) MarshalJSON() ([]byte, error) {
	return []byte(strings.Repeat("[", s.depth) + strings.Repeat("]", s.depth)), nil
}

// TestValueThatJSONRefuses: what has no JSON says so, in its place, and spoils nothing else.
func TestValueThatJSONRefuses(t *testing.T) {
	ring := &loop{}
	ring.Next = ring
	m := loopMap{}
	m["self"] = m
	s := []any{1, nil}
	s[1] = s
	var np *valueError
	var nilErr error = np
	deep := any(1)
	for range 10000 {
		deep = []any{deep}
	}
	deepPtr := any(1)
	for range 10000 {
		p := deepPtr
		deepPtr = &p
	}
	for _, c := range []struct {
		name string
		v    any
		want string // a trailing ... stands for anything
	}{
		{"NaN", math.NaN(), `"NaN"`},
		{"NaN inside", map[string]float64{"a": math.Inf(1), "b": 1}, `{"a":"+Inf","b":1}`},
		{"NaN 32", struct{ F float32 }{float32(math.Inf(-1))}, `{"F":"-Inf"}`},
		{"complex", 1 + 2i, `"(1+2i)"`},
		{"channel", make(chan int), `"!TYPE: chan int"`},
		{"nil channel", (chan int)(nil), `null`},
		{"function", map[string]any{"f": func() {}}, `{"f":"!TYPE: func()"}`},
		{"error", errors.New("boom"), `"boom"`},
		{"error inside", struct{ Err error }{errors.New("boom")}, `{"Err":"boom"}`},
		{"nil error inside", struct{ Err error }{nilErr}, `{"Err":null}`},
		{"hidden fields", stringer{3}, `"shown 3"`},
		{"hidden fields, no method", struct{ a int }{1}, `{}`},
		{"panicking String", panicString{}, `"!PANIC: string"`},
		{"panicking MarshalJSON", []any{1, panicJSON{}, 2}, `[1,"!PANIC: json",2]`},
		{"panicking Error", panicError{}, `"!PANIC: a value of type record.panicString, which panics as well"`},
		{"panicking MarshalText", panicText{}, `"!PANIC: a value of type map[string]int"`},
		{"panic about a panic", panicTwice{}, `"!PANIC: a value of type record.panicError, which panics as well"`},
		{"failing MarshalJSON", marshaler{}, `"!ERROR: nothing to say"`},
		{"false MarshalJSON", marshaler{"{no"}, `"{no"`},
		{"forging MarshalJSON", marshaler{"1}\n{\"level\":\"fatal\"}"}, `"1}\n{\"level\":\"fatal\"}"`},
		{"pointer cycle", ring, `{"Next":"!CYCLE: *record.loop"}`},
		{"map cycle", m, `{"self":"!CYCLE: record.loopMap"}`},
		{"slice cycle", s, `[1,"!CYCLE: []interface {}"]`},
		{"deep", deep, strings.Repeat("[", 100) + `"!DEPTH: nested deeper than 100"` + strings.Repeat("]", 100)},
		{"deep pointers", deepPtr, `"!DEPTH: nested deeper than 100"`},
		{"deep MarshalJSON", selfMarshal{10000}, `"[[[...`},
		{"deep MarshalJSON, deeper", []any{selfMarshal{100}}, `["[[[...`},
		{"bool keys", map[bool]int{true: 1}, `{"true":1}`},
		{"mixed keys", interfaceKey{1: 1, "1": 2, 2.5: 3, nil: 4, [1]int{7}: 5}, `{"1":...`},
		{"keys equal once shown", map[string]int{"a\xff": 1, "a\xfe": 1, "a\xfeb": 2}, `{"a` + "\ufffd" + `":1,"a` + "\ufffd" + `#2":1,"a` + "\ufffd" + `b":2}`},
		{"invalid number", json.Number("1}"), `"1}"`},
		{"year 10000", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), `"10000-01-01T00:00:00Z"`},
		{"year 0 inside", []time.Time{time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}, `["-0001-01-01T00:00:00Z"]`},
		{"text escaped", []string{"\x1b[2J\u009b\u202e\x7f\xff"}, `["\u001b[2J\u009b\u202e\u007f` + "\ufffd" + `"]`},
	} {
		got := string(AppendValue(nil, c.v))
		if want, cut := strings.CutSuffix(c.want, "..."); got != c.want && !(cut && strings.HasPrefix(got, want)) {
			t.Errorf("%s\n got %s\nwant %s", c.name, clip(got, 500), c.want)
		}
		if !json.Valid([]byte(got)) {
			t.Errorf("%s: not JSON: %s", c.name, clip(got, 500))
		}
	}
}

// TestValueBounded: 2^60 leaves without any cycle.
func TestValueBounded(t *testing.T) {
	type node struct{ L, R *node }
	n := &node{}
	for range 60 {
		n = &node{n, n}
	}
	got := AppendValue(nil, n)
	if len(got) > maxValue+64<<10 || !json.Valid(got) || !bytes.Contains(got, []byte("!SIZE")) {
		t.Errorf("%d bytes, %.80s", len(got), got)
	}
}
