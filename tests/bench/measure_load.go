package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// publishers runs the same number of records through different numbers of workers.
func publishers(ctx context.Context, b *Bench) ([]Bar, error) {
	counts := []int{1, 4, 16, 64, 256}
	loads := make([]Load, len(counts))
	for i, n := range counts {
		loads[i] = Load{Workers: n, Records: b.Load.Total() / n}
	}
	rates, err := b.vary(ctx, loads)
	if err != nil {
		return nil, err
	}
	best := slices.Max(rates)
	var detail []string
	for i, n := range counts {
		detail = append(detail, fmt.Sprintf("%d: %s/s", n, thousands(rates[i])))
	}
	return []Bar{{What: "1, 4, 16, 64, 256 publishers, the slowest against the fastest", Got: slices.Min(rates) / best, Limit: 0.8,
		Detail: strings.Join(detail, ", ")}}, nil
}

// sizes writes eight times as much in one go.
func sizes(ctx context.Context, b *Bench) ([]Bar, error) {
	const lineBytes = 255
	small := Load{Workers: b.Load.Workers, Records: 500_000_000 / lineBytes / b.Load.Workers}
	large := Load{Workers: b.Load.Workers, Records: 8 * small.Records}
	rates, err := b.vary(ctx, []Load{small, large})
	if err != nil {
		return nil, err
	}
	return []Bar{{What: "4 GB in one go against 0.5 GB, records/s", Got: rates[1] / rates[0], Limit: 0.9,
		Detail: fmt.Sprintf("%s/s and %s/s", thousands(rates[1]), thousands(rates[0]))}}, nil
}

// vary runs the reference with several loads, round by round, and returns the median rate of each.
func (b *Bench) vary(ctx context.Context, loads []Load) ([]float64, error) {
	c := ours()[0]
	rates := make([][]float64, len(loads))
	for n := range b.Rounds + 1 {
		for i, l := range loads {
			one := *b
			one.Load = l
			f, err := one.once(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("%d workers x %d records: %w", l.Workers, l.Records, err)
			}
			fmt.Fprintf(b.Progress, "round %d %d workers x %d records: %.0f records/s, %.2f CPU s per million\n",
				n, l.Workers, l.Records, f.rate(), f.perMillion())
			if n > 0 {
				rates[i] = append(rates[i], f.rate())
			}
		}
	}
	medians := make([]float64, len(loads))
	for i, r := range rates {
		medians[i] = median(r)
	}
	return medians, nil
}
