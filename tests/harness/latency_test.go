//go:build unix

package harness

import (
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	last := -1
	for d := time.Duration(0); d < 5*time.Second; d += 1 + d/20 {
		b := bucket(d)
		if b < last || d > upper(b) || d > 0 && float64(upper(b)) > float64(d)*1.13 || b > 0 && upper(b-1) >= d {
			t.Fatalf("%v falls into bucket %d, up to %v", d, b, upper(b))
		}
		last = b
	}
	var h histogram
	for i := 1; i <= 1000; i++ {
		h.note(time.Duration(i) * time.Microsecond)
	}
	s := h.summary()
	if s.P50 < 500*time.Microsecond || s.P50 > 570*time.Microsecond || s.P999 < 999*time.Microsecond || s.Max != time.Millisecond {
		t.Errorf("%v", s)
	}
}
