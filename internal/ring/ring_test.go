package ring

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

var testID = record.Identity{App: "etl", Worker: "w 3", Run: "4fK9xQ2LmP"}

// body is a record's body of about size bytes.
func body(level record.Level, size int, what string) []byte {
	l := record.GetLine()
	defer l.Free()
	l.Start(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), level, "test", what)
	if b := bytes.Clone(l.Finish(64 << 10)); len(b) >= size {
		return b
	}
	l.Start(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), level, "test", what)
	l.Str("pad", strings.Repeat("x", size))
	return bytes.Clone(l.Finish(1 << 20))
}

// line is what the ring makes of it.
func line(body []byte, seq uint64) []byte {
	return record.AppendEnd(record.AppendTail(bytes.Clone(body), testID), seq)
}

// numbers are the two that the message of a line consists of: its writer, and which of the writer's records it is.
func numbers(t *testing.T, line []byte) (writer, i int) {
	t.Helper()
	rec, err := record.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(rec.Msg, "%d %d", &writer, &i); err != nil {
		t.Fatal(err)
	}
	return writer, i
}

// kinds runs f on a ring in memory and on one in a file.
func kinds(t *testing.T, size int, f func(t *testing.T, r *Ring)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		r, err := New(size, testID)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		f(t, r)
	})
	t.Run("file", func(t *testing.T) {
		if !Supported {
			t.Skip("no buffer files on this system")
		}
		r, err := Create(filepath.Join(t.TempDir(), FileName(testID)), size, testID, "logs")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Remove() })
		f(t, r)
	})
}

