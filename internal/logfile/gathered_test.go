package logfile

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// However lines come into a file, it has them in their order, and its tail is that of what it ends in.
func TestGathered(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s, _, err := open(logDir, Options{FS: newDisk().mount()}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	f, err := s.File("app.jsonl", FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		var want []byte
		for range random.IntN(6) {
			p := bytes.Repeat([]byte{'a' + byte(random.IntN(26))}, random.IntN(2*shortTail))
			p = append(p, '\n')
			want = append(want, p...)
			sum := record.Checksum(p)
			switch random.IntN(3) {
			case 0:
				f.Lend(p, &sum)
			case 1:
				f.Lend(p, nil)
			default:
				f.Append(p)
			}
		}
		var got []byte
		_ = f.waiting.each(func(p []byte, _ *uint32) error { got = append(got, p...); return nil })
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, not the %d that were appended, in order", len(got), len(want))
		}
		for _, n := range []int{0, 1, shortTail, len(want), len(want) + 1} {
			if got, want := f.waiting.tail(n), tailOf(want[len(want)-min(n, len(want)):]); got != want {
				t.Fatalf("tail of %d bytes is %+v, not %+v", n, got, want)
			}
		}
		s.Discard()
		if f.waiting.size != 0 || len(s.touched) != 0 {
			t.Fatal("something is left")
		}
	}
}
