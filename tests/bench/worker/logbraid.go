package main

import (
	"bufio"
	"context"
	"os"
	"strings"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/bench/job"
)

// A logger logs one record of the load.
type logger = func(msg string, i int)

// warmRecord is the length of a record that warms up: long, so that it costs the collector little.
const warmRecord = 32 << 10

func (w worker) logbraid() error {
	return w.withPublisher(func(log logger) error {
		w.Each(log)
		return nil
	})
}

// withPublisher lets work log through a publisher that is connected, after "go", and delivers what it logged.
func (w worker) withPublisher(work func(log logger) error) error {
	pub, err := publisher.FromEnv()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	// The connection is up before the clock runs, as it is for the rivals.
	bench := pub.Named("bench")
	for text := strings.Repeat("warm up ", warmRecord/8); w.Warm > 0; w.Warm -= warmRecord {
		bench.Info(text)
	}
	bench.Info("ready")
	if err := pub.Flush(ctx); err != nil {
		return err
	}
	if err := job.Await(); err != nil {
		return err
	}
	named := []*publisher.Logger{pub.Named("etl.load")}
	if names := os.Getenv("BENCH_LOGGERS"); names != "" {
		named = nil
		for name := range strings.SplitSeq(names, ",") {
			named = append(named, pub.Named(name))
		}
	}
	if err := work(func(msg string, i int) {
		named[i%len(named)].Info(msg, publisher.Int("rows", i), publisher.String("table", "orders"), publisher.Float64("took", 0.25))
	}); err != nil {
		return err
	}
	return pub.Close(ctx)
}

// flood logs until it is told to stop.
func (w worker) flood() error {
	return w.withPublisher(func(log logger) error {
		stop, failed := make(chan struct{}), error(nil)
		go func() {
			_, failed = bufio.NewReader(os.Stdin).ReadString('\n')
			close(stop)
		}()
		w.Until(stop, log)
		return failed
	})
}
