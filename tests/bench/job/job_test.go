package job

import (
	"strings"
	"testing"
	"time"
)

// TestStampIsRead: what a worker stamps, the watcher reads.
func TestStampIsRead(t *testing.T) {
	msg := Message(nil, 3, 17)
	if _, ok := CalledAt(msg); ok {
		t.Error("a message without a stamp has a time")
	}
	stamp(msg)
	if len(msg) != 80 {
		t.Errorf("the message has %d bytes", len(msg))
	}
	if at, ok := CalledAt(msg); !ok || at.IsZero() {
		t.Errorf("no time in %q", msg)
	}
	if w, i, found, whole := Find(msg); !found || !whole || w != 3 || i != 17 {
		t.Errorf("%d %d %v %v of %q", w, i, found, whole, msg)
	}
}

// TestJobPassesTheEnvironment: a worker does what it is told.
func TestJobPassesTheEnvironment(t *testing.T) {
	want := Job{Worker: 7, Records: 1000, Pace: 10 * time.Millisecond, Warm: 17}
	for _, v := range want.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	got, err := FromEnv()
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	t.Setenv(recordsVariable, "many")
	if _, err := FromEnv(); err == nil {
		t.Error("a job of many records is no error")
	}
}
