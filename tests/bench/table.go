package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A Table is what a bench found.
type Table struct {
	Load    Load
	Rounds  int
	Rows    []Row
	Skipped []string
	Bars    []Bar
}

// A Row is one contestant's medians, with the range of its rounds.
type Row struct {
	Name, About       string
	Rate, Low, High   float64 // records/s
	CPU               float64 // CPU seconds per million records, all processes
	Versus, VersusCPU float64 // logbraid's rate over this one's; this one's CPU over logbraid's
	figures           []Figure
}

func (f Figure) rate() float64       { return float64(f.Records) / f.Wall.Seconds() }
func (f Figure) perMillion() float64 { return f.CPU.Seconds() / float64(f.Records) * 1e6 }

func newRow(c Contestant, figures []Figure) Row {
	var rates, cpus []float64
	for _, f := range figures {
		rates = append(rates, f.rate())
		cpus = append(cpus, f.perMillion())
	}
	about := c.About
	if c.Part > 1 {
		about += fmt.Sprintf("; one in %d of the records", c.Part)
	}
	return Row{Name: c.Name, About: about, figures: figures,
		Rate: median(rates), Low: slices.Min(rates), High: slices.Max(rates), CPU: median(cpus)}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// reference is the row that the ratios are taken against.
const reference = "logbraid"

// ratios fills Versus with the medians of the rounds' own ratios.
func (t *Table) ratios() {
	ours := t.row(reference)
	if ours == nil {
		return
	}
	for i := range t.Rows {
		var cpu []float64
		for n, f := range t.Rows[i].figures {
			cpu = append(cpu, f.perMillion()/ours.figures[n].perMillion())
		}
		t.Rows[i].Versus, t.Rows[i].VersusCPU = ratio(ours.figures, t.Rows[i].figures), median(cpu)
	}
}

// Markdown writes the table.
func (t *Table) Markdown(w io.Writer) error {
	t.ratios()
	var b strings.Builder
	fmt.Fprintf(&b, "%d workers x %d records of about 250 bytes; medians of %d interleaved rounds after one to warm up; every file checked for completeness and order.\n\n",
		t.Load.Workers, t.Load.Records, t.Rounds)
	fmt.Fprintf(&b, "%s, %s, %d CPUs, %s.\n\n", machine(), runtime.Version(), runtime.NumCPU(), time.Now().UTC().Format(time.DateOnly))
	b.WriteString("| system | what | records/s | lowest to highest | CPU s per million | logbraid is faster by | takes more CPU by |\n|---|---|---:|---:|---:|---:|---:|\n")
	for _, r := range t.Rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s to %s | %.2f | %.2f | %.2f |\n",
			r.Name, r.About, thousands(r.Rate), thousands(r.Low), thousands(r.High), r.CPU, r.Versus, r.VersusCPU)
	}
	for _, s := range t.Skipped {
		fmt.Fprintf(&b, "\nSkipped: %s\n", s)
	}
	writeBars(&b, slices.Concat(t.bars(), t.Bars))
	_, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n")
	return err
}

// What stands between these lines of a page is this program's.
const begin, end = "<!-- written by tests/bench: do not edit -->", "<!-- end of what tests/bench wrote -->"

// WriteTo puts the table into the page at path, and the picture beside it.
func (t *Table) WriteTo(path string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		return fmt.Errorf("%s has no place for the figures, between %q and %q", path, begin, end)
	}
	picture := strings.TrimSuffix(path, ".md") + ".svg"
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s\n\n![records per second](%s)\n\n", before, begin, filepath.Base(picture))
	if err := t.Markdown(&b); err != nil {
		return err
	}
	b.WriteString("\n" + end + after)
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(picture, []byte(t.svg()), 0o644)
}

// svg draws a bar for each row.
func (t *Table) svg() string {
	const barHeight, gap, left, width = 22, 10, 230, 560
	rows := slices.Clone(t.Rows)
	slices.SortStableFunc(rows, func(a, b Row) int { return int(b.Rate - a.Rate) })
	var top float64
	for _, r := range rows {
		top = max(top, r.Rate)
	}
	height := len(rows)*(barHeight+gap) + 2*gap
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n", left+width+110, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	for i, r := range rows {
		y := gap + i*(barHeight+gap)
		w := r.Rate / top * width
		fill := "#9aa5b1"
		if strings.HasPrefix(r.Name, reference) {
			fill = "#2563eb"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-8, y+barHeight-6, r.Name)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", left, y, w, barHeight, fill)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s/s</text>`+"\n", left+w+6, y+barHeight-6, thousands(r.Rate))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func thousands(v float64) string {
	if v >= 1e6 {
		return fmt.Sprintf("%.2f M", v/1e6)
	}
	return fmt.Sprintf("%.0f k", v/1e3)
}

// machine names the processor where the system tells it.
func machine() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}
