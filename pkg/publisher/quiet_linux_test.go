package publisher_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

func init() {
	roles["flush and compute"] = computeAfter(func(p *publisher.Publisher) error {
		p.Named("quiet").Info("flushed")
		fmt.Println("logged")
		return p.Flush(context.Background())
	})
	roles["block and compute"] = computeAfter(func(p *publisher.Publisher) error {
		for text := strings.Repeat("x", 1000); p.Stats().Acked == 0; {
			p.Named("quiet").Info(text)
		}
		return nil
	})
}

// computeAfter computes without a system call from the moment at which wait returns. Once another goroutine had its turn, it says so.
func computeAfter(wait func(p *publisher.Publisher) error) func(cfg publisher.Config) error {
	return func(cfg publisher.Config) error {
		// No timer is to wake the monitor up.
		publisher.SetAckTimeout(&cfg, time.Hour)
		cfg.Overflow, cfg.BlockTimeout = publisher.Block, time.Hour
		cfg.Buffer = 64 << 10
		p, err := publisher.New(cfg)
		if err != nil {
			return err
		}
		if err := wait(p); err != nil {
			return err
		}
		var turn atomic.Bool
		go turn.Store(true)
		for range 1 << 27 { // a tenth of a second or two; the monitor lets a goroutine compute for 10 ms
			if turn.Load() {
				fmt.Println("preempted")
				return nil
			}
		}
		return fmt.Errorf("nobody took the processor from a goroutine that computes")
	}
}

// TestProgramIsPreempted: Go's monitor thread may sleep while a publisher uses its connection, but not when goroutines of the program
// go on behind it. With one processor, the one that goes on would keep it as long as it computes.
func TestProgramIsPreempted(t *testing.T) {
	for _, role := range []string{"flush and compute", "block and compute"} {
		t.Run(role, func(t *testing.T) {
			b := startBroker(t)
			answer := make(chan struct{})
			collect(t, b, func(n int, _ record.Batch, _ []byte) fate {
				if n == 1 {
					<-answer
				}
				return commit
			})
			c := start(t, role, "", b.url(), "GOMAXPROCS=1")
			if role == "flush and compute" {
				c.line()
			}
			awaitStill(t, c.cmd.Process.Pid)
			close(answer)
			if said, st := c.wait(); st.ExitCode() != 0 || len(said) != 1 || said[0] != "preempted" {
				t.Errorf("%q, %v", said, st)
			}
		})
	}
}

// awaitStill waits until no thread of a process has done anything for a while: its monitor sleeps as well then.
func awaitStill(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for before := -1; ; {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("the process never rests")
		}
		now := switches(t, pid)
		if now == before && now > 0 {
			return
		}
		before = now
	}
}

// switches counts how often threads of a process have left a processor, after proc_pid_status(5).
func switches(t *testing.T, pid int) (sum int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return -1 // a thread has ended
		}
		for line := range strings.Lines(string(text)) {
			if name, n, _ := strings.Cut(line, ":"); strings.HasSuffix(name, "ctxt_switches") {
				count, err := strconv.Atoi(strings.TrimSpace(n))
				if err != nil {
					t.Fatal(err)
				}
				sum += count
			}
		}
	}
	return sum
}
