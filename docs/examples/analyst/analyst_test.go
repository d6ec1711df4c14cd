package main

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func TestSlidingWindow(t *testing.T) {
	r := NewRates(10*time.Second, 10)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	add := func(logger string, seconds, now int, isError bool) { r.Add(logger, at(seconds), at(now), isError) }
	want := func(now int, rows ...Row) {
		t.Helper()
		if got := r.Rows(at(now)); !reflect.DeepEqual(got, rows) {
			t.Errorf("after %d s: %v, want %v", now, got, rows)
		}
	}
	add("etl", 0, 0, false)
	add("etl", 0, 0, true)
	add("web", 5, 5, false)
	want(5, Row{"etl", 2, 1}, Row{"web", 1, 0})
	want(9, Row{"etl", 2, 1}, Row{"web", 1, 0})
	want(10, Row{"web", 1, 0}) // the first step has gone
	add("etl", 3, 12, true)    // comes late, and is in the window
	add("etl", 2, 12, true)    // is not any more
	add("etl", 99, 12, false)  // a clock that is ahead
	want(12, Row{"etl", 2, 1}, Row{"web", 1, 0})
	want(13, Row{"etl", 1, 0}, Row{"web", 1, 0})
	want(1000)
	if len(r.loggers) != 0 {
		t.Errorf("%d loggers are kept that have long been silent", len(r.loggers))
	}
}

// Whatever comes when, the rows are what counting everything again would give.
func TestSlidingWindowAgainstReference(t *testing.T) {
	type event struct {
		step   int
		logger string
		err    bool
	}
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		const steps = 7
		r := NewRates(steps*time.Second, steps)
		var all []event
		now := 0
		for range 300 {
			now += rnd.IntN(2) * rnd.IntN(4)
			e := event{now - rnd.IntN(2*steps), fmt.Sprint("l", rnd.IntN(3)), rnd.IntN(2) == 0}
			t0 := start.Add(time.Duration(e.step) * time.Second)
			r.Add(e.logger, t0, start.Add(time.Duration(now)*time.Second+999*time.Millisecond), e.err)
			all = append(all, e)
			if rnd.IntN(4) > 0 {
				continue
			}
			want := map[string]Row{}
			for _, e := range all {
				if e.step > now-steps {
					row := want[e.logger]
					row.Logger = e.logger
					row.Records++
					if e.err {
						row.Errors++
					}
					want[e.logger] = row
				}
			}
			got := map[string]Row{}
			for _, row := range r.Rows(start.Add(time.Duration(now) * time.Second)) {
				got[row.Logger] = row
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, after %d s: %v, want %v", seed, now, got, want)
			}
		}
	}
}

func TestManyLoggers(t *testing.T) {
	r := NewRates(time.Minute, 60)
	for i := range 3 * maxLoggers {
		r.Add(fmt.Sprint("logger", i), start, start, true)
	}
	rows := r.Rows(start)
	if len(rows) != maxLoggers+1 || rows[0].Logger != others || rows[0].Errors != 2*maxLoggers {
		t.Errorf("%d rows, the first %v", len(rows), rows[0])
	}
}

func TestAlerts(t *testing.T) {
	a := &Alerts{Limit: 0.05, Records: 20}
	check := func(want string, rows ...Row) {
		t.Helper()
		if got := strings.Join(a.Check(rows, time.Minute), "\n"); got != want {
			t.Errorf("%v: %q, want %q", rows, got, want)
		}
	}
	check("", Row{"etl", 19, 19}) // too few to say
	check("", Row{"etl", 100, 5})
	check("ALERT etl: 6.0% errors over 1m0s (6 of 100 records), above 5.0%", Row{"etl", 100, 6})
	check("", Row{"etl", 100, 60}) // said
	check("", Row{"etl", 100, 4})  // not yet calm
	check("CALM  etl: 2.0% errors over 1m0s (2 of 100 records)", Row{"etl", 100, 2})
	check("ALERT a: 50.0% errors over 1m0s (10 of 20 records), above 5.0%", Row{"a", 20, 10})
	check("CALM  a: silent for 1m0s")
	if a.Raised("a") {
		t.Error("still raised")
	}
}

func TestViews(t *testing.T) {
	v := View{
		Now: start, Window: time.Minute, Records: 9, Missed: 3,
		Rows:   []Row{{"etl.load", 120, 12}, {"bad\x1b[2J name", 6, 0}, {"", 6, 0}},
		Alerts: []string{"ALERT etl.load: ..."}, Raised: func(l string) bool { return l == "etl.load" },
	}
	var plain, drawn strings.Builder
	if err := lines(&plain, v); err != nil {
		t.Fatal(err)
	}
	if want := `2026-11-22T10:00:00Z RATE  etl.load: 10.0% errors over 1m0s (12 of 120 records, 2.0/s)
2026-11-22T10:00:00Z RATE  "bad\x1b[2J name": 0.0% errors over 1m0s (0 of 6 records, 0.1/s)
2026-11-22T10:00:00Z RATE  (no name): 0.0% errors over 1m0s (0 of 6 records, 0.1/s)
2026-11-22T10:00:00Z ALERT etl.load: ...
`; plain.String() != want {
		t.Errorf("lines:\n%s", plain.String())
	}
	if err := table(&drawn, v, []string{"ALERT"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\x1b[1;31metl.load ", `"bad\x1b[2J name" `, "3 records missed", "\nALERT\n"} {
		if !strings.Contains(drawn.String(), want) {
			t.Errorf("the table lacks %q:\n%q", want, drawn.String())
		}
	}
}
