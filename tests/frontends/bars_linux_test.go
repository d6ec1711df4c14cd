package frontends

import (
	"flag"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var bars = flag.Bool("bars", false, "hold the cost of a call against that of others")

// TestBars compares the CPU time of a call with a rival's, in turns and in short rounds. What else
// the machine does can only add to a round, so the fastest ones tell the cost. The process's CPU
// time counts the garbage that a call makes; where a broker and a collector work beside the call,
// only the calling thread's can be taken.
//
//	go test -run Bars -bars -v
func TestBars(t *testing.T) {
	if !*bars {
		t.Skip("measures, and takes a while: -bars")
	}
	const rounds = 1000
	nowhere, file := toNowhere(t), toFile(t)
	for _, tt := range []struct {
		name        string
		ours, rival func()
		calls       int // in a round: enough for a share of the garbage collector's work
		clock       int32
		most        float64 // 0: only told
	}{
		{"native, 3 fields / zerolog", callNative(nowhere), callZerolog(), 500, unix.CLOCK_PROCESS_CPUTIME_ID, 0.85},
		{"slog handler / JSONHandler", callSlog(nowhere.SlogHandler(nil)), callSlog(slog.NewJSONHandler(io.Discard, nil)), 500, unix.CLOCK_PROCESS_CPUTIME_ID, 0.65},
		{"logrus hook / JSONFormatter", callLogrus(hookedLogrus(nowhere)), callLogrus(jsonLogrus()), 4000, unix.CLOCK_PROCESS_CPUTIME_ID, 0.45},
		{"native into the buffer file / zerolog to nowhere", callNative(file), callZerolog(), 500, unix.CLOCK_THREAD_CPUTIME_ID, 0},
		{"slog handler into the buffer file / JSONHandler to nowhere", callSlog(file.SlogHandler(nil)), callSlog(slog.NewJSONHandler(io.Discard, nil)), 500, unix.CLOCK_THREAD_CPUTIME_ID, 0},
		{"logrus hook into the buffer file / JSONFormatter to nowhere", callLogrus(hookedLogrus(file)), callLogrus(jsonLogrus()), 4000, unix.CLOCK_THREAD_CPUTIME_ID, 0},
	} {
		runtime.LockOSThread()
		var ours, rival []float64
		for range rounds * 500 / tt.calls {
			ours = append(ours, cost(tt.ours, tt.calls, tt.clock))
			rival = append(rival, cost(tt.rival, tt.calls, tt.clock))
		}
		runtime.UnlockOSThread()
		a, b := fastest(ours), fastest(rival)
		ratio := a / b
		t.Logf("%-60s %5.0f ns / %5.0f ns = %.2f", tt.name, a, b, ratio)
		if tt.most > 0 && ratio > tt.most {
			t.Errorf("%s: %.2f, at most %.2f is wanted", tt.name, ratio, tt.most)
		}
	}
}

// cost returns the CPU time of one call in nanoseconds.
func cost(call func(), calls int, clock int32) float64 {
	began := cpuTime(clock)
	for range calls {
		call()
	}
	return float64(cpuTime(clock)-began) / float64(calls)
}

func cpuTime(clock int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// fastest returns the second percentile.
func fastest(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/50]
}
