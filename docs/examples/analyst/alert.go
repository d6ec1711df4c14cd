package main

import (
	"fmt"
	"slices"
	"time"
)

// Alerts says when a logger's error rate passes a limit, and when it has come down to half of it: without a distance
// between the two, a rate at the limit would flap.
type Alerts struct {
	Limit   float64 // 0 to 1
	Records int     // fewer within the window say nothing
	raised  map[string]bool
}

// Check returns a line for every change.
func (a *Alerts) Check(rows []Row, window time.Duration) []string {
	if a.raised == nil {
		a.raised = make(map[string]bool)
	}
	var lines []string
	calm := make(map[string]bool)
	for name := range a.raised {
		calm[name] = true // unless it is among the rows
	}
	for _, r := range rows {
		switch {
		case !a.raised[r.Logger] && r.Records >= a.Records && r.Rate() > a.Limit:
			a.raised[r.Logger] = true
			lines = append(lines, fmt.Sprintf("ALERT %s: %.1f%% errors over %s (%d of %d records), above %.1f%%",
				name(r.Logger), 100*r.Rate(), window, r.Errors, r.Records, 100*a.Limit))
		case a.raised[r.Logger] && r.Rate() <= a.Limit/2:
			delete(a.raised, r.Logger)
			lines = append(lines, fmt.Sprintf("CALM  %s: %.1f%% errors over %s (%d of %d records)",
				name(r.Logger), 100*r.Rate(), window, r.Errors, r.Records))
		}
		delete(calm, r.Logger)
	}
	for logger := range calm {
		delete(a.raised, logger)
		lines = append(lines, fmt.Sprintf("CALM  %s: silent for %s", name(logger), window))
	}
	slices.Sort(lines)
	return lines
}

// Raised reports whether a logger's alert is on.
func (a *Alerts) Raised(logger string) bool { return a.raised[logger] }
