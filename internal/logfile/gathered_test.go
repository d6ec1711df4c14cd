package logfile

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
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
		if random.IntN(2) == 0 {
			asked := 0
			f.Follow(func() ([]byte, *uint32) { asked++; return []byte("discarded\n"), nil })
			defer func() {
				if asked != 1 {
					t.Errorf("asked %d times for what followed", asked)
				}
			}()
		}
		s.Discard()
		if f.waiting.size != 0 || len(s.touched) != 0 {
			t.Fatal("something is left")
		}
	}
}

// What follows is asked for when the other files are written, and once, however the commit ends.
func TestFollow(t *testing.T) {
	m := newDisk().mount()
	s, _, err := open(logDir, Options{FS: m}, true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var files []*File
	for _, name := range []string{"text.log", "app.jsonl"} {
		f, err := s.File(name, FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	commit := func(fails bool) error {
		asked := 0
		files[0].Append([]byte("before\n"))
		files[0].Follow(func() ([]byte, *uint32) {
			if asked++; !fails {
				if text, _ := m.disk.content(logDir + "/app.jsonl"); text != "json\n" {
					t.Errorf("asked when the other file has %q", text)
				}
			}
			p := []byte("text\n")
			sum := record.Checksum(p)
			return p, &sum
		})
		files[1].Append([]byte("json\n"))
		var result error
		s.Commit(Commit{Runs: []RunDelta{{ID: "a", Run: Run{Subject: "logs.x.a", Last: 1}}}}, func(err error) { result = err })
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		return result
	}
	m.set(func(_ int, call, name string) outcome {
		if call == "write" && strings.HasSuffix(name, "app.jsonl") {
			return outcome{err: syscall.ENOSPC}
		}
		return outcome{}
	})
	if err := commit(true); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("the other file cannot be written: %v", err)
	}
	if err := commit(true); !errors.Is(err, ErrRolledBack) {
		t.Errorf("behind that: %v", err)
	}
	m.set(nil)
	if _, err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := commit(false); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"text.log": "before\ntext\n", "app.jsonl": "json\n"} {
		if got, err := m.disk.content(logDir + "/" + name); got != want {
			t.Errorf("%s has %q, want %q; %v", name, got, want, err)
		}
	}
}
