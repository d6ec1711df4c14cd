// Command bench runs logbraid beside the systems that it is measured against: the same records, on the
// same machine, in turns, several times. It prints medians and ratios and writes docs/performance.md's
// table and picture.
//
//	cd tests/bench && go run .                          # everything that can be had here, five rounds
//	go run . -only logbraid,zerolog-append -measures none   # some of it
//	go run . -write ../../docs/performance.md               # also writes the table into that page, and a picture beside it
//	go run . -only logbraid -measures none -profile DIR     # CPU profiles of the master and of each worker
//
// It needs Linux, and takes about half an hour; what it measures is spoilt by anything else that runs.
//
// A run counts only when every record of every worker stands in the file, once, in order per worker; otherwise it is an error and
// the program ends with 1: a figure that is not the time of the whole job is not printed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"github.com/logbraid/logbraid/tests/bench/job"
)

func main() {
	if role := os.Getenv(job.RoleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", role, err)
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// roles are those that a process of this program may have, because a broker is part of them; the worker program has the others.
var roles = map[string]func() error{
	"broker":          broker,
	"logbraid-master": master,
}

func play(role string) error {
	do, ok := roles[role]
	if !ok {
		return errors.New("unknown role")
	}
	stop, err := job.Profile(role, 0)
	if err != nil {
		return err
	}
	defer stop()
	return do()
}

func run() error {
	rounds := flag.Int("rounds", 5, "how often each is run; medians are taken over these")
	only := flag.String("only", "all", "contestants, separated by commas, all or none")
	which := flag.String("measures", "all", "further measures, separated by commas, all or none")
	list := flag.Bool("list", false, "list contestants and measures, and end")
	load := Load{Workers: 4, Records: 1_000_000}
	flag.IntVar(&load.Workers, "workers", load.Workers, "worker processes")
	flag.IntVar(&load.Records, "records", load.Records, "records of each worker")
	flag.IntVar(&load.Warm, "warm", load.Warm, "bytes that each of our workers logs before the clock runs")
	write := flag.String("write", "", "page to write the table into, with a picture beside it; empty: only print")
	scratch := flag.String("scratch", "", "where the logs are written; empty: the temporary directory")
	profiles := flag.String("profile", "", "directory for a CPU profile of each process of ours, for go tool pprof; empty: none")
	worker := flag.String("worker", "", "worker program, for a comparison of versions; empty: is built from ./worker")
	flag.Parse()

	if *list {
		for _, c := range contestants() {
			fmt.Printf("%-28s %s\n", c.Name, c.About)
		}
		for _, m := range measures() {
			fmt.Printf("%-28s %s\n", m.Name, m.About)
		}
		return nil
	}
	racing, err := pick(*only, contestants(), func(c Contestant) string { return c.Name })
	if err != nil {
		return err
	}
	measuring, err := pick(*which, measures(), func(m Measure) string { return m.Name })
	if err != nil {
		return err
	}
	if *profiles != "" {
		dir, err := filepath.Abs(*profiles)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("make directory for profiles: %w", err)
		}
		if err := os.Setenv(job.ProfileVariable, dir); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(*scratch, "logbraid-bench-")
	if err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	if *worker == "" {
		*worker = filepath.Join(dir, "worker")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", *worker, "./worker").CombinedOutput(); err != nil {
			return fmt.Errorf("build ./worker: %w: %s", err, out)
		}
	}
	b := &Bench{Dir: dir, Load: load, Rounds: *rounds, Progress: os.Stderr, Worker: *worker}
	table, err := b.Run(ctx, racing)
	if err != nil {
		return err
	}
	for _, m := range measuring {
		fmt.Fprintf(b.Progress, "%s: %s\n", m.Name, m.About)
		bars, err := m.Run(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		table.Bars = append(table.Bars, bars...)
	}
	if err := table.Markdown(os.Stdout); err != nil {
		return err
	}
	if *write == "" {
		return nil
	}
	return table.WriteTo(filepath.Clean(*write))
}
