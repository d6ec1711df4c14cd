//go:build unix

package harness

import (
	"fmt"
	"math/bits"
	"time"
)

// A histogram counts durations in buckets whose bounds grow by an eighth: exact enough for percentiles, cheap enough to measure
// every log call.
type histogram struct {
	buckets [64 * 8]uint64
	n       uint64
	max     time.Duration
}

func (h *histogram) note(d time.Duration) {
	h.buckets[bucket(d)]++
	h.n++
	h.max = max(h.max, d)
}

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < 8 {
		return int(v)
	}
	shift := bits.Len64(v) - 4
	return (shift+1)*8 + int(v>>shift) - 8
}

// upper is the largest duration of a bucket.
func upper(b int) time.Duration {
	if b < 8 {
		return time.Duration(b)
	}
	shift := b/8 - 1
	return time.Duration(uint64(b%8+8+1)<<shift - 1)
}

func (h *histogram) add(o *histogram) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := uint64(q*float64(h.n)), uint64(0)
	for b, n := range h.buckets {
		if seen += n; n > 0 && seen > rank {
			return min(upper(b), h.max)
		}
	}
	return h.max
}

func (h *histogram) summary() Latency {
	return Latency{Calls: h.n, P50: h.quantile(0.5), P99: h.quantile(0.99), P999: h.quantile(0.999), Max: h.max}
}

// Latency says how long calls took. The percentiles are the upper bounds of buckets, at most an eighth too high.
type Latency struct {
	Calls               uint64
	P50, P99, P999, Max time.Duration
}

func (l Latency) String() string {
	return fmt.Sprintf("%d calls: p50 %v, p99 %v, p99.9 %v, max %v", l.Calls, l.P50, l.P99, l.P999, l.Max)
}
