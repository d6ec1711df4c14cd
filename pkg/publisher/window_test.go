package publisher

import (
	"testing"
	"time"
)

func TestWindowSplits(t *testing.T) {
	w := newWindow(1 << 20)
	w.now, w.wide = w.most, true
	if w.split(200<<10, 900) || w.split(900<<10, 1) || w.now != w.most {
		t.Error("a small message, or one of a single record, was split")
	}
	if !w.split(900<<10, 4000) || w.now != w.least || w.wide {
		t.Error("a large message was not split")
	}
}

func TestWindow(t *testing.T) {
	const kib = 1 << 10
	type ack struct {
		bytes int
		took  time.Duration
	}
	prompt, slow, late := time.Millisecond, 50*time.Millisecond, time.Second
	for _, test := range []struct {
		name string
		most int
		acks []ack
		want int
		wide bool
	}{
		{"begins at 256 KiB", 512 * kib, nil, 256 * kib, false},
		{"is never more than it may be", 100 * kib, []ack{{99 * kib, prompt}}, 100 * kib, true},
		{"grows behind full messages", 1000 * kib, []ack{{255 * kib, prompt}, {511 * kib, prompt}}, 1000 * kib, false},
		{"is wide when it has grown", 1000 * kib, []ack{{255 * kib, prompt}, {511 * kib, prompt}, {999 * kib, prompt}, {4 * kib, slow}}, 1000 * kib, true},
		{"until one is late", 1000 * kib, []ack{{255 * kib, prompt}, {511 * kib, prompt}, {999 * kib, prompt}, {999 * kib, late}}, 500 * kib, false},
		{"not behind small ones", 512 * kib, []ack{{4 * kib, prompt}, {100 * kib, prompt}}, 256 * kib, false},
		{"stays where acknowledgements take their time", 512 * kib, []ack{{255 * kib, slow}}, 256 * kib, false},
		{"goes back when they are late", 1000 * kib, []ack{{255 * kib, prompt}, {511 * kib, prompt}, {999 * kib, late}, {4 * kib, late}, {4 * kib, late}}, 256 * kib, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWindow(test.most)
			for _, a := range test.acks {
				w.acked(a.bytes, a.took)
			}
			if w.now != test.want || w.wide != test.wide {
				t.Errorf("%d, wide %v; want %d, %v", w.now, w.wide, test.want, test.wide)
			}
		})
	}
}
