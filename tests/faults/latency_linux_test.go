package faults

import (
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/tests/harness"
)

var latencyCalls = flag.Int("latencycalls", 2000, "TestLatencyOfLogCalls: calls to be measured in each situation")

// Rows 7, 8 and 16: how long a log call takes while broker or collector are stopped or the disk is full, with room in the buffer and
// without, and when all is well. None takes longer than is documented: nothing with room or with OVERFLOW=shed, and BLOCK_TIMEOUT
// once with OVERFLOW=block. The table in docs/reliability.md is what this prints:
//
//	go test ./tests/faults -run TestLatencyOfLogCalls -v -latencycalls 200000
//
// A log call is the same in both deliveries. That a stream takes what a stopped collector or a full disk does not is for the tests of
// rows 8 and 16.
func TestLatencyOfLogCalls(t *testing.T) {
	const wait = 2 * time.Second
	// More than any machine takes a processor away for, and less than what a call would take that waits for an acknowledgement
	// which does not come.
	const late = 20 * time.Second
	buffers := []struct {
		name string
		env  []string
		most time.Duration
	}{
		{"has room", []string{"LOGBRAID_BUFFER=512MiB"}, 0},
		{"full, shed", []string{"LOGBRAID_BUFFER=256KiB", "LOGBRAID_OVERFLOW=shed"}, 0},
		{"full, block", []string{"LOGBRAID_BUFFER=256KiB", "LOGBRAID_BLOCK_TIMEOUT=" + wait.String()}, wait},
	}
	var table strings.Builder
	for _, fault := range []struct {
		name    string
		happens func(t *testing.T) *rig
	}{
		{"none", func(t *testing.T) *rig { return newRig(t, "direct", setup{}) }},
		{"broker stopped", func(t *testing.T) *rig { return newRig(t, "direct", setup{}) }},
		{"collector stopped", func(t *testing.T) *rig { return newRig(t, "direct", setup{}) }},
		{"disk full", func(t *testing.T) *rig {
			r := rigIn(t, "direct", filepath.Join(tmpfs(t, 1<<20).Dir, "logs"))
			filler := harness.StartWorker(t, "filler", harness.WorkerSpec{Serve: true, Payload: 300}, harness.PlainEnv(r.proxy.URL(), "filler", patient...))
			filler.BeginLog(10_000)
			harness.Until(t, "the disk to be full", func() bool { return r.collector.Stats().StalledBy != "" })
			return r
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			r := fault.happens(t)
			workers := map[string]*harness.Worker{}
			for _, b := range buffers {
				w := harness.StartWorker(t, "w1", harness.WorkerSpec{Serve: true, Payload: 100},
					harness.PlainEnv(r.proxy.URL(), "w1", append(b.env, "LOGBRAID_CLOSE_TIMEOUT=1s")...))
				w.Log(50)
				workers[b.name] = w
			}
			switch fault.name {
			case "broker stopped":
				r.broker.Pause()
			case "collector stopped":
				r.collector.Pause()
			}
			for _, b := range buffers {
				w := workers[b.name]
				if fault.name == "none" && b.name != "has room" {
					continue // a buffer that is emptied does not stay full
				}
				w.Latency()
				w.Log(*latencyCalls)
				l, s := w.Latency(), w.Stats()
				fmt.Fprintf(&table, "| %s | %s | %d | %v | %v | %v | %v |\n", fault.name, b.name, l.Calls, l.P50, l.P99, l.P999, l.Max)
				if (s.Dropped > 0) != (b.name != "has room") {
					t.Errorf("buffer %s: %d records were dropped", b.name, s.Dropped)
				}
				if l.Max > b.most+late || l.Max < b.most {
					t.Errorf("buffer %s: %v; %v is what one call may wait", b.name, l, b.most)
				}
			}
		})
	}
	t.Logf("\n| fault | buffer | calls | p50 | p99 | p99.9 | longest |\n|---|---|---|---|---|---|---|\n%s", &table)
}
