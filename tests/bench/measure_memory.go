package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// memory stops the collector for ten seconds under four workers that log as fast as they can, and watches how far the memory of broker,
// collector and workers grows beyond what it was before.
func memory(ctx context.Context, b *Bench) ([]Bar, error) {
	dir, err := os.MkdirTemp(b.Dir, "memory-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "collector")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/collector")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build cmd/collector: %w: %s", err, out)
	}
	r := b.round(ctx, dir)
	defer r.kill()
	broker, err := r.Role("broker")
	if err != nil {
		return nil, err
	}
	url, err := broker.stdout.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("broker: %w: %s", err, broker.stderr.String())
	}
	url = strings.TrimSpace(url)
	collector, err := r.Start(exec.CommandContext(ctx, program, "run", "--nats-url", url, "--dir", filepath.Join(dir, "logs"),
		"--handler", "json://"+filepath.Join(dir, "logs", "app.jsonl")))
	if err != nil {
		return nil, err
	}
	workers := make([]*process, b.Load.Workers)
	for w := range workers {
		if workers[w], err = r.Role("logbraid-flood", "LOGBRAID_NATS_URL="+url, "LOGBRAID_APP=bench", fmt.Sprintf("LOGBRAID_WORKER=w%d", w),
			"LOGBRAID_OVERFLOW=shed", "LOGBRAID_BUFFER_DIR="+filepath.Join(dir, "buffer")); err != nil {
			return nil, err
		}
	}
	for _, p := range workers {
		if err := p.Await("ready"); err != nil {
			return nil, err
		}
	}
	for _, p := range workers {
		if err := p.Say("go"); err != nil {
			return nil, err
		}
	}
	all := append([]*process{broker, collector}, workers...)
	before, err := largest(ctx, all, 4*time.Second)
	if err != nil {
		return nil, err
	}
	if err := collector.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	during, err := largest(ctx, all, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if err := collector.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		return nil, err
	}
	for _, p := range workers {
		if err := p.Say("stop"); err != nil {
			return nil, err
		}
		if err := r.Wait(p); err != nil {
			return nil, err
		}
	}
	for _, p := range []*process{collector, broker} {
		if err := r.Stop(p); err != nil {
			return nil, err
		}
	}
	mb := func(n int64) string { return strconv.FormatInt(n>>20, 10) }
	var grown, workersBefore, workersDuring int64
	for i := range all {
		grown += max(0, during[i]-before[i])
		if i >= 2 {
			workersBefore += before[i]
			workersDuring += during[i]
		}
	}
	return []Bar{{What: "growth of all processes' memory while the collector is stopped for 10 s, MB", Got: float64(grown >> 20), Limit: 40, AtMost: true,
		Detail: fmt.Sprintf("broker %s to %s, collector %s to %s, workers together %s to %s", mb(before[0]), mb(during[0]), mb(before[1]), mb(during[1]),
			mb(workersBefore), mb(workersDuring))}}, nil
}

// largest returns the largest resident size that each process had within a time, in bytes.
func largest(ctx context.Context, processes []*process, within time.Duration) ([]int64, error) {
	most := make([]int64, len(processes))
	end := time.NewTimer(within)
	defer end.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		for i, p := range processes {
			n, err := resident(p.cmd.Process.Pid)
			if err != nil {
				return nil, err
			}
			most[i] = max(most[i], n)
		}
		select {
		case <-tick.C:
		case <-end.C:
			return most, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// resident is a process's own memory in bytes: RssAnon of proc(5), without the pages of the buffer file, which have a fixed size.
func resident(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("RssAnon:")); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(rest)), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has ended", pid)
}

// idle leaves three workers with a connection alone for a minute.
func idle(ctx context.Context, b *Bench) ([]Bar, error) {
	load := Load{Workers: 3, Records: 1}
	var used []float64
	c := Contestant{Name: "idle", Run: func(_ context.Context, r *Round) (string, error) {
		file, err := logbraid(setting{Handlers: []string{"json://DIR/app.jsonl"}, Role: "logbraid-idle", Says: func(line string) error {
			ms, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
			used = append(used, ms)
			return err
		}})(ctx, r)
		return file, err
	}}
	one := *b
	one.Load = load
	if _, err := one.once(ctx, c); err != nil {
		return nil, err
	}
	return []Bar{{What: "CPU of a worker that is idle for a minute, ms", Got: median(used), Limit: 5, AtMost: true,
		Detail: fmt.Sprintf("three workers: %.1f", used)}}, nil
}
