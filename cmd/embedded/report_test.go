package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestReportTable(t *testing.T) {
	r := &report{
		Handlers: []destination{
			{Handler: "json://logs/app.jsonl", Records: 1234575, Bytes: 345678901},
			{Handler: "console://stderr?level=warn", Records: 1, Bytes: 100, Skipped: 2},
		},
		Workers: []row{
			{Worker: "w1", Accepted: 1234567, Written: 1234567, Seconds: 1.5},
			{Worker: "w2", Accepted: 10, Written: 7, Dropped: 3, Seconds: 0.25, Ended: "killed by SIGKILL"},
		},
	}
	r.finish(2 * time.Second)
	if !r.Accounted {
		t.Error("accepted = written + dropped, but it is not accounted for")
	}
	var b strings.Builder
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	const want = `  worker   accepted    written  dropped  lost    time
      w1  1,234,567  1,234,567        0     0  1.50 s
      w2         10          7        3     0  0.25 s  killed by SIGKILL
   total  1,234,577  1,234,574        3     0  2.00 s

  json://logs/app.jsonl        1,234,575 records, 345.7 MB
  console://stderr?level=warn  1 record, 0.1 kB, 2 more not shown because it was too slow
every accepted record is accounted for: 1,234,574 written, 3 dropped and told in the log
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestReportIsNotFooled(t *testing.T) {
	for name, w := range map[string]row{
		"missing":      {Accepted: 10, Written: 9},
		"lost":         {Accepted: 10, Written: 9, Lost: 1},
		"one too many": {Accepted: 10, Written: 11},
		"both ways":    {Accepted: 10, Written: 10, Dropped: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w.Worker = "w1"
			// The other worker's error must not make up for it.
			other := row{Worker: "w2", Accepted: w.Written + w.Dropped, Written: w.Accepted}
			r := &report{Workers: []row{w, other}}
			r.finish(0)
			if r.Accounted {
				t.Error("is accounted for")
			}
			if v := r.verdict(); !strings.HasPrefix(v, "NOT ACCOUNTED FOR: w1 ") || !strings.Contains(v, "w2 ") {
				t.Errorf("verdict: %s", v)
			}
		})
	}
}

func TestReportOfWhatWasLeftBehind(t *testing.T) {
	r := &report{Undelivered: 4, Workers: []row{{Worker: "w1", Accepted: 10, Written: 6}, {Worker: "w2", Accepted: 5, Written: 5}}}
	r.finish(0)
	if r.Accounted {
		t.Error("is accounted for")
	}
	if v := r.verdict(); !strings.Contains(v, "4 records") || !strings.Contains(v, "next start") {
		t.Errorf("verdict: %s", v)
	}
}

func TestReportJSON(t *testing.T) {
	r := &report{Directory: "logs", Workers: []row{{Worker: "w1", Accepted: 3, Written: 2, Dropped: 1}}}
	r.finish(time.Second)
	var b strings.Builder
	if err := r.writeJSON(&b); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Workers []struct {
			Worker                           string
			Accepted, Written, Dropped, Lost int
		}
		Total     struct{ Accepted int }
		Accounted bool
	}
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Workers) != 1 || back.Workers[0].Worker != "w1" || back.Workers[0].Dropped != 1 || back.Total.Accepted != 3 || !back.Accounted {
		t.Errorf("got %+v", back)
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", 100000: "100,000"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
}
