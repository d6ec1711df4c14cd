package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A View is what is shown at one moment.
type View struct {
	Now     time.Time
	Window  time.Duration
	Rows    []Row
	Alerts  []string          // what has just changed
	Raised  func(string) bool // whether a logger's alert is on
	Records uint64            // since the start
	Missed  uint64            // records that did not reach this program
	Dropped uint64            // records that their publishers dropped
}

// name makes a logger's name safe to show: a worker chose it.
func name(logger string) string {
	if logger == "" {
		return "(no name)"
	}
	quoted := strconv.Quote(logger)
	if plain := quoted[1 : len(quoted)-1]; plain == logger && !strings.Contains(logger, " ") {
		return logger
	}
	return quoted
}

// mostRows is what fits on a terminal.
const mostRows = 20

// table draws the view over the last one.
func table(w io.Writer, v View, recent []string) error {
	var b strings.Builder
	b.WriteString("\x1b[H\x1b[2J")
	fmt.Fprintf(&b, "%s   %d records, of the last %s:\n\n", v.Now.Format(time.DateTime), v.Records, v.Window)
	fmt.Fprintf(&b, "%-30s %9s %9s %9s %8s\n", "logger", "records", "per s", "errors", "rate")
	for i, r := range v.Rows {
		if i == mostRows {
			fmt.Fprintf(&b, "... and %d more\n", len(v.Rows)-i)
			break
		}
		on, off := "", ""
		if v.Raised(r.Logger) {
			on, off = "\x1b[1;31m", "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s%-30s %9d %9.1f %9d %7.1f%%%s\n", on, name(r.Logger), r.Records, float64(r.Records)/v.Window.Seconds(), r.Errors, 100*r.Rate(), off)
	}
	if v.Missed > 0 || v.Dropped > 0 {
		fmt.Fprintf(&b, "\nnot counted: %d records missed by this program, %d dropped by their publishers\n", v.Missed, v.Dropped)
	}
	if len(recent) > 0 {
		b.WriteString("\n" + strings.Join(recent, "\n") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// lines writes the view for a file or another program: one line for each logger.
func lines(w io.Writer, v View) error {
	var b strings.Builder
	at := v.Now.UTC().Format(time.RFC3339)
	for _, r := range v.Rows {
		fmt.Fprintf(&b, "%s RATE  %s: %.1f%% errors over %s (%d of %d records, %.1f/s)\n",
			at, name(r.Logger), 100*r.Rate(), v.Window, r.Errors, r.Records, float64(r.Records)/v.Window.Seconds())
	}
	for _, a := range v.Alerts {
		fmt.Fprintf(&b, "%s %s\n", at, a)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
