package logfile

import (
	"runtime"
	"slices"
	"sync"
	"testing"
)

// advised is a handle that notes the advice, and can hold it up.
type advised struct {
	Handle
	gate chan struct{} // nil: open

	mu             sync.Mutex
	begun, dropped [][2]int64 // from, to
}

func (a *advised) startWriteback(from, n int64) {
	if a.gate != nil {
		<-a.gate
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = append(a.begun, [2]int64{from, from + n})
}

func (a *advised) dropWritten(from, n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dropped = append(a.dropped, [2]int64{from, from + n})
}

func (a *advised) Close() error { return nil }

// grow writes n bytes at a time until the file has length. With wait, the disk keeps up.
func grow(w *writeback, f *File, n, length int64, wait bool) {
	for f.st.length < length {
		for wait && len(w.spans) == cap(w.spans) {
			runtime.Gosched()
		}
		f.st.length += n
		w.grew(f, n)
	}
}

func TestWritebackTakesEachStepOnce(t *testing.T) {
	const before = 5<<20 + 17 // what an earlier process wrote is not touched
	a := &advised{}
	w := newWriteback(false)
	f := &File{h: newHandle(a, "app.log")}
	f.st.length = before
	grow(w, f, 300_001, before+10*writebackStep+1<<20, true)
	w.close()

	at := int64(before)
	for _, s := range a.begun {
		if s[0] != at || (s[1]-s[0])%writebackStep != 0 {
			t.Fatalf("begun %v, want steps that follow each other from %d on", a.begun, before)
		}
		at = s[1]
	}
	if behind := f.st.length - at; behind >= writebackStep+300_001 {
		t.Errorf("%d bytes at the end are not begun; %v", behind, a.begun)
	}
	for i, s := range a.dropped {
		if s[0] < before || s[1] > a.begun[len(a.begun)-1][0]-keepBehind {
			t.Errorf("dropped %v, which is not far enough behind %v", s, a.begun)
		}
		if i > 0 && s[0] > a.dropped[i-1][1] {
			t.Errorf("nothing dropped between %v and %v", a.dropped[i-1], s)
		}
	}
	if len(a.dropped) == 0 {
		t.Error("nothing was dropped")
	}
	if n := f.h.refs.Load(); n != 1 {
		t.Errorf("%d references to the handle are left, want the file's own", n)
	}
}

// A disk that stands still holds up its own goroutine only; when it goes on, what has come together is one step.
func TestWritebackNeverHoldsUpTheWriter(t *testing.T) {
	a := &advised{gate: make(chan struct{})}
	w := newWriteback(false)
	f := &File{h: newHandle(a, "app.log")}
	grow(w, f, writebackStep, 100*writebackStep, false)
	close(a.gate)
	// Until the goroutine has gone on, the writer's next step may still find it full.
	for f.rolling.begun < f.st.length {
		grow(w, f, writebackStep, f.st.length+writebackStep, false)
	}
	w.close()
	if !slices.ContainsFunc(a.begun, func(s [2]int64) bool { return s[1]-s[0] > 50*writebackStep }) {
		t.Errorf("begun %v, want one long step for what was held up", a.begun)
	}
	if last := a.begun[len(a.begun)-1]; last[1] != f.st.length {
		t.Errorf("begun up to %d of %d", last[1], f.st.length)
	}
	if n := f.h.refs.Load(); n != 1 {
		t.Errorf("%d references to the handle are left, want the file's own", n)
	}
}
