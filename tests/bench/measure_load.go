package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// publishers runs the same number of records through different numbers of workers, and beside it the floor, which tells what the
// machine makes of so many processes.
func publishers(ctx context.Context, b *Bench) ([]Bar, error) {
	counts := []int{1, 4, 16, 64, 256}
	loads := make([]Load, len(counts))
	for i, n := range counts {
		loads[i] = Load{Workers: n, Records: b.Load.Total() / n}
	}
	rates, err := b.vary(ctx, loads, ours()[0], floor)
	if err != nil {
		return nil, err
	}
	detail := func(rates []float64) string {
		var each []string
		for i, n := range counts {
			each = append(each, fmt.Sprintf("%d: %s/s", n, thousands(rates[i])))
		}
		return strings.Join(each, ", ")
	}
	return []Bar{{What: "1, 4, 16, 64, 256 publishers, the slowest against the fastest", Got: slices.Min(rates[0]) / slices.Max(rates[0]), Limit: 0.8,
		Detail: fmt.Sprintf("%s; the floor %s, %.2g", detail(rates[0]), detail(rates[1]), slices.Min(rates[1])/slices.Max(rates[1]))}}, nil
}

// sizes writes eight times as much in one go.
func sizes(ctx context.Context, b *Bench) ([]Bar, error) {
	const lineBytes = 255
	small := Load{Workers: b.Load.Workers, Records: 500_000_000 / lineBytes / b.Load.Workers}
	large := Load{Workers: b.Load.Workers, Records: 8 * small.Records}
	all, err := b.vary(ctx, []Load{small, large}, ours()[0])
	if err != nil {
		return nil, err
	}
	rates := all[0]
	return []Bar{{What: "4 GB in one go against 0.5 GB, records/s", Got: rates[1] / rates[0], Limit: 0.9,
		Detail: fmt.Sprintf("%s/s and %s/s", thousands(rates[1]), thousands(rates[0]))}}, nil
}

// paced lets one worker log a record every millisecond: each goes its way alone, so what counts is what a message costs.
func paced(ctx context.Context, b *Bench) ([]Bar, error) {
	load := Load{Workers: 1, Records: 3000, Pace: time.Millisecond}
	all := []Contestant{ours()[0], perRecord}
	figures := make([][]float64, len(all))
	var ratios []float64
	for n := range b.Rounds + 1 {
		var shares []float64
		for _, c := range all {
			one := *b
			one.Load = load
			f, err := one.once(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("pace of %s: %w", c.Name, err)
			}
			share := 100 * f.Busy.Seconds() / f.Wall.Seconds()
			fmt.Fprintf(b.Progress, "round %d %s at 1,000 records/s: %.1f %% of a processor\n", n, c.Name, share)
			shares = append(shares, share)
		}
		if n > 0 {
			for i, s := range shares {
				figures[i] = append(figures[i], s)
			}
			ratios = append(ratios, shares[0]/shares[1])
		}
	}
	return []Bar{{What: "CPU of all processes at 1,000 records/s, against one record per NATS message", Got: median(ratios), Limit: 2, AtMost: true,
		Detail: fmt.Sprintf("%.1f %% and %.1f %% of a processor", median(figures[0]), median(figures[1]))}}, nil
}

// vary runs contestants with several loads, round by round, and returns the median rates: of each contestant, with each load.
func (b *Bench) vary(ctx context.Context, loads []Load, contestants ...Contestant) ([][]float64, error) {
	medians := make([][]float64, len(contestants))
	rates := make([][][]float64, len(contestants))
	for k := range contestants {
		rates[k] = make([][]float64, len(loads))
	}
	for n := range b.Rounds + 1 {
		for i, l := range loads {
			for k, c := range contestants {
				one := *b
				one.Load = l
				f, err := one.once(ctx, c)
				if err != nil {
					return nil, fmt.Errorf("%s, %d workers x %d records: %w", c.Name, l.Workers, l.Records, err)
				}
				fmt.Fprintf(b.Progress, "round %d %s %d workers x %d records: %.0f records/s, %.2f CPU s per million\n",
					n, c.Name, l.Workers, l.Records, f.rate(), f.perMillion())
				if n > 0 {
					rates[k][i] = append(rates[k][i], f.rate())
				}
			}
		}
	}
	for k := range contestants {
		for _, r := range rates[k] {
			medians[k] = append(medians[k], median(r))
		}
	}
	return medians, nil
}
