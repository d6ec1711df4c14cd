package publisher

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// split feeds text in pieces of n bytes and returns what comes out: "3:text" is part 3.
func split(text string, n, max int, terminal bool) []string {
	var got []string
	s := lineSplitter{max: max, terminal: terminal}
	take := func(line []byte, part int) {
		if part > 0 {
			got = append(got, fmt.Sprintf("%d:%s", part, line))
		} else {
			got = append(got, string(line))
		}
	}
	for len(text) > 0 {
		k := min(n, len(text))
		s.feed([]byte(text[:k]), take)
		text = text[k:]
	}
	s.rest(take)
	return got
}

func TestSplitterHoweverTheStreamWasCut(t *testing.T) {
	for _, tt := range []struct {
		name     string
		text     string
		terminal bool
		want     []string
	}{
		{"lines", "a\nbc\n\nd\n", false, []string{"a", "bc", "", "d"}},
		{"last line without a newline", "a\nbc", false, []string{"a", "bc"}},
		{"CR LF", "a\r\nbc\r\r\nd\r\n", true, []string{"a", "bc", "d"}},
		{"lone CR is kept where no terminal is", "a\rb\n", false, []string{"a\rb"}},
		{"progress bar", "\r 1%\r 50%\r100%\ndone\n", true, []string{"100%", "done"}},
		{"progress bar that the end cuts", "\r 1%\r 50%\r", true, []string{" 50%"}},
		{"long progress bar", strings.Repeat("\r|####| 12/99", 50) + "\nok\n", true, []string{"|####| 12/99", "ok"}},
		{"endless", strings.Repeat("0123456789", 4) + "01\nx\n", false,
			[]string{"1:0123456789012345", "2:6789012345678901", "3:2345678901", "x"}},
		{"endless JSON", "{" + strings.Repeat("0123456789", 4) + "\nx\n", false,
			[]string{"1:{012345678901234", "2:5678901234567890", "3:123456789", "x"}},
		{"long JSON", "{" + strings.Repeat("0123456789", 3) + "\nx\n", false,
			[]string{"{" + strings.Repeat("0123456789", 3), "x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for n := 1; n <= len(tt.text); n++ {
				got := split(tt.text, n, 32, tt.terminal)
				if strings.Join(got, "|") != strings.Join(tt.want, "|") {
					t.Fatalf("in pieces of %d: %q, want %q", n, got, tt.want)
				}
			}
		})
	}
}

func TestSplitterCutsBetweenCharacters(t *testing.T) {
	text := strings.Repeat("äöü€", 40)
	var all []byte
	for i, part := range split(text, 7, 32, true) {
		number, text, _ := strings.Cut(part, ":")
		if number != fmt.Sprint(i+1) || bytes.ContainsRune([]byte(text), '\ufffd') || !bytes.Equal([]byte(text), []byte(strings.ToValidUTF8(text, "?"))) {
			t.Errorf("part %d is %q", i+1, part)
		}
		all = append(all, text...)
	}
	if string(all) != text {
		t.Errorf("the parts make up %q", all)
	}
}

func TestSplitterBoundsItsMemory(t *testing.T) {
	s := lineSplitter{max: 1 << 10}
	parts := 0
	chunk := bytes.Repeat([]byte{0xff}, 64<<10)
	for range 64 {
		s.feed(chunk, func(_ []byte, part int) { parts = part })
	}
	if cap(s.buf) > 8<<10 || parts < 64*64 {
		t.Errorf("after 4 MiB without a newline: %d bytes held, %d parts", cap(s.buf), parts)
	}
}

func FuzzSplitter(f *testing.F) {
	f.Add("a\r\nb\rc\n", 3)
	f.Add("\xff\xfe\n\n\r\r\n", 1)
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = max(1, min(n, 100))
		whole := split(text, len(text)+1, 1<<20, true)
		if cut := split(text, n, 1<<20, true); strings.Join(whole, "\n") != strings.Join(cut, "\n") {
			t.Errorf("%q in pieces of %d: %q, in one: %q", text, n, cut, whole)
		}
		var kept int
		for _, line := range split(text, n, 16, false) {
			kept += len(line)
		}
		if kept < len(text)-strings.Count(text, "\n")-strings.Count(text, "\r") {
			t.Errorf("%q: only %d bytes came out", text, kept)
		}
	})
}
