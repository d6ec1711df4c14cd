package status

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// WriteTable writes the report for people to read.
func (r Report) WriteTable(w io.Writer) error {
	state := "connected"
	if err := r.Health(); err != nil {
		state = err.Error()
	}
	fmt.Fprintf(w, "collector %s, process %d, on %s since %s: %s\n\n",
		r.Version, r.PID, Printable(r.Dir), r.Started.Local().Format(time.DateTime), state)
	if s := r.Stream; s != nil {
		room := "no bound"
		if s.MaxBytes > 0 {
			room = fmt.Sprintf("room for %d bytes more of %d", s.Room, s.MaxBytes)
		}
		fmt.Fprintf(w, "stream %s: %d messages (about %d bytes) are not in the log yet; it holds %d (%d bytes), %s\n\n",
			Printable(s.Name), s.Pending, s.PendingBytes, s.Messages, s.Bytes, room)
	}
	if err := WriteRuns(w, r.Runs, r.Totals); err != nil {
		return err
	}

	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\nrecords\tbytes\tskipped\terrors\tfiles\t  handler")
	for _, h := range r.Handlers {
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t  %s\n", h.Records, h.Bytes, h.Skipped, h.Errors, h.Files, Printable(h.Name))
	}
	fmt.Fprintln(t)
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, r.Notes())
	return err
}

// Notes has a line for each number that is not nought and that somebody may want
// to know about.
func (r Report) Notes() string {
	var b strings.Builder
	for _, n := range []struct {
		n    uint64
		what string
	}{
		{r.Foreign, "foreign records"},
		{r.ForeignLost, "foreign messages lost"},
		{r.Rejected, "messages rejected, see rejected.jsonl"},
		{r.Duplicates, "records came again and were not written"},
		{r.Discarded, "messages discarded because too much was waiting"},
		{r.Failures, "commits failed and were taken back"},
	} {
		if n.n > 0 {
			fmt.Fprintf(&b, "%d %s\n", n.n, n.what)
		}
	}
	return b.String()
}

// WriteRuns writes a table of runs or of workers, and their totals.
func WriteRuns(w io.Writer, runs []Run, totals Totals) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(n Totals, who string) {
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t  %s\n", n.Logged, n.Written, n.Dropped, n.Lost, who)
	}
	fmt.Fprintln(t, "logged\twritten\tdropped\tlost\t  who")
	for _, run := range runs {
		who := Printable(run.App) + "/" + Printable(run.Worker)
		if run.Run != "" {
			who += " " + Printable(run.Run)
		}
		if run.Ended {
			who += " (ended)"
		}
		row(run.Totals, who)
	}
	row(totals, "total")
	return t.Flush()
}

// Printable keeps names that others chose from doing anything to a terminal.
func Printable(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}
