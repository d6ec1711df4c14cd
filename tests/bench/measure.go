package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Bar is one figure that logbraid is held to. The project's own bars say how far ahead it wants to be.
type Bar struct {
	What   string
	Got    float64
	Limit  float64
	AtMost bool   // Limit is the most, not the least
	Detail string // the figures behind Got
}

// Held reports whether the bar is reached.
func (b Bar) Held() bool {
	if b.AtMost {
		return b.Got <= b.Limit
	}
	return b.Got >= b.Limit
}

// A Measure is a figure that is not a race of contestants over the same load.
type Measure struct {
	Name, About string
	Run         func(ctx context.Context, b *Bench) ([]Bar, error)
}

func measures() []Measure {
	return []Measure{
		{"calls", "the cost of a log call, beside zerolog's, slog's and logrus's own", callCosts},
		{"goroutines", "the cost of a log call from eight goroutines and from one", goroutines},
		{"latency", "from the log call to the line in the file, at 100 records/s", latency},
		{"pace", "CPU of all processes at 1,000 records/s", paced},
		{"publishers", "1 to 256 worker processes", publishers},
		{"size", "4 GB in one go, and 0.5 GB", sizes},
		{"memory", "the master's memory under load, and while the collector is stopped", memory},
		{"idle", "a worker that says nothing for a minute", idle},
	}
}

// pick returns the elements whose names stand in list, which separates them by commas; "all" is all, "none" or "" none.
func pick[E any](list string, all []E, name func(E) string) ([]E, error) {
	switch list {
	case "all":
		return all, nil
	case "", "none":
		return nil, nil
	}
	var some []E
	for want := range strings.SplitSeq(list, ",") {
		at := slices.IndexFunc(all, func(e E) bool { return name(e) == want })
		if at < 0 {
			return nil, fmt.Errorf("nothing is called %q; -list shows the names", want)
		}
		some = append(some, all[at])
	}
	return some, nil
}

// bars are those that compare the contestants of the table.
func (t *Table) bars() []Bar {
	var bars []Bar
	add := func(what, ours, rival string, limit float64) {
		a, b := t.row(ours), t.row(rival)
		if a == nil || b == nil {
			return
		}
		bars = append(bars, Bar{What: what, Got: ratio(a.figures, b.figures), Limit: limit,
			Detail: fmt.Sprintf("%s/s against %s/s", thousands(a.Rate), thousands(b.Rate))})
	}
	add("against the Python design with FileHandler", reference, "python-queue", 55)
	add("against rsyslog tuned", reference, "rsyslog-tuned", 2.3)
	add("against four zerolog processes appending to one file", reference, "zerolog-append", 2.2)
	add("against one record per NATS message", reference, "nats-per-record", 2.2)
	add("FSYNC=always against FSYNC=1s", "logbraid-fsync-always", reference, 0.85)
	add("buffer file against buffer in memory", reference, "logbraid-memory", 0.95)
	add("routed into three files and a text file, against one JSON file", "logbraid-routed", reference, 0.6)
	add("stream delivery against direct", "logbraid-stream", reference, 0.6)
	add("stream delivery against one record per JetStream message", "logbraid-stream", "jetstream-per-record", 10)
	if r := t.row(reference); r != nil {
		var most []float64
		for _, f := range r.figures {
			most = append(most, float64(f.Memory)/(1<<20))
		}
		bars = append(bars, Bar{What: "memory of the saturated master, MB", Got: median(most), Limit: 120, AtMost: true, Detail: "largest resident size"})
	}
	return bars
}

func (t *Table) row(name string) *Row {
	for i := range t.Rows {
		if t.Rows[i].Name == name {
			return &t.Rows[i]
		}
	}
	return nil
}

// ratio is the median of the rounds' own ratios, a's rate over b's: the two figures of a round are taken minutes apart at most.
func ratio(a, b []Figure) float64 {
	var ratios []float64
	for n := range min(len(a), len(b)) {
		ratios = append(ratios, a[n].rate()/b[n].rate())
	}
	return median(ratios)
}

// writeBars writes the bars as a table.
func writeBars(w io.Writer, bars []Bar) {
	if len(bars) == 0 {
		return
	}
	fmt.Fprint(w, "\n| measure | bar | measured | held | figures |\n|---|---|---:|---|---|\n")
	for _, b := range bars {
		way, held := "at least", "yes"
		if b.AtMost {
			way = "at most"
		}
		if !b.Held() {
			held = "**no**"
		}
		fmt.Fprintf(w, "| %s | %s %g | %.3g | %s | %s |\n", b.What, way, b.Limit, b.Got, held, b.Detail)
	}
}
