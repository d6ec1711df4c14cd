package verify

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// benchFile writes a log of four workers, in batches of 1,000 records of ~250 bytes, as a
// collector under load writes it.
func benchFile(b *testing.B, size int) (path string, written int64) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "app.jsonl")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	var seqs [4]uint64
	for w := 0; written < int64(size); w = (w + 1) % len(seqs) {
		id := record.Identity{App: "etl", Worker: fmt.Sprintf("w%d", w), Run: fmt.Sprintf("RUN%07d", w)}
		var batch []byte
		for range 1000 {
			seqs[w]++
			batch = append(batch, line(id, seqs[w], func(l *record.Line) {
				l.Int("rows", 120)
				l.Str("table", "orders")
				l.Str("what", "loaded a block of rows from the staging table into the warehouse, without retries")
			})...)
		}
		n, err := f.Write(batch)
		if err != nil {
			b.Fatal(err)
		}
		written += int64(n)
	}
	return path, written
}

// BenchmarkFiles: compare with wc -l on such a file, which is what the disk's cache and a search for
// newlines allow.
func BenchmarkFiles(b *testing.B) {
	path, size := benchFile(b, 100<<20)
	for name, o := range map[string]Options{"ends": {}, "full": {Full: true}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				r, err := Files(b.Context(), []string{path}, o)
				if err != nil || !r.OK {
					b.Fatal(err, r)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size/250), "ns/250B")
		})
	}
}
