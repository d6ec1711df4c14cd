package publisher

import "time"

// A window is how many bytes a message may hold at the moment. Larger messages make acknowledgements fewer, which
// counts where each waits for a disk; but what all publishers have in flight, the broker and the collector must hold. How
// long an acknowledgement takes tells how much that is: with hundreds of publishers it waits behind the batches of the
// others. So a window grows while acknowledgements are prompt, and goes back to where it began when they are not. When it
// has grown as far as it may, the next message need not wait for the acknowledgement of the one before.
type window struct {
	now, least, most int
	wide             bool // a second message may be on its way
	prompt           time.Duration
}

const (
	firstWindow = 256 << 10
	promptAck   = 20 * time.Millisecond
	late        = 5 // times what is prompt
)

func newWindow(most int) window {
	least := min(firstWindow, most)
	return window{now: least, least: least, most: most, prompt: promptAck}
}

// acked takes into account that a message with so many bytes was acknowledged. One that was not nearly full says nothing
// of how a larger one would fare.
func (w *window) acked(bytes int, took time.Duration) {
	switch {
	case took > late*w.prompt:
		w.now, w.wide = max(w.now/2, w.least), false
	case took < w.prompt && bytes > w.now/2:
		w.wide = w.now == w.most
		w.now = min(2*w.now, w.most)
	}
}

// split reports whether a message that has to be sent again goes in smaller ones. What a slow line cannot carry within the
// time that a write may take would otherwise be sent in vain for ever.
func (w *window) split(bytes, records int) bool {
	if records == 1 || bytes <= w.least {
		return false
	}
	w.now, w.wide = w.least, false
	return true
}
