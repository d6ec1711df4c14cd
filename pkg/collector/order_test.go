package collector

import (
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

func TestJudge(t *testing.T) {
	type batch = record.Batch
	at := func(last, dropped, lost, excess uint64) progress {
		return progress{last: last, dropped: dropped, lost: lost, excess: excess}
	}
	for _, c := range []struct {
		name  string
		p     progress
		b     batch
		after int // lines behind p.last, where a part is written already
		want  verdict
	}{
		{"the first", at(0, 0, 0, 0), batch{First: 1, Last: 5, Count: 5, Oldest: 1}, 0,
			verdict{action: write, next: at(5, 0, 0, 0)}},
		{"the next", at(5, 0, 0, 0), batch{First: 6, Last: 7, Count: 2, Oldest: 6}, 0,
			verdict{action: write, after: 5, next: at(7, 0, 0, 0)}},
		{"the same again", at(7, 0, 0, 0), batch{First: 6, Last: 7, Count: 2, Oldest: 6}, 0,
			verdict{action: duplicate, next: at(7, 0, 0, 0)}},
		{"long ago", at(70, 0, 0, 0), batch{First: 6, Last: 7, Count: 2, Oldest: 6}, 0,
			verdict{action: duplicate, next: at(70, 0, 0, 0)}},
		{"half of it again", at(5, 0, 0, 0), batch{First: 4, Last: 7, Count: 4, Oldest: 4}, 2,
			verdict{action: write, after: 5, next: at(7, 0, 0, 0)}},
		{"half of it again, with a told hole", at(5, 1, 0, 0), batch{First: 4, Last: 8, Count: 3, Dropped: 3, Oldest: 4}, 1,
			verdict{action: write, after: 5, next: at(8, 3, 0, 0)}},
		{"half of it again, with a hole nobody told of", at(5, 2, 0, 0), batch{First: 4, Last: 8, Count: 3, Dropped: 3, Oldest: 4}, 1,
			verdict{action: reject, next: at(5, 2, 0, 0), err: errHole}},
		{"drops before it", at(5, 1, 0, 0), batch{First: 10, Last: 11, Count: 2, Dropped: 5, Oldest: 10}, 0,
			verdict{action: write, after: 5, next: at(11, 5, 0, 0)}},
		{"drops inside it", at(5, 0, 0, 0), batch{First: 6, Last: 11, Count: 2, Dropped: 4, Oldest: 6}, 0,
			verdict{action: write, after: 5, next: at(11, 4, 0, 0)}},
		{"something before it is still held", at(5, 0, 0, 0), batch{First: 8, Last: 9, Count: 2, Oldest: 6}, 0,
			verdict{action: want, next: at(5, 0, 0, 0)}},
		{"something before it is held, although drops explain the gap", at(5, 0, 0, 0), batch{First: 8, Last: 9, Count: 2, Dropped: 2, Oldest: 7}, 0,
			verdict{action: want, next: at(5, 0, 0, 0)}},
		{"an older record is held, but nothing is missing", at(5, 0, 0, 0), batch{First: 6, Last: 9, Count: 4, Oldest: 3}, 0,
			verdict{action: write, after: 5, next: at(9, 0, 0, 0)}},
		{"lost before it", at(5, 0, 1, 0), batch{First: 10, Last: 11, Count: 2, Dropped: 1, Oldest: 10}, 0,
			verdict{action: write, after: 5, lost: 3, next: at(11, 1, 4, 0)}},
		{"an unknown run in the middle", at(0, 0, 0, 0), batch{First: 101, Last: 101, Count: 1, Dropped: 20, Oldest: 101}, 0,
			verdict{action: write, lost: 80, next: at(101, 20, 80, 0)}},
		{"written, and later told as dropped", at(5, 0, 0, 0), batch{First: 6, Last: 7, Count: 2, Dropped: 3, Oldest: 6}, 0,
			verdict{action: write, after: 5, next: at(7, 3, 0, 3)}},
		{"and after that the numbers add up again", at(7, 3, 0, 3), batch{First: 9, Last: 9, Count: 1, Dropped: 4, Oldest: 9}, 0,
			verdict{action: write, after: 7, next: at(9, 4, 0, 3)}},
		{"drops that were told are taken back", at(5, 3, 0, 0), batch{First: 6, Last: 7, Count: 2, Dropped: 2, Oldest: 6}, 0,
			verdict{action: reject, next: at(5, 3, 0, 0), err: errBackward}},
		{"holes, but fewer drops than before", at(5, 3, 0, 0), batch{First: 6, Last: 8, Count: 2, Dropped: 3, Oldest: 6}, 0,
			verdict{action: reject, next: at(5, 3, 0, 0), err: errBackward}},
		{"the end", at(5, 1, 0, 0), batch{First: 6, Last: 5, Dropped: 1, Oldest: 6, End: true}, 0,
			verdict{action: write, after: 5, next: progress{last: 5, dropped: 1, ended: true}}},
		{"the end again", progress{last: 5, ended: true}, batch{First: 6, Last: 5, End: true}, 0,
			verdict{action: duplicate, next: progress{last: 5, ended: true}}},
		{"the end behind drops", at(5, 1, 0, 0), batch{First: 10, Last: 9, Dropped: 5, Oldest: 10, End: true}, 0,
			verdict{action: write, after: 5, next: progress{last: 9, dropped: 5, ended: true}}},
		{"the end behind lost records", at(5, 0, 0, 0), batch{First: 10, Last: 9, Dropped: 1, End: true}, 0,
			verdict{action: write, after: 5, lost: 3, next: progress{last: 9, dropped: 1, lost: 3, ended: true}}},
		{"the end, while records are held", at(5, 0, 0, 0), batch{First: 10, Last: 9, Dropped: 1, Oldest: 7, End: true}, 0,
			verdict{action: want, next: at(5, 0, 0, 0)}},
		{"an end of nothing", at(0, 0, 0, 0), batch{First: 1, Last: 0, Oldest: 1, End: true}, 0,
			verdict{action: write, next: progress{ended: true}}},
		{"records after the end", progress{last: 5, ended: true}, batch{First: 6, Last: 6, Count: 1, Oldest: 6}, 0,
			verdict{action: write, after: 5, next: at(6, 0, 0, 0)}},
		{"rebuilt: what was missing was dropped", progress{last: 10, dropped: 4, rebuilt: true}, batch{First: 11, Last: 12, Count: 2, Dropped: 4, Oldest: 11}, 0,
			verdict{action: write, after: 10, next: at(12, 4, 0, 0)}},
		{"rebuilt: some of it was lost long ago", progress{last: 10, dropped: 4, rebuilt: true}, batch{First: 11, Last: 12, Count: 2, Dropped: 1, Oldest: 11}, 0,
			verdict{action: write, after: 10, next: at(12, 1, 3, 0)}},
		{"rebuilt: one more is lost now", progress{last: 10, dropped: 4, rebuilt: true}, batch{First: 12, Last: 12, Count: 1, Dropped: 1, Oldest: 12}, 0,
			verdict{action: write, after: 10, lost: 1, next: at(12, 1, 4, 0)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.b.Run = "r"
			if _, err := record.ParseBatch(string(c.b.AppendHeader(nil))); err != nil {
				t.Fatalf("not a batch that reaches judge: %v", err)
			}
			got := judge(c.p, c.b, func(seq uint64) int {
				if seq != c.p.last || c.b.First > c.p.last {
					t.Errorf("asked for the lines after %d", seq)
				}
				return c.after
			})
			if got != c.want {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}
