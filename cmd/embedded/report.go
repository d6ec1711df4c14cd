package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what a session came to. Accepted comes from the workers (their own
// publishers, over a pipe), written, dropped and lost come from the collector:
// two parties that know nothing of each other's counts have to agree (I9).
type report struct {
	Directory string        `json:"directory"`
	Workers   []row         `json:"workers"`
	Total     row           `json:"total"`
	Handlers  []destination `json:"handlers"`
	// Earlier counts records of runs that began before this session: what the
	// workers of a master that was killed had left behind.
	Earlier uint64 `json:"earlier"`
	// Undelivered counts records that are still in the workers' buffers.
	Undelivered uint64   `json:"undelivered"`
	Work        *work    `json:"work,omitempty"`
	Problems    []string `json:"problems,omitempty"`
	Accounted   bool     `json:"accounted"`
	Interrupted bool     `json:"interrupted,omitempty"`
	Exit        int      `json:"exit"`
}

// row is one worker's part.
type row struct {
	Worker   string  `json:"worker"`
	Accepted uint64  `json:"accepted"`
	Written  uint64  `json:"written"`
	Dropped  uint64  `json:"dropped"`
	Lost     uint64  `json:"lost"`
	Seconds  float64 `json:"seconds"`
	Ended    string  `json:"ended,omitempty"` // how its process ended, when not with status 0
}

// destination is where records went; those of the collector's own are among them.
type destination struct {
	Handler string `json:"handler"`
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
	Skipped uint64 `json:"skipped,omitempty"` // by a console that could not keep up
}

func (r row) accounted() bool { return r.Accepted == r.Written+r.Dropped }

// finish adds up the rows and judges them.
func (r *report) finish(elapsed time.Duration) {
	r.Total = row{Worker: "total", Seconds: elapsed.Seconds()}
	r.Accounted = true
	for _, w := range r.Workers {
		r.Total.Accepted += w.Accepted
		r.Total.Written += w.Written
		r.Total.Dropped += w.Dropped
		r.Total.Lost += w.Lost
		if !w.accounted() {
			r.Accounted = false
		}
	}
}

// write prints the table.
func (r *report) write(out io.Writer) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "worker\taccepted\twritten\tdropped\tlost\ttime\t")
	for _, w := range append(r.Workers[:len(r.Workers):len(r.Workers)], r.Total) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.2f s\t", w.Worker, count(w.Accepted), count(w.Written), count(w.Dropped), count(w.Lost), w.Seconds)
		if w.Ended != "" {
			fmt.Fprint(t, "  ", w.Ended)
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	b.WriteByte('\n')
	if r.Work != nil {
		fmt.Fprintf(&b, "%s\n", r.Work)
	}
	t.Init(&b, 0, 0, 2, ' ', 0)
	for _, h := range r.Handlers {
		fmt.Fprintf(t, "  %s\t%s, %s", h.Handler, records(h.Records), size(h.Bytes))
		if h.Skipped > 0 {
			fmt.Fprintf(t, ", %s more not shown because it was too slow", count(h.Skipped))
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Earlier > 0 {
		fmt.Fprintf(&b, "%s of an earlier session were still in the buffers and are written now\n", records(r.Earlier))
	}
	for _, p := range r.Problems {
		fmt.Fprintln(&b, p)
	}
	fmt.Fprintln(&b, r.verdict())
	_, err := io.WriteString(out, b.String())
	return err
}

// verdict says in words what the numbers come to.
func (r *report) verdict() string {
	var bad []string
	for _, w := range r.Workers {
		if d := int64(w.Accepted) - int64(w.Written+w.Dropped); d != 0 {
			bad = append(bad, fmt.Sprintf("%s %+d", w.Worker, -d))
		}
	}
	missing := r.Total.Accepted - r.Total.Written - r.Total.Dropped
	switch {
	case len(bad) > 0 && r.Undelivered > 0 && missing == r.Undelivered:
		return records(missing) + " of those accepted are not in the log yet: they are in the buffers, and the next start on this directory delivers them"
	case len(bad) > 0:
		return "NOT ACCOUNTED FOR: " + strings.Join(bad, ", ")
	case r.Total.Dropped > 0:
		return fmt.Sprintf("every accepted record is accounted for: %s written, %s dropped and told in the log", count(r.Total.Written), count(r.Total.Dropped))
	}
	return "every accepted record is in the log"
}

// writeJSON prints the report for programs.
func (r *report) writeJSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// count writes a number as people read it: 1,234,567.
func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func records(n uint64) string {
	if n == 1 {
		return "1 record"
	}
	return count(n) + " records"
}

func size(n uint64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
