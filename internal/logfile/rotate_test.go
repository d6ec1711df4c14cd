package logfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// rotations are the rotated files of app.log, by name.
func (g *stage) rotations() []string {
	var out []string
	for name := range g.m.disk.file(logDir).entries {
		if strings.HasPrefix(name, "app.log.") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (g *stage) wantRotations(want ...string) {
	g.Helper()
	if got := g.rotations(); !slices.Equal(got, want) {
		g.Fatalf("rotated: got %v, want %v", got, want)
	}
}

func TestRotateBySize(t *testing.T) {
	g := newStage(t, FileOptions{Rotate: 10})
	g.write("123456789") // ten bytes: just fits
	g.wantRotations()
	g.write("b")
	g.wantRotations("app.log.000001")
	g.write(strings.Repeat("c", 50)) // larger than a file may be: one of its own
	g.write("d")
	g.wantRotations("app.log.000001", "app.log.000002", "app.log.000003")
	g.want("1", g.text("app.log.000001"), "123456789\n")
	g.want("3", g.text("app.log.000003"), strings.Repeat("c", 50)+"\n")
	g.want("now", g.text("app.log"), "d\n")
	if err := g.s.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := g.s.Rotate(); err != nil { // empty: stays
		t.Fatal(err)
	}
	g.wantRotations("app.log.000001", "app.log.000002", "app.log.000003", "app.log.000004")
	g.restart()
	g.write("e")
	g.want("now", g.text("app.log"), "e\n")
	g.want("events", g.kinds(), "")
}

// TestRotateByTime: at multiples of the interval, by the clock, whatever the
// clock does.
func TestRotateByTime(t *testing.T) {
	g := newStage(t, FileOptions{Every: time.Hour})
	at := func(h, m int) {
		g.m.disk.now = time.Date(2026, 11, 21, h, m, 0, 0, time.UTC)
	}
	at(10, 30)
	g.write("a")
	at(10, 59)
	g.write("b")
	g.check()
	g.wantRotations()
	at(11, 0)
	g.check() // nobody writes: rotated all the same
	g.wantRotations("app.log.000001")
	at(14, 0)
	g.check() // empty: not rotated
	g.wantRotations("app.log.000001")
	g.write("c") // written at 14:00 into a file begun at 11:00
	at(14, 59)
	g.write("d")
	g.wantRotations("app.log.000001")

	g.restart() // the beginning survives
	at(15, 0)
	g.write("e")
	g.wantRotations("app.log.000001", "app.log.000002")
	g.want("2", g.text("app.log.000002"), "c\nd\n")

	// A clock that jumps forwards and back, and stands still.
	at(20, 0)
	g.write("f")
	g.wantRotations("app.log.000001", "app.log.000002", "app.log.000003")
	at(9, 0)
	for range 5 {
		g.write("g")
		g.check()
	}
	g.wantRotations("app.log.000001", "app.log.000002", "app.log.000003")
	at(10, 0)
	g.write("h")
	g.wantRotations("app.log.000001", "app.log.000002", "app.log.000003", "app.log.000004")
	for range 5 {
		g.write("i")
		g.check()
	}
	g.wantRotations("app.log.000001", "app.log.000002", "app.log.000003", "app.log.000004")
}

// TestRotateToTakenName: what someone else put where the generation would go is
// not replaced.
func TestRotateToTakenName(t *testing.T) {
	for _, name := range []string{"app.log.000001", "app.log.000001.gz"} {
		g := newStage(t, FileOptions{})
		other := g.m.disk.newNode(false)
		other.data = []byte("precious")
		g.m.disk.file(logDir).set(entryChange{name: other})
		g.write("one")
		if err := g.s.Rotate(); err != nil {
			t.Fatal(err)
		}
		g.want("other", g.text(name), "precious")
		g.want("rotated", g.text("app.log.000002"), "one\n")
		g.restart()
		g.want("events", g.kinds(), "")
	}
}

// TestNumbersGrow: a number is never given twice, even if all rotated files are
// removed.
func TestNumbersGrow(t *testing.T) {
	g := newStage(t, FileOptions{})
	for i := range 3 {
		g.write("x")
		if err := g.s.Rotate(); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("app.log.%06d", i+1)
		g.wantRotations(name)
		g.m.disk.remove(logDir + "/" + name)
		g.restart()
	}
}

func TestCompress(t *testing.T) {
	for _, c := range []Compression{Gzip, Zstd} {
		g := newStage(t, FileOptions{Compress: c, Keep: 2})
		for i := range 4 {
			g.write(fmt.Sprint(i))
			if err := g.s.Rotate(); err != nil {
				t.Fatal(err)
			}
		}
		g.wantRotations("app.log.000003"+c.extension(), "app.log.000004"+c.extension())
		text, err := plain(g.m.disk.file(logDir+"/app.log.000004"+c.extension()).data, c.extension())
		if err != nil {
			t.Fatal(err)
		}
		g.want("content", text, "3\n")
	}
}

// TestCompressReadsBack: a compressed file that does not give back what went in
// does not replace the plain one.
func TestCompressReadsBack(t *testing.T) {
	g := newStage(t, FileOptions{Compress: Gzip})
	g.write("one")
	done := false
	g.m.plan = func(_ int, call, _ string) outcome {
		// When it is read back, it has changed on the disk.
		if n := g.m.disk.root.entries["srv"].entries["logs"].entries["app.log.000001.gz.tmp"]; n != nil && call == "sync" && !done {
			done = true
			n.data[len(n.data)-9] ^= 1
		}
		return outcome{}
	}
	if err := g.s.Rotate(); err != nil {
		t.Fatal(err)
	}
	g.wantRotations("app.log.000001")
	g.want("events", g.kinds(), "housekeeping failed")
	// It is tried again.
	g.m.disk.now = g.m.disk.now.Add(sweepEvery)
	g.check()
	g.wantRotations("app.log.000001.gz")
}

func TestRetention(t *testing.T) {
	fill := func(o FileOptions) *stage {
		g := newStage(t, o)
		for i := range 5 {
			g.write(strings.Repeat(fmt.Sprint(i), 9)) // ten bytes each
			g.m.advance(time.Hour)
			if err := g.s.Rotate(); err != nil {
				t.Fatal(err)
			}
		}
		return g
	}
	fill(FileOptions{}).wantRotations("app.log.000001", "app.log.000002", "app.log.000003", "app.log.000004", "app.log.000005")
	fill(FileOptions{Keep: 2}).wantRotations("app.log.000004", "app.log.000005")
	fill(FileOptions{MaxTotal: 35}).wantRotations("app.log.000003", "app.log.000004", "app.log.000005")
	fill(FileOptions{Keep: 4, MaxTotal: 25}).wantRotations("app.log.000004", "app.log.000005")

	g := fill(FileOptions{MaxAge: 150 * time.Minute})
	g.wantRotations("app.log.000004", "app.log.000005")
	g.m.advance(2 * time.Hour)
	g.check()
	g.wantRotations()
	g.write("still here")

	// Other files' generations are not touched.
	g = fill(FileOptions{})
	f, err := g.s.File("app.log.more", FileOptions{Keep: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		f.Append([]byte("x\n"))
		g.write("x")
		if err := g.s.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"app.log.more", "app.log.more.000003"}
	for i := range 8 {
		want = append(want, fmt.Sprintf("app.log.%06d", i+1))
	}
	slices.Sort(want)
	g.wantRotations(want...)
}

// TestManyFiles: far more files than may be open, some written in every commit.
func TestManyFiles(t *testing.T) {
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			m := newDisk().mount()
			s, _, err := open(logDir, Options{FS: m, MaxOpen: 8, FSync: policy}, true)
			if err != nil {
				t.Fatal(err)
			}
			var files []*File
			for i := range 50 {
				f, err := s.File(fmt.Sprintf("f%d.log", i), FileOptions{Rotate: 500})
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, f)
			}
			want := map[string]string{}
			for round := range 40 {
				for i, f := range files {
					if i%(round%7+1) == 0 {
						text := fmt.Sprintf("round %d of file %d\n", round, i)
						f.Append([]byte(text))
						want[f.name] += text
					}
				}
				s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: uint64(round) + 1}}}}, func(err error) {
					if err != nil {
						t.Fatal(err)
					}
				})
				if n := s.Stats().Open; n > 8 {
					t.Fatalf("%d files open", n)
				}
			}
			m.kill()
			if s, _, err = open(logDir, Options{FS: m.disk.mount()}, true); err != nil {
				t.Fatal(err)
			}
			for _, name := range slices.Sorted(maps.Keys(want)) {
				got, err := m.disk.content(logDir + "/" + name)
				if err != nil || got != want[name] {
					t.Fatalf("%s: %v\n%s\n%s", name, err, got, want[name])
				}
			}
			if n := s.Runs()["r"].Last; n != 40 {
				t.Errorf("run ends at %d", n)
			}
		})
	}
}
