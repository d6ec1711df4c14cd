package collector

import "github.com/logbraid/logbraid/pkg/record"

// An aside renders long pieces of a group in a goroutine of its own, while the writer goes on with the other handlers, and with
// writing their files: text takes several times what everything else that a record needs takes. The writer begins with put, any
// number of times, and ends with wait, which is when the text is whole; files are touched by the writer alone (I7).
type aside struct {
	render renderer    // nil: nothing is rendered here
	pieces chan []byte // whole lines; nil asks for done
	done   chan uint32 // answers nil with the text's checksum
	busy   bool        // pieces were put since the last wait; the writer's

	text []byte // the goroutine's while busy, otherwise the writer's
}

const (
	// worthAside is where handing a piece over begins to cost less than it saves: some dozens of records.
	worthAside = 32 << 10
	asideQueue = 256 // pieces; beyond that the writer waits for the goroutine
)

func (a *aside) put(p []byte) {
	if !a.started() {
		a.pieces, a.done = make(chan []byte, asideQueue), make(chan uint32)
		go a.run()
	}
	a.busy = true
	a.pieces <- p
}

func (a *aside) started() bool { return a.pieces != nil }

func (a *aside) run() {
	for p := range a.pieces {
		if p == nil {
			a.done <- record.Checksum(a.text)
			continue
		}
		a.text = appendRendered(a.text, p, a.render)
	}
}

// wait returns the text of all pieces since the last wait, and its checksum. It is valid until the next put.
func (a *aside) wait() (text []byte, sum uint32) {
	a.pieces <- nil
	sum = <-a.done
	a.busy = false
	text = a.text
	if a.text = a.text[:0]; cap(a.text) > 2*maxGroup {
		a.text = nil // something huge, once in a while: not kept for ever
	}
	return text, sum
}

// close ends the goroutine, if there is one.
func (a *aside) close() {
	if a.started() {
		close(a.pieces)
		a.pieces = nil
	}
}

func appendRendered(dst, p []byte, render renderer) []byte {
	for line := range Lines(p).All() {
		dst = render(dst, line)
	}
	return dst
}
