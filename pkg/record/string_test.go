package record

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestPlainEnd tries every byte in every place of the words that plainEnd reads at once, among
// neighbours from both ends of what is plain.
func TestPlainEnd(t *testing.T) {
	for c := range 256 {
		plain := c >= ' ' && c < 0x7f && c != '"' && c != '\\'
		for n := range 20 {
			for at := range n {
				for _, fill := range []string{" ", "~", "#", "!"} {
					b := []byte(strings.Repeat(fill, n))
					b[at] = byte(c)
					want := at
					if plain {
						want = n
					}
					if got := plainEnd(b, 0); got != want {
						t.Fatalf("%q: %d, want %d", b, got, want)
					}
				}
			}
		}
	}
	for a := range 256 { // what follows a marked byte does not matter, whatever it carries over
		for c := range 256 {
			b := []byte("  xxxxxx")
			b[2], b[3] = byte(a), byte(c)
			want := 8
			for i, x := range b {
				if x < ' ' || x >= 0x7f || x == '"' || x == '\\' {
					want = i
					break
				}
			}
			if got := plainEnd(b, 0); got != want {
				t.Fatalf("%q: %d, want %d", b, got, want)
			}
		}
	}
}

func TestAppendString(t *testing.T) {
	for in, want := range map[string]string{
		"":                        `""`,
		"a":                       `"a"`,
		"<a href='x'>&</a>":       `"<a href='x'>&</a>"`,
		"\"\\/\b\f\n\r\t\x00\x1f": `"\"\\/\b\f\n\r\t\u0000\u001f"`,
		"\x7f\u0080\u009b\u00a0":  `"\u007f\u0080\u009b` + "\u00a0" + `"`,
		"\u2027\u2028\u2029\u202e\u202f\u2065\u2066\u2069\u206a\u200d\u200e\u200f\u061c\ufeff": "\"\u2027" + `\u2028\u2029\u202e` + "\u202f\u2065" + `\u2066\u2069` + "\u206a\u200d" + `\u200e\u200f\u061c\ufeff"`,
		"\xff\xfea\xed\xa0\x80": "\"\ufffd\ufffda\ufffd\ufffd\ufffd\"",
		"ö€😀\ufffd":             "\"ö€😀\ufffd\"",
		"\xc3":                  "\"\ufffd\"",
		"eight by\nte words\"":  `"eight by\nte words\""`,
	} {
		got := string(AppendString([]byte("x"), in))
		if got != "x"+want {
			t.Errorf("%q\n got %s\nwant x%s", in, got, want)
		}
		var back string
		if err := json.Unmarshal([]byte(got[1:]), &back); err != nil || back != string([]rune(in)) {
			t.Errorf("%q reads %q, %v", in, back, err)
		}
	}
}

// plainEnd looks at eight, four or one byte at a time, and at some twice.
func TestPlainEndFindsEveryByteAtEveryPlace(t *testing.T) {
	for size := range 34 {
		for from := range size + 1 {
			for at := range size {
				for _, c := range []byte{0, 1, '\n', 0x1f, ' ', '!', '"', '#', '[', '\\', ']', '~', 0x7f, 0x80, 0x81, 0xfe, 0xff} {
					s := bytes.Repeat([]byte{'x'}, size)
					s[at] = c
					want := size
					if at >= from && (c < ' ' || c >= 0x7f || c == '"' || c == '\\') {
						want = at
					}
					if got := plainEnd(s, from); got != want {
						t.Fatalf("%q from %d: %d, want %d", s, from, got, want)
					}
					if from > 0 { // what stands before may be anything
						s[from-1] = '"'
						if at == from-1 {
							want = size
						}
						if got := plainEnd(s, from); got != want {
							t.Fatalf("%q from %d: %d, want %d", s, from, got, want)
						}
					}
				}
			}
		}
	}
}
