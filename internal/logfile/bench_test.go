package logfile

import (
	"fmt"
	"testing"
)

// BenchmarkCommit is a commit of one line and the checkpoint of so many runs: two
// writes to the journal, one to the file. No fsync: that is the disk's time.
func BenchmarkCommit(b *testing.B) {
	for _, runs := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(runs, " runs"), func(b *testing.B) {
			s, f := benchStore(b, b.TempDir())
			defer s.Close()
			c := Commit{Runs: benchRuns(0, runs)}
			text := []byte(line("r", 1))
			b.ReportAllocs()
			for b.Loop() {
				for i := range c.Runs {
					c.Runs[i].Last++
				}
				f.Append(text)
				s.Commit(c, func(err error) {
					if err != nil {
						b.Fatal(err)
					}
				})
			}
			b.ReportMetric(float64(s.Stats().Compactions)/float64(b.N), "compactions/op")
		})
	}
}

// BenchmarkCheckpoint is the checkpoint's encoding and the state alone.
func BenchmarkCheckpoint(b *testing.B) {
	c := &checkpoint{number: 2, previous: 1, files: []fileState{{path: "app.jsonl", generation: 1, length: 1 << 30, tail: tail{4096, 1}}}}
	for _, r := range benchRuns(0, 16) {
		c.runs = append(c.runs, runState{id: r.ID, Run: r.Run})
	}
	s := newState()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendEntry(buf[:0], c)
		s.apply(c)
	}
	b.SetBytes(int64(len(buf)))
}

// BenchmarkOpen is a start after kill -9 with so many runs in the table.
func BenchmarkOpen(b *testing.B) {
	for _, runs := range []int{1000, 65536} {
		b.Run(fmt.Sprint(runs, " runs"), func(b *testing.B) {
			dir := b.TempDir()
			s, f := benchStore(b, dir)
			for i := 0; i < runs; i += 250 {
				f.Append([]byte(line("r", uint64(i))))
				s.Commit(Commit{Runs: benchRuns(i, min(250, runs-i))}, func(err error) {
					if err != nil {
						b.Fatal(err)
					}
				})
			}
			s.leave()
			for b.Loop() {
				s, _ := benchStore(b, dir)
				s.leave()
			}
		})
	}
}

func benchStore(b *testing.B, dir string) (*Store, *File) {
	s, _, err := Open(dir, Options{FSync: Never})
	if err != nil {
		b.Fatal(err)
	}
	f, err := s.File("app.jsonl", FileOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return s, f
}

func benchRuns(from, n int) []RunDelta {
	var out []RunDelta
	for i := range n {
		out = append(out, RunDelta{fmt.Sprintf("4fK9x%05d", from+i), Run{Subject: fmt.Sprint("logs.etl.worker-", from+i), Last: 1}})
	}
	return out
}

// leave lets go of everything as a kill does: nothing is written or forced.
func (s *Store) leave() {
	s.keeper.close()
	s.syncer.close()
	for _, f := range s.files {
		f.letGo()
	}
	s.journal.close()
	for _, d := range s.folders {
		d.close()
	}
}
