package main

import (
	"bytes"
	"context"
	"hash/fnv"
	"io"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/logbraid/logbraid/pkg/consumer"
	"github.com/logbraid/logbraid/pkg/record"
)

// A tailOutput writes records. What is shown while a write is under way leaves with the next one: nothing waits for a
// timer, and at full speed a write takes many lines. When too much waits, show waits, too: then it is the
// consumer that leaves records out, and counts them.
type tailOutput struct {
	w     io.Writer
	json  bool
	color bool
	grep  *regexp.Regexp

	plain []byte // the text of one record, for grep

	mu      sync.Mutex
	changed *sync.Cond
	waiting []byte
	done    bool // write no more than what waits
	over    bool // nobody reads, or wants more
	ended   chan struct{}
}

// tailWaiting is how many bytes may wait for a write.
const tailWaiting = 1 << 20

// start begins writing. gone is called when nobody reads any more. The end of ctx ends a wait in show.
func (o *tailOutput) start(ctx context.Context, gone context.CancelFunc) {
	o.changed = sync.NewCond(&o.mu)
	context.AfterFunc(ctx, func() {
		o.mu.Lock()
		o.over = true
		o.changed.Broadcast()
		o.mu.Unlock()
	})
	o.ended = make(chan struct{})
	if f, ok := o.w.(*os.File); ok {
		go func() {
			if hungUp(f) {
				gone()
			}
		}()
	}
	go o.write(gone)
}

func (o *tailOutput) write(gone context.CancelFunc) {
	defer close(o.ended)
	var spare []byte
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for len(o.waiting) == 0 && !o.done {
			o.changed.Wait()
		}
		if len(o.waiting) == 0 {
			return
		}
		p := o.waiting
		o.waiting = spare[:0]
		o.changed.Broadcast()
		o.mu.Unlock()
		_, err := o.w.Write(p)
		spare = p
		o.mu.Lock()
		if err != nil {
			o.over = true
			o.changed.Broadcast()
			gone()
			return
		}
	}
}

// stop returns when everything shown has been written, or nobody reads it: a terminal that was stopped with Ctrl-S
// must not keep the program.
func (o *tailOutput) stop() {
	o.mu.Lock()
	o.done = true
	o.changed.Broadcast()
	o.mu.Unlock()
	select {
	case <-o.ended:
	case <-time.After(lastWrite):
	}
}

const lastWrite = time.Second

// show has a record written, if it is one that was asked for.
func (o *tailOutput) show(rec consumer.Record) {
	if o.grep != nil {
		o.plain = rec.AppendText(o.plain[:0], record.TextOptions{})
		if !o.grep.Match(bytes.TrimSuffix(o.plain, []byte("\n"))) {
			return
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.waiting) >= tailWaiting && !o.over {
		o.changed.Wait()
	}
	if o.over {
		return
	}
	if o.json {
		o.waiting = append(append(o.waiting, rec.Line...), '\n')
	} else {
		o.waiting = rec.AppendText(o.waiting, record.TextOptions{Color: o.color, Stack: true, Worker: workerColor(rec.App, rec.Worker)})
	}
	o.changed.Broadcast()
}

// workerColors leave out those that mean a level.
var workerColors = [...]string{"\x1b[34m", "\x1b[35m", "\x1b[94m", "\x1b[95m", "\x1b[96m", "\x1b[92m", "\x1b[38;5;208m", "\x1b[38;5;141m"}

// workerColor gives a worker the same colour every time.
func workerColor(app, worker string) string {
	h := fnv.New32a()
	io.WriteString(h, app)
	h.Write([]byte{0})
	io.WriteString(h, worker)
	return workerColors[h.Sum32()%uint32(len(workerColors))]
}
