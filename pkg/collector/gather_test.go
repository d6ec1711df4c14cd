package collector

import (
	"bytes"
	"sync"
)

// gather is a user handler that keeps what it gets.
type gather struct {
	mu     sync.Mutex
	buffer bytes.Buffer
	closed int
	fail   func(records Lines) error // nil: never
}

func (g *gather) Handle(records Lines) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.buffer.Write(records)
	if g.fail != nil {
		return g.fail(records)
	}
	return nil
}

func (g *gather) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed++
	return nil
}

func (g *gather) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buffer.String()
}

// lines is a writer that anybody may use.
type lines struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}
