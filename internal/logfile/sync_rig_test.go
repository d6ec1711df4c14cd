package logfile

import (
	"errors"
	"strings"
	"sync"
	"testing"
)

// With the goroutines, in virtual time.

// gate lets a test hold up fsyncs, and counts them.
type gate struct {
	mu      sync.Mutex
	syncs   map[string]int
	blocked chan struct{} // while not nil, a sync of such a file waits until it is closed
	suffix  string        // of its name
}

func (g *gate) syncing(name string) {
	g.mu.Lock()
	if g.syncs == nil {
		g.syncs = map[string]int{}
	}
	g.syncs[name]++
	blocked := g.blocked
	if !strings.HasSuffix(name, g.suffix) {
		blocked = nil
	}
	g.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
}

// block holds up syncs of log files.
func (g *gate) block() (release func()) { return g.blockThose(".log") }

func (g *gate) blockThose(suffix string) (release func()) {
	c := make(chan struct{})
	g.mu.Lock()
	g.blocked, g.suffix = c, suffix
	g.mu.Unlock()
	return func() {
		g.mu.Lock()
		g.blocked = nil
		g.mu.Unlock()
		close(c)
	}
}

func (g *gate) count(name string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.syncs[name]
}

func openLive(t *testing.T, m *mount, o Options) (*Store, *File) {
	t.Helper()
	o.FS = m
	s, _, err := Open(logDir, o)
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.File("app.log", FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s, f
}

// results collects what done was told, in order.
type results struct {
	mu  sync.Mutex
	got []string
}

func (r *results) done(name string) func(error) {
	return func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		switch {
		case err == nil:
			name += " ok"
		case errors.Is(err, ErrRolledBack):
			name += " rolled back"
		default:
			name += " failed"
		}
		r.got = append(r.got, name)
	}
}

func (r *results) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.got, ", ")
}
