package publisher

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		for _, d := range []time.Duration{0, 1, resync - 2, 1, 1, 10 * resync, 3 * time.Hour} {
			time.Sleep(d)
			if now := c.now(); !now.Equal(time.Now()) {
				t.Errorf("after %v: %v, want %v", d, now, time.Now())
			}
		}
	})
}

// Somebody sets the wall clock: here, by a base that is an hour off.
func TestClockNoticesThatTheTimeWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		now := time.Now()
		c.base.Store(&reading{now, now.Add(-time.Hour).UnixNano()})
		time.Sleep(resync)
		if now := c.now(); !now.Equal(time.Now()) {
			t.Errorf("%v later it is %v, want %v", resync, now, time.Now())
		}
	})
}
