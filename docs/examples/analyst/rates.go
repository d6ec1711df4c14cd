package main

import (
	"cmp"
	"slices"
	"time"
)

// Rates counts records and errors per logger over a window that slides along in steps. It knows no clock: every
// call says what time it is.
type Rates struct {
	step    time.Duration
	steps   int
	loggers map[string]*counts
}

// counts is a logger's window: a ring of steps, of which that with number n is at n modulo its length.
type counts struct {
	ring []bucket
	last int64 // number of the newest step
}

type bucket struct{ records, errors int }

// maxLoggers bounds the memory: names come from workers.
const (
	maxLoggers = 1000
	others     = "(others)"
)

// NewRates returns empty rates over a window, which is cut into so many steps.
func NewRates(window time.Duration, steps int) *Rates {
	steps = max(steps, 1)
	return &Rates{step: max(window/time.Duration(steps), 1), steps: steps, loggers: make(map[string]*counts)}
}

// Window is how far back the rates look.
func (r *Rates) Window() time.Duration { return r.step * time.Duration(r.steps) }

func (r *Rates) number(t time.Time) int64 { return t.UnixNano() / int64(r.step) }

// Add counts a record of time at, which has come now. One that is older than the window counts for
// nothing; one from a clock that is ahead counts as of now.
func (r *Rates) Add(logger string, at, now time.Time, isError bool) {
	current := r.number(now)
	n := min(r.number(at), current)
	if n <= current-int64(r.steps) {
		return
	}
	c := r.loggers[logger]
	if c == nil {
		if len(r.loggers) >= maxLoggers {
			logger = others
			c = r.loggers[logger]
		}
		if c == nil {
			c = &counts{ring: make([]bucket, r.steps), last: current}
			r.loggers[logger] = c
		}
	}
	c.slide(current)
	b := &c.ring[n%int64(len(c.ring))]
	b.records++
	if isError {
		b.errors++
	}
}

// slide empties the steps that have come since the last time.
func (c *counts) slide(current int64) {
	for n := max(c.last+1, current-int64(len(c.ring))+1); n <= current; n++ {
		c.ring[n%int64(len(c.ring))] = bucket{}
	}
	c.last = max(c.last, current)
}

// A Row is one logger's numbers over the window.
type Row struct {
	Logger  string
	Records int
	Errors  int
}

// Rate is the part of the records that are errors, 0 to 1.
func (r Row) Rate() float64 {
	if r.Records == 0 {
		return 0
	}
	return float64(r.Errors) / float64(r.Records)
}

// Rows returns the loggers that have said something within the window, most errors first, and forgets the rest.
func (r *Rates) Rows(now time.Time) []Row {
	var rows []Row
	for name, c := range r.loggers {
		c.slide(r.number(now))
		row := Row{Logger: name}
		for _, b := range c.ring {
			row.Records += b.records
			row.Errors += b.errors
		}
		if row.Records == 0 {
			delete(r.loggers, name)
			continue
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(b.Errors-a.Errors, b.Records-a.Records, cmp.Compare(a.Logger, b.Logger))
	})
	return rows
}
