package publisher

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

// console is single-process mode: no broker is configured, so each record
// becomes a line of text at once.
type console struct {
	tail    []byte
	discard bool // w is io.Discard: nothing is rendered for it
	seq     atomic.Uint64

	mu         sync.Mutex // as in log/slog: w need not be safe for concurrent use
	w          io.Writer
	line, text []byte
}

func newConsole(w io.Writer, id record.Identity) *console {
	return &console{w: w, discard: w == io.Discard, tail: record.AppendTail(nil, id)}
}

// announce says, once, why the records are here and not in a log file.
func (c *console) announce() {
	l := record.GetLine()
	defer l.Free()
	l.Start(time.Now(), record.Info, "logbraid", "no broker is configured (LOGBRAID_NATS_URL): records go to this console only")
	c.write(l.Finish(DefaultMaxRecord))
}

// write makes one Write call per record. There is nobody to tell about an
// error: this is where errors would be shown.
func (c *console) write(body []byte) {
	if c.discard {
		c.seq.Add(1)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line = append(append(c.line[:0], body...), c.tail...)
	c.line = record.AppendEnd(c.line, c.seq.Add(1))
	c.text = record.AppendText(c.text[:0], c.line, record.TextOptions{Stack: true})
	_, _ = c.w.Write(c.text)
}

func (c *console) count() uint64 { return c.seq.Load() }
