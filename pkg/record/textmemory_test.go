package record

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestBareIsBareByte(t *testing.T) {
	for c := range 256 {
		for at := range 8 {
			x := uint64(eachOne*'a') &^ (0xff << (8 * at))
			x |= uint64(c) << (8 * at)
			if got, want := bare(x), c < len(bareByte) && bareByte[c]; got != want {
				t.Errorf("byte %#02x at %d: %t, want %t", c, at, got, want)
			}
		}
	}
}

// After other lines a line becomes the same text as after none.
func TestTextMemoryChangesNothing(t *testing.T) {
	tails := [][]byte{
		testTail,
		AppendTail(nil, Identity{App: "etl", Worker: "w 4", Run: "4fK9xQ2LmP"}),
		AppendTail(nil, Identity{App: "etl", Worker: "", Run: "5fK9xQ2LmP"}),
		AppendTail(nil, Identity{App: `a"b\`, Worker: "χ=", Run: "6fK9xQ2LmP"}),
	}
	var lines [][]byte
	for _, s := range append([]string{"", "row loaded", `"}`, `,"app":"etl","worker":"w3","run":"4fK9xQ2LmP","seq":`}, badText...) {
		for _, tail := range tails {
			for _, seq := range []uint64{1, 42, maxSeq - 1} {
				l := GetLine()
				l.Start(testTime, Warn, s, s)
				l.Str("k", s)
				l.Str(s, "v")
				body := append([]byte(nil), l.Finish(1<<20)...)
				l.Free()
				lines = append(lines, AppendEnd(append(body, tail...), seq))
			}
		}
		lines = append(lines, []byte(s), []byte(`{"msg":"m","worker":"`+s+`","seq":7}`), append([]byte(s), tails[0]...))
	}
	for _, end := range []string{"0}", "}", "18446744073709551616}", "99999999999999999999}", "1 }", "01}"} {
		whole := lines[0]
		lines = append(lines, append(append([]byte(nil), whole[:len(whole)-len("1}\n")]...), end...))
	}
	random := rand.New(rand.NewPCG(5, 6))
	keys := []string{"rows", "row", "rows2", "table", "a b", "level", "caller", "ünï", "k\n", strings.Repeat("k", maxTextKey-5), strings.Repeat("k", maxTextKey-4), strings.Repeat("k", 200)}
	for range 300 {
		lines = append(lines, line(1+random.Uint64N(1000), func(l *Line) {
			for range random.IntN(maxTextKeys + 5) {
				switch key := keys[random.IntN(len(keys))]; random.IntN(4) {
				case 0:
					l.Int(key, -random.Int64N(1e6))
				case 1:
					l.Str(key, badText[random.IntN(len(badText))])
				case 2:
					l.Bool(key, true)
				default:
					l.Str(key, "orders")
				}
			}
		}))
	}
	for _, o := range []TextOptions{{}, {Color: true, Stack: true}, {Color: true, Worker: "\x1b[35m"}} {
		var used TextAppender
		for range 5000 {
			line := lines[random.IntN(len(lines))]
			if got, want := string(used.Append(nil, line, o)), string(new(textMemory).appendText(nil, line, o)); got != want {
				t.Fatalf("%s\n got %s\nwant %s", line, got, want)
			}
		}
	}
}
