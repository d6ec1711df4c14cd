package publisher

import (
	"testing"
	"time"
)

func TestWindowSplits(t *testing.T) {
	w := newWindow(1 << 20)
	w.now = w.most
	if w.split(200<<10, 900) || w.split(900<<10, 1) || w.now != w.most {
		t.Error("a small message, or one of a single record, was split")
	}
	if !w.split(900<<10, 4000) || w.now != w.least {
		t.Error("a large message was not split")
	}
}

func TestWindow(t *testing.T) {
	const kib = 1 << 10
	type ack struct {
		bytes int
		took  time.Duration
	}
	prompt, late := time.Millisecond, time.Second
	for _, test := range []struct {
		name string
		most int
		acks []ack
		want int
	}{
		{"begins at 256 KiB", 512 * kib, nil, 256 * kib},
		{"is never more than it may be", 100 * kib, []ack{{99 * kib, prompt}}, 100 * kib},
		{"grows behind full messages", 1000 * kib, []ack{{255 * kib, prompt}, {511 * kib, prompt}}, 1000 * kib},
		{"not behind small ones", 512 * kib, []ack{{4 * kib, prompt}, {100 * kib, prompt}}, 256 * kib},
		{"stays where acknowledgements take their time", 512 * kib, []ack{{255 * kib, 50 * time.Millisecond}}, 256 * kib},
		{"goes back when they are late", 1000 * kib, []ack{{255 * kib, prompt}, {511 * kib, prompt}, {999 * kib, late}, {4 * kib, late}, {4 * kib, late}}, 256 * kib},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWindow(test.most)
			for _, a := range test.acks {
				w.acked(a.bytes, a.took)
			}
			if w.now != test.want {
				t.Errorf("%d, want %d", w.now, test.want)
			}
		})
	}
}
