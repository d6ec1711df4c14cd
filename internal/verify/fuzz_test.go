package verify

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// FuzzFiles holds the report on any bytes to a count by the plain parser, line by line.
func FuzzFiles(f *testing.F) {
	whole := lines(w1, 1, 3) + lines(w2, 1, 2)
	for _, s := range []string{
		whole, whole[:len(whole)-1], whole[:150] + whole, toldText(w1, 4, 2, 2, 3), "", "\n\n", "{}\n", "\x00\x00\n", "\xff\n", whole + "\r\n",
		strings.Replace(whole, `"seq":2`, `"seq":18446744073709551615`, 1), strings.Replace(whole, `"seq":2`, `"seq":9999999999999999999`, 1),
		strings.Replace(whole, `"run":"A`, `"run":"\u0041`, 1), strings.Replace(whole, "row", `{\"time\":\"`, 1), gz(whole), zst(whole), gz(whole)[:40], whole + lostText(1, w1, 2, 4, 5), lostText(1, w2, 1<<62, 1, maxSeq),
		strings.Replace(toldText(w1, 4, 2, 2, 3), `"last":3`, `"last":18446744073709551615`, 1),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.HasPrefix(b, gzipMagic) || bytes.HasPrefix(b, zstdMagic) {
			if len(b) < 10000 {
				Files(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(b)})
			}
			return
		}
		var torn, other, records uint64
		for l := range bytes.Lines(b) {
			l, ended := bytes.CutSuffix(l, []byte("\n"))
			tail, ok := record.ScanTail(l)
			switch {
			case !ended || record.Valid(l) != nil:
				torn++
			case !ok || tail.Seq == 0 || tail.Seq > maxSeq:
				other++
			default:
				records++
			}
		}
		r, err := Files(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(b), Full: true})
		if err != nil {
			t.Fatal(err)
		}
		if r.Torn != torn || r.Other != other || r.Records != records || int(r.Lines) != bytes.Count(b, []byte("\n"))+int(ifTail(b)) {
			t.Fatalf("%d torn, %d other, %d records, want %d, %d, %d", r.Torn, r.Other, r.Records, torn, other, records)
		}
		var unique uint64
		for _, run := range r.Runs {
			unique += run.Last - (run.Missing - run.LostAtEnd)
			if run.Dropped > run.Missing || run.Count < run.Duplicates {
				t.Fatalf("%+v", run)
			}
		}
		if unique+r.Duplicates != r.Records {
			t.Fatalf("%d seqs and %d duplicates are not %d records", unique, r.Duplicates, r.Records)
		}
		quick, err := Files(context.Background(), []string{"-"}, Options{Stdin: bytes.NewReader(b)})
		if err != nil || quick.Torn > r.Torn {
			t.Fatalf("quick: %v %+v", err, quick)
		}
		var text strings.Builder
		if err := r.WriteTable(&text); err != nil || strings.ContainsAny(text.String(), "\x1b\x00\u202e\u009b") {
			t.Fatalf("%v: %q", err, text.String())
		}
	})
}

// ifTail returns 1 if something stands behind the last newline.
func ifTail(b []byte) uint64 {
	if len(b) > 0 && b[len(b)-1] != '\n' {
		return 1
	}
	return 0
}
