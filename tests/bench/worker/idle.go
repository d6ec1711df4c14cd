package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/bench/job"
)

// idle logs one record and then nothing for a minute. It prints the CPU time, user and system, that the minute took, in milliseconds.
func (w worker) idle() error {
	pub, err := publisher.FromEnv()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := job.Await(); err != nil {
		return err
	}
	w.Each(func(msg string, _ int) { pub.Named("etl.load").Info(msg) })
	if err := pub.Flush(ctx); err != nil {
		return err
	}
	before, err := cpuTime()
	if err != nil {
		return err
	}
	<-time.After(time.Minute)
	after, err := cpuTime()
	if err != nil {
		return err
	}
	fmt.Printf("%.3f\n", float64((after-before).Microseconds())/1e3)
	return pub.Close(ctx)
}

func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
