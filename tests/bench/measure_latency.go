package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/logbraid/logbraid/tests/bench/job"
)

// pace is the time between two records of a worker that is not in a hurry: 100 records a second.
const pace = 10 * time.Millisecond

// latency measures from before the log call to the moment at which somebody who waits for the file to change can read the line.
func latency(ctx context.Context, b *Bench) ([]Bar, error) {
	load := Load{Workers: 1, Records: 500, Pace: pace}
	all := []Contestant{ours()[0], perRecord}
	p50, p99 := make([][]float64, len(all)), make([][]float64, len(all))
	for n := range b.Rounds + 1 {
		for i, c := range all {
			seen, err := b.watched(ctx, c, load)
			if err != nil {
				return nil, fmt.Errorf("latency of %s: %w", c.Name, err)
			}
			fmt.Fprintf(b.Progress, "round %d latency of %s: p50 %v, p99 %v\n", n, c.Name, quantile(seen, 0.5), quantile(seen, 0.99))
			if n > 0 {
				p50[i] = append(p50[i], quantile(seen, 0.5).Seconds())
				p99[i] = append(p99[i], quantile(seen, 0.99).Seconds())
			}
		}
	}
	bar := func(name string, v [][]float64) Bar {
		ratios := make([]float64, b.Rounds)
		for n := range ratios {
			ratios[n] = v[0][n] / v[1][n]
		}
		return Bar{What: "latency at 100 records/s, " + name + ", against one record per NATS message", Got: median(ratios), Limit: 1.5, AtMost: true,
			Detail: fmt.Sprintf("%.2f ms and %.2f ms", 1e3*median(v[0]), 1e3*median(v[1]))}
	}
	return []Bar{bar("p50", p50), bar("p99", p99)}, nil
}

func quantile(v []time.Duration, q float64) time.Duration {
	return slices.Sorted(slices.Values(v))[int(q*float64(len(v)-1))]
}

// watched runs a contestant once and reports when each of its records could be read.
func (b *Bench) watched(ctx context.Context, c Contestant, load Load) ([]time.Duration, error) {
	one := *b
	one.Load = load
	w := &watcher{want: load.Total(), found: make(chan string, 1), done: make(chan error, 1)}
	one.watch = w
	go w.run()
	_, err := one.once(ctx, c)
	close(w.found)
	return w.seen, errors.Join(err, <-w.done)
}

// patience is how long a file may stay as it is before its watcher gives up.
const patience = 20 * time.Second

// A watcher follows one file.
type watcher struct {
	want  int
	found chan string // the file, once
	seen  []time.Duration
	done  chan error
}

func (w *watcher) run() {
	file, ok := <-w.found
	if !ok {
		w.done <- errors.New("the file to watch was never named")
		return
	}
	w.done <- w.follow(file)
}

// follow blocks in inotify until the file grows, so that it takes no CPU from those whom it measures.
func (w *watcher) follow(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("watch %s: %w", file, err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, file, unix.IN_MODIFY); err != nil {
		return fmt.Errorf("watch %s: %w", file, err)
	}
	var rest []byte
	buf, events := make([]byte, 64<<10), make([]byte, 4<<10)
	for len(w.seen) < w.want {
		n, err := f.Read(buf)
		if n == 0 && errors.Is(err, io.EOF) {
			ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if ready == 0 {
				return fmt.Errorf("%s has %d of %d records and does not grow", file, len(w.seen), w.want)
			}
			if _, err := unix.Read(fd, events); err != nil {
				return fmt.Errorf("wait for %s: %w", file, err)
			}
			continue
		}
		if err != nil {
			return err
		}
		now := time.Now()
		rest = append(rest, buf[:n]...)
		for {
			line, after, whole := bytes.Cut(rest, []byte{'\n'})
			if !whole {
				break
			}
			rest = after
			if at, ok := job.CalledAt(line); ok {
				w.seen = append(w.seen, now.Sub(at))
			}
		}
	}
	return nil
}
