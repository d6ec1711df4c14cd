package record

import (
	"strings"
	"testing"
	"time"
)

// benchLine is the record of the project's own measurements: about 250 bytes, 80 of them the
// message, three fields.
func benchLine(l *Line, now time.Time) {
	l.Start(now, Info, "etl.load", "loaded a block of rows from the staging table into the warehouse, without retries")
	l.Int("rows", 120)
	l.Str("table", "orders")
	l.Float("seconds", 0.125)
}

func BenchmarkLine(b *testing.B) {
	now := time.Now()
	tail := AppendTail(nil, testID)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		l := GetLine()
		benchLine(l, now)
		buf = append(buf[:0], l.Finish(256<<10)...)
		buf = append(buf, tail...)
		buf = AppendEnd(buf, 4211)
		l.Free()
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkAppendString(b *testing.B) {
	for name, s := range map[string]string{
		"ascii80":  strings.Repeat("row load", 10),
		"ascii9":   "row loade",
		"quotes80": strings.Repeat(`"a" = 'b`, 10),
		"greek80":  strings.Repeat("αβγδ", 10),
	} {
		b.Run(name, func(b *testing.B) {
			var buf []byte
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				buf = AppendString(buf[:0], s)
			}
		})
	}
}

func BenchmarkScanHead(b *testing.B) {
	l := line(7, func(l *Line) { benchLine(l, time.Now()) })
	b.SetBytes(int64(len(l)))
	for b.Loop() {
		ScanHead(l)
	}
}

func BenchmarkValid(b *testing.B) {
	l := line(7, func(l *Line) { benchLine(l, time.Now()) })
	l = l[:len(l)-1]
	b.SetBytes(int64(len(l)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Valid(l); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBatchCheck(b *testing.B) {
	var p []byte
	var n uint64
	for len(p) < 256<<10 {
		n++
		p = append(p, line(n, func(l *Line) { benchLine(l, time.Now()) })...)
	}
	batch := Batch{Run: testID.Run, First: 1, Last: n, Count: int(n), Oldest: 1, CRC: Checksum(p)}
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		if err := batch.Check(p, testTail); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
}

func BenchmarkText(b *testing.B) {
	l := line(7, func(l *Line) { benchLine(l, time.Now()) })
	var text TextAppender
	var buf []byte
	b.SetBytes(int64(len(l)))
	b.ReportAllocs()
	for b.Loop() {
		buf = text.Append(buf[:0], l, TextOptions{})
	}
}

func BenchmarkAdopt(b *testing.B) {
	raw := []byte(`{"level":"info","ts":1700000000.1234567,"logger":"etl.load","caller":"load/load.go:12","msg":"row loaded","rows":120,"table":"orders"}`)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		l := GetLine()
		Adopt(l, raw, Defaults{})
		l.Finish(256 << 10)
		l.Free()
	}
}
