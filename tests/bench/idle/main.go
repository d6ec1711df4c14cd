// Command idle is a worker that logs one record and then nothing for a minute. It prints the CPU time, user and system, that the
// minute took, in milliseconds.
//
// It is a program of its own because it must not link a broker, as workers do not: the package nats-server/server, linked into the
// bench, wakes up once a second to look at its process's figures.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "idle:", err)
		os.Exit(1)
	}
}

func run() error {
	pub, err := publisher.FromEnv()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	pub.Named("etl.load").Info("rec w" + os.Getenv("BENCH_WORKER") + "#0;")
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
	if err := pub.Close(ctx); err != nil {
		return err
	}
	fmt.Println("done")
	return nil
}

func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
