package ring

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// Damage of any one byte in a cell's number must be noticed. check is linear but
// for a carry, so a change of byte j by d changes it by d*256^j*K, or one more:
// that this is never 0 can be tried out for all d and j.
func TestCheckFindsAnyByte(t *testing.T) {
	for j := range 6 {
		for d := 1; d < 256; d++ {
			for _, delta := range []uint64{uint64(d) << (8 * j), -(uint64(d) << (8 * j))} {
				if h := uint16(delta * 0x9E3779B97F4A7C15 >> 48); h == 0 || h == 0xffff {
					t.Errorf("byte %d, difference %#x: not found", j, d)
				}
			}
		}
	}
	if _, ok := unpack(0); ok {
		t.Error("a page of zeros is valid")
	}
	for _, v := range []uint64{0, 1, 1<<48 - 1} {
		if got, ok := unpack(pack(v)); !ok || got != v {
			t.Errorf("%d becomes %d, %v", v, got, ok)
		}
	}
}

// lived returns a ring that has been around its end, with some records released,
// some dropped, and what it holds.
func lived(t *testing.T) (r *Ring, held map[uint64][]byte) {
	t.Helper()
	r, err := New(minCapacity, testID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	r.sums = true
	held = map[uint64][]byte{}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		b := body(record.Info, 200+random.IntN(600), fmt.Sprint("message ", i))
		seq, err := r.Append(b, 100)
		if errors.Is(err, ErrFull) {
			_, batch, _ := r.Next(1<<20, 5)
			r.Release(batch.Last)
			for s := range held {
				if s <= batch.Last {
					delete(held, s)
				}
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		held[seq] = line(b, seq)
		if i%7 == 0 {
			if _, err := r.Drop(record.Debug, Full); err != nil {
				t.Fatal(err)
			}
		}
	}
	return r, held
}

// found is what a drainer sends: every batch, and the closing statement.
func found(t *testing.T, r *Ring) (lines map[uint64][]byte, end record.Batch) {
	t.Helper()
	lines = map[uint64][]byte{}
	var prev record.Batch
	for {
		p, b, ok := r.Next(1500, 100)
		if !ok {
			return lines, r.Seal()
		}
		b.CRC = record.Checksum(p)
		if err := b.Check(p, record.AppendTail(nil, testID)); err != nil {
			t.Fatalf("batch %+v: %v", b, err)
		}
		if prev.Count > 0 && (b.First <= prev.Last || b.Dropped < prev.Dropped || b.Last-b.Dropped < prev.Last-prev.Dropped) {
			t.Fatalf("batch %+v after %+v", b, prev)
		}
		prev = b
		for l := range bytes.Lines(p) {
			tail, ok := record.ScanTail(l)
			if !ok {
				t.Fatalf("line %q", l)
			}
			lines[tail.Seq] = bytes.Clone(l)
		}
		r.Release(b.Last)
	}
}

func TestEveryByteDamaged(t *testing.T) {
	r, held := lived(t)
	wantEnd := r.Seal()
	l := r.info.layout
	damaged := map[bool]int{}
	for at := 0; at < len(r.mem); at++ {
		if at > int(l.data()) && at < int(l.end())-2 {
			at += 2 // of the data, every third byte
		}
		flips := []byte{0x01, 0x80, 0xff}
		if page := at % pageSize; at > pageSize && at < int(l.end()) || page >= 256 && page < cellsAt || page >= cellsAt+1024 {
			flips = flips[at%3 : at%3+1] // a CRC finds them all; one each will do
		}
		for _, flip := range flips {
			mem := bytes.Clone(r.mem)
			mem[at] ^= flip
			o, d, err := load(bytes.NewReader(mem), int64(len(mem)))
			if err != nil {
				t.Fatalf("byte %d ^ %#x: %v", at, flip, err)
			}
			lines, end := found(t, o)
			_ = o.Close()
			for seq, got := range lines {
				if want := held[seq]; want == nil || !bytes.Equal(got, want) {
					t.Fatalf("byte %d ^ %#x: seq %d is %q, was %q", at, flip, seq, got, want)
				}
			}
			if uint64(len(held)-len(lines)) != d.Records {
				t.Fatalf("byte %d ^ %#x: %d of %d records, %v", at, flip, len(lines), len(held), d)
			}
			if end != wantEnd {
				t.Fatalf("byte %d ^ %#x: end %+v, was %+v", at, flip, end, wantEnd)
			}
			header := at < pageSize || at >= int(l.end())
			if header && d.Records != 0 || !header && d.Header || d.Records > 1 {
				t.Fatalf("byte %d ^ %#x: %v", at, flip, d)
			}
			damaged[d.Any()]++
		}
	}
	// Most of the data and some of the index is in use, and must have been noticed.
	if damaged[true] < damaged[false]/4 {
		t.Errorf("noticed %d times, not %d times", damaged[true], damaged[false])
	}
}

func TestCutAnywhere(t *testing.T) {
	r, held := lived(t)
	for n := 0; n < len(r.mem); n += 97 {
		o, d, err := load(bytes.NewReader(r.mem[:n]), int64(n))
		if n < staticSize {
			if !errors.Is(err, ErrUnreadable) {
				t.Fatalf("cut to %d: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("cut to %d: %v", n, err)
		}
		lines, _ := found(t, o)
		_ = o.Close()
		for seq, got := range lines {
			if !bytes.Equal(got, held[seq]) {
				t.Fatalf("cut to %d: seq %d is %q", n, seq, got)
			}
		}
		if !d.Header {
			t.Fatalf("cut to %d: not noticed", n)
		}
		if n >= pageSize && uint64(len(held)-len(lines)) != d.Records {
			t.Fatalf("cut to %d: %d of %d records, %v", n, len(lines), len(held), d)
		}
	}
}

// A page that never reached the disk before a power cut.
func TestHeaderPagesLost(t *testing.T) {
	r, held := lived(t)
	trailer := int(r.info.layout.end())
	for _, c := range []struct {
		name     string
		from, to int
	}{
		{"header", 0, pageSize},
		{"trailer", trailer, trailer + pageSize},
		{"all cells of the header", cellsAt, pageSize},
	} {
		mem := bytes.Clone(r.mem)
		clear(mem[c.from:c.to])
		o, d, err := load(bytes.NewReader(mem), int64(len(mem)))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		defer func() { _ = o.Close() }()
		if lines, end := found(t, o); len(lines) != len(held) || end != r.Seal() || !d.Header || d.Records != 0 {
			t.Errorf("%s: %d of %d records, end %+v, %v", c.name, len(lines), len(held), end, d)
		}
	}
}

// Both copies of a number are gone: the records themselves tell.
func TestBothCopiesDamaged(t *testing.T) {
	r, held := lived(t)
	for _, c := range []struct {
		name  string
		cells []cell
	}{
		{"head", []cell{r.headCell}},
		{"tail", []cell{r.tailCell}},
		{"head and tail", []cell{r.headCell, r.tailCell}},
		{"drops", []cell{r.dropCells[record.Debug][Full]}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newRing(bytes.Clone(r.mem), r.info)
			for _, k := range c.cells {
				// The same cell in the copy.
				at := 0
				for i := range pageSize / 8 {
					if i >= cellsAt/8 && cellIn(r.mem, r.info.layout, i-cellsAt/8) == k {
						at = i - cellsAt/8
					}
				}
				copied := cellIn(o.mem, o.info.layout, at)
				*copied.a, *copied.b = 0, 0
			}
			d := o.recover()
			if !d.Header || d.Records != 0 {
				t.Errorf("damage %v", d)
			}
			lines, end := found(t, o)
			for seq, want := range held {
				if !bytes.Equal(lines[seq], want) {
					t.Errorf("seq %d is %q", seq, lines[seq])
				}
			}
			if end.Last < r.Seal().Last-1 || end.Dropped < end.Last-o.Stats().Admitted {
				t.Errorf("end %+v, was %+v", end, r.Seal())
			}
		})
	}
}

// A process that is killed between publishing a record and counting it.
func TestKilledBetweenStores(t *testing.T) {
	r, held := lived(t)
	tail := r.tailCell.load()
	for _, c := range []struct {
		name string
		undo func(r *Ring)
	}{
		{"tail not stored", func(r *Ring) { r.tailCell.store(tail - 1) }},
		{"tail stored once", func(r *Ring) { *r.tailCell.b = pack(tail - 1) }},
		{"head stored once", func(r *Ring) { *r.headCell.b = pack(r.headCell.load() - 1) }},
	} {
		o := newRing(bytes.Clone(r.mem), r.info)
		c.undo(o)
		d := o.recover()
		lines, _ := found(t, o)
		for seq, want := range held {
			if !bytes.Equal(lines[seq], want) {
				t.Errorf("%s: seq %d is %q", c.name, seq, lines[seq])
			}
		}
		if d.Any() {
			t.Errorf("%s: %v", c.name, d)
		}
	}
}

func createIn(t *testing.T, dir string) *Ring {
	t.Helper()
	if !Supported {
		t.Skip("no buffer files on this system")
	}
	r, err := Create(filepath.Join(dir, FileName(testID)), minCapacity, testID, "logs")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOwnedWhileItsOwnerLives(t *testing.T) {
	dir := t.TempDir()
	r := createIn(t, dir)
	path := r.Path()
	if _, _, err := OpenOrphan(path); !errors.Is(err, ErrOwned) {
		t.Fatalf("open with a living owner: %v", err)
	}
	info, err := Peek(path)
	if err != nil || info.Identity != testID || info.Prefix != "logs" || info.PID != os.Getpid() {
		t.Fatalf("peek: %+v, %v", info, err)
	}
	mustAppend(t, r, body(record.Warn, 0, "left behind"))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if s := r.Stats(); s.Held != 1 || s.Last != 1 {
		t.Errorf("stats after close: %+v", s)
	}
	if _, err := r.Append([]byte("{"), 100); !errors.Is(err, ErrSealed) {
		t.Errorf("append after close: %v", err)
	}
	if r.Fill() != 0 {
		t.Errorf("fill after close: %d", r.Fill())
	}

	o, d, err := OpenOrphan(path)
	if err != nil || d.Any() {
		t.Fatalf("open: %v, %v", err, d)
	}
	if _, _, err := OpenOrphan(path); !errors.Is(err, ErrOwned) {
		t.Errorf("a second drainer: %v", err)
	}
	// What a drainer adds gets the next seq, and is not in the file.
	if seq := mustAppend(t, o, body(record.Fatal, 0, "crashed")); seq != 2 {
		t.Errorf("added record has seq %d", seq)
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	o, _, err = OpenOrphan(path)
	if err != nil {
		t.Fatalf("open after a drainer died: %v", err)
	}
	if s := o.Stats(); s.Held != 1 {
		t.Errorf("the next drainer finds %+v", s)
	}
	if err := o.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenOrphan(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open after removal: %v", err)
	}
}

// A drainer that opened the file before another removed it must not send it again.
func TestRemovedBetweenOpenAndLock(t *testing.T) {
	dir := t.TempDir()
	r := createIn(t, dir)
	path := r.Path()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := r.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openOrphan(f, path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: %v", err)
	}
}

func TestUnreadableIsSetAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName(testID))
	if err := os.WriteFile(path, bytes.Repeat([]byte("garbage "), 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenOrphan(path); !errors.Is(err, ErrUnreadable) && !errors.Is(err, ErrUnsupported) {
		t.Fatalf("open: %v", err)
	}
	if _, err := Peek(path); !errors.Is(err, ErrUnreadable) {
		t.Fatalf("peek: %v", err)
	}
	name, err := SetAside(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err != nil || filepath.Ext(name) == Suffix {
		t.Errorf("set aside as %s: %v", name, err)
	}
}

func TestSymlinkIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	r := createIn(t, dir)
	path := r.Path()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "w-0000000000"+Suffix)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenOrphan(link); err == nil {
		t.Error("a symlink was opened")
	}
}

func FuzzLoad(f *testing.F) {
	r, err := New(minCapacity, testID)
	if err != nil {
		f.Fatal(err)
	}
	r.sums = true
	for i := range 5 {
		if _, err := r.Append(body(record.Info, 100, fmt.Sprint(i)), 100); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(0, []byte("x"))
	f.Add(cellsAt, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add(pageSize+8, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, at int, patch []byte) {
		mem := bytes.Clone(r.mem)
		if at < 0 || at >= len(mem) {
			return
		}
		copy(mem[at:], patch)
		o, _, err := load(bytes.NewReader(mem), int64(len(mem)))
		if err != nil {
			return
		}
		defer func() { _ = o.Close() }()
		for {
			_, b, ok := o.Next(1000, 10)
			if !ok {
				break
			}
			if o.Release(b.Last) == 0 {
				t.Fatal("nothing released")
			}
		}
		if _, err := o.Append(body(record.Fatal, 0, "crashed"), 100); err != nil {
			t.Fatal(err)
		}
	})
}