func mustAppend(t *testing.T, r *Ring, b []byte) uint64 {
	t.Helper()
	seq, err := r.Append(b, 100)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func TestAppendNextRelease(t *testing.T) {
	kinds(t, minCapacity, func(t *testing.T, r *Ring) {
		if _, _, ok := r.Next(1<<20, 1000); ok {
			t.Fatal("an empty ring has a batch")
		}
		var want []byte
		for i := range 3 {
			b := body(record.Info, 0, fmt.Sprint("message ", i))
			if seq := mustAppend(t, r, b); seq != uint64(i+1) {
				t.Fatalf("seq %d, want %d", seq, i+1)
			}
			want = append(want, line(b, uint64(i+1))...)
		}
		payload, b, ok := r.Next(1<<20, 1000)
		if !ok || !bytes.Equal(payload, want) {
			t.Fatalf("payload\n%s\nwant\n%s", payload, want)
		}
		if b != (record.Batch{Run: testID.Run, First: 1, Last: 3, Count: 3, Oldest: 1}) {
			t.Errorf("batch %+v", b)
		}
		b.CRC = record.Checksum(payload)
		if err := b.Check(payload, record.AppendTail(nil, testID)); err != nil {
			t.Error(err)
		}
		if n := r.Release(2); n != 2 {
			t.Errorf("released %d, want 2", n)
		}
		if n := r.Release(1); n != 0 {
			t.Errorf("released %d again", n)
		}
		payload, b, _ = r.Next(1<<20, 1000)
		if b.First != 3 || b.Count != 1 || b.Oldest != 3 || bytes.Count(payload, []byte("\n")) != 1 {
			t.Errorf("after release: batch %+v, payload %q", b, payload)
		}
		r.Release(99)
		if admitted, released := r.Progress(); admitted != 3 || released != 3 {
			t.Errorf("progress %d, %d", admitted, released)
		}
	})
}

func TestNextKeepsToItsLimits(t *testing.T) {
	kinds(t, minCapacity, func(t *testing.T, r *Ring) {
		for range 10 {
			mustAppend(t, r, body(record.Info, 500, "m"))
		}
		one, _, _ := r.Next(1, 1000)
		if bytes.Count(one, []byte("\n")) != 1 {
			t.Errorf("a record longer than the limit must come alone, got %d", bytes.Count(one, []byte("\n")))
		}
		p, b, _ := r.Next(3*len(one)+1, 1000)
		if len(p) > 3*len(one)+1 || b.Count != 3 {
			t.Errorf("%d bytes, %d records", len(p), b.Count)
		}
		if _, b, _ := r.Next(1<<20, 2); b.Count != 2 || b.Last != 2 {
			t.Errorf("batch %+v, want 2 records", b)
		}
		r.Release(1)
		if _, b, ok := r.NextBehind(3, 1<<20, 2); !ok || b.Oldest != 2 || b.First != 5 || b.Last != 6 || b.Count != 2 {
			t.Errorf("behind three records: batch %+v, %v", b, ok)
		}
		if _, b, ok := r.NextBehind(9, 1<<20, 2); ok {
			t.Errorf("behind all records: batch %+v", b)
		}
	})
}

func TestDropsAreInTheBatch(t *testing.T) {
	kinds(t, minCapacity, func(t *testing.T, r *Ring) {
		b := body(record.Info, 0, "m")
		drop := func(want uint64) {
			t.Helper()
			if seq, err := r.Drop(record.Debug, Full); err != nil || seq != want {
				t.Fatalf("drop: %d, %v, want %d", seq, err, want)
			}
		}
		mustAppend(t, r, b) // 1
		drop(2)
		drop(3)
		mustAppend(t, r, b) // 4
		drop(5)

		_, batch, _ := r.Next(1<<20, 1000)
		if want := (record.Batch{Run: testID.Run, First: 1, Last: 4, Count: 2, Dropped: 2, Oldest: 1}); batch != want {
			t.Errorf("batch %+v, want %+v", batch, want)
		}
		r.Release(1)
		_, batch, _ = r.Next(1<<20, 1000)
		if want := (record.Batch{Run: testID.Run, First: 4, Last: 4, Count: 1, Dropped: 2, Oldest: 4}); batch != want {
			t.Errorf("batch %+v, want %+v", batch, want)
		}
		if level, ok := r.Discard(); !ok || level != record.Info {
			t.Errorf("discarded a record of level %v, %v", level, ok)
		}
		mustAppend(t, r, b) // 6
		_, batch, _ = r.Next(1<<20, 1000)
		if want := (record.Batch{Run: testID.Run, First: 6, Last: 6, Count: 1, Dropped: 4, Oldest: 6}); batch != want {
			t.Errorf("after discarding: batch %+v, want %+v", batch, want)
		}
		end := r.Seal()
		if want := (record.Batch{Run: testID.Run, First: 7, Last: 6, Dropped: 4, Oldest: 7, End: true}); end != want {
			t.Errorf("end %+v, want %+v", end, want)
		}
		if _, err := r.Append(b, 100); !errors.Is(err, ErrSealed) {
			t.Errorf("append after seal: %v", err)
		}
		if _, err := r.Drop(record.Info, Full); !errors.Is(err, ErrSealed) {
			t.Errorf("drop after seal: %v", err)
		}
		s := r.Stats()
		if s.Last != 6 || s.Admitted != 3 || s.Held != 1 || s.Drops() != 4 ||
			s.Dropped[record.Debug][Full] != 3 || s.Dropped[record.Info][Rejected] != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestFullUsesUpNoSeq(t *testing.T) {
	kinds(t, minCapacity, func(t *testing.T, r *Ring) {
		b := body(record.Info, 1000, "m")
		fillTo := func(share int) int {
			for {
				before := r.Stats().Last
				if _, err := r.Append(b, share); err != nil {
					if !errors.Is(err, ErrFull) || r.Stats().Last != before {
						t.Fatalf("%v, last seq %d, was %d", err, r.Stats().Last, before)
					}
					return r.Fill()
				}
			}
		}
		for _, share := range []int{70, 90, 100} {
			if fill := fillTo(share); fill > share || fill < share-15 {
				t.Errorf("share %d: %d percent full", share, fill)
			}
		}
		if _, err := r.Append(make([]byte, minCapacity), 100); !errors.Is(err, ErrTooLong) {
			t.Errorf("too long: %v", err)
		}
		r.Release(2)
		mustAppend(t, r, b)
	})
}

// The index is as bounded as the data.
func TestFullOfShortRecords(t *testing.T) {
	r, err := New(minCapacity, testID)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; ; n++ {
		if _, err := r.Append([]byte("{"), 100); err != nil {
			break
		}
	}
	if uint64(n) != r.slots || r.Fill() != 100 {
		t.Errorf("%d records in %d slots, %d percent", n, r.slots, r.Fill())
	}
	p, b, _ := r.Next(1<<20, 1<<20)
	if b.Count != n || bytes.Count(p, []byte("\n")) != n {
		t.Errorf("batch of %d records", b.Count)
	}
}

func TestKeepingUpUsesTheSameRoom(t *testing.T) {
	r, err := New(1<<20, testID)
	if err != nil {
		t.Fatal(err)
	}
	b := body(record.Info, 0, "m")
	for range 10_000 {
		r.Release(mustAppend(t, r, b))
	}
	if r.end > 1000 {
		t.Errorf("a ring that was always emptied ends at %d", r.end)
	}
}

func TestIdentityTooLong(t *testing.T) {
	id := testID
	id.App = strings.Repeat("a", staticSize)
	if _, err := New(minCapacity, id); err == nil {
		t.Error("a name that has no place in the header was taken")
	}
	if _, err := New(10, testID); err == nil {
		t.Error("a ring of 10 bytes was made")
	}
}

// Many goroutines append, one takes away: seqs without a gap, each goroutine's
// records in its order, each line whole.
func TestConcurrentOrder(t *testing.T) {
	kinds(t, 64<<10, func(t *testing.T, r *Ring) {
		const writers, each = 8, 3000
		full := make(chan struct{}, 1)
		room := sync.NewCond(&sync.Mutex{})
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					b := body(record.Info, 0, fmt.Sprintf("%d %d", w, i))
					for {
						if i%10 == 9 {
							if _, err := r.Drop(record.Info, Full); err != nil {
								t.Error(err)
							}
							break
						}
						room.L.Lock()
						_, err := r.Append(b, 100)
						if err == nil {
							room.L.Unlock()
							select {
							case full <- struct{}{}:
							default:
							}
							break
						}
						room.Wait()
						room.L.Unlock()
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()

		next := make([]int, writers)
		var seq, dropped uint64
		total := 0
		tail := record.AppendTail(nil, testID)
		take := func() {
			p, b, ok := r.Next(8<<10, 1000)
			if !ok {
				return
			}
			b.CRC = record.Checksum(p)
			if err := b.Check(p, tail); err != nil {
				t.Error(err)
			}
			if b.First <= seq || b.Last-seq-uint64(b.Count) != b.Dropped-dropped {
				t.Errorf("batch %+v after seq %d with %d dropped", b, seq, dropped)
			}
			seq, dropped = b.Last, b.Dropped
			for l := range bytes.Lines(p) {
				w, i := numbers(t, l)
				if i != next[w] {
					t.Errorf("writer %d: record %d, want %d", w, i, next[w])
				}
				next[w] = i + 1
				if next[w]%10 == 9 {
					next[w]++
				}
				total++
			}
			room.L.Lock()
			r.Release(b.Last)
			room.Broadcast()
			room.L.Unlock()
		}
		for running := true; running; {
			select {
			case <-full:
			case <-done:
				running = false
			case <-time.After(10 * time.Millisecond): // what was taken last may have made too little room for those who wait
			}
			take()
		}
		for r.Stats().Held > 0 {
			take()
		}
		if total != writers*each*9/10 {
			t.Errorf("%d records came through, want %d", total, writers*each*9/10)
		}
		if end := r.Seal(); end.Last != writers*each || end.Dropped != writers*each/10 {
			t.Errorf("end %+v", end)
		}
	})
}

// After Close the memory is gone, in memory too: nothing but the numbers is left,
// and whatever is called says so without touching it.
func TestClosed(t *testing.T) {
	kinds(t, 1<<20, func(t *testing.T, r *Ring) {
		mustAppend(t, r, body(record.Info, 100, "m"))
		if _, err := r.Drop(record.Debug, Full); err != nil {
			t.Fatal(err)
		}
		before, end := r.Stats(), r.Seal()
		before.Sealed = true
		for range 2 {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if s := r.Stats(); s != before {
			t.Errorf("stats %+v, were %+v", s, before)
		}
		if got := r.Seal(); got != end {
			t.Errorf("end %+v, was %+v", got, end)
		}
		if _, err := r.Append(body(record.Info, 100, "m"), 100); !errors.Is(err, ErrSealed) {
			t.Errorf("append: %v", err)
		}
		if _, err := r.Drop(record.Debug, Full); !errors.Is(err, ErrSealed) {
			t.Errorf("drop: %v", err)
		}
		if admitted, released := r.Progress(); admitted != 1 || released != 0 {
			t.Errorf("progress %d, %d", admitted, released)
		}
		if count, _, _ := r.Untold(); r.Fill() != 0 || count != 0 {
			t.Errorf("fill %d, untold %d", r.Fill(), count)
		}
	})
}

// An empty ring can be sealed for good, one that holds a record cannot yet.
func TestSealEmpty(t *testing.T) {
	kinds(t, 1<<20, func(t *testing.T, r *Ring) {
		seq := mustAppend(t, r, body(record.Info, 100, "m"))
		if r.SealEmpty() {
			t.Error("sealed with a record held")
		}
		mustAppend(t, r, body(record.Info, 100, "m"))
		r.Release(seq + 1)
		first, again := r.SealEmpty(), r.SealEmpty()
		if !first || !again || !r.Stats().Sealed {
			t.Error("not sealed")
		}
		if _, err := r.Append(body(record.Info, 100, "m"), 100); !errors.Is(err, ErrSealed) {
			t.Errorf("append: %v", err)
		}
	})
}
