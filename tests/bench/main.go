// Command bench runs logbraid beside the systems that it is measured against: the same records, on the
// same machine, in turns, several times. It prints medians and ratios and writes docs/performance.md's
// table and picture.
//
//	cd tests/bench && go run .                  # everything that can be had here, five rounds
//	go run . -only logbraid,zerolog-append      # some of them
//	go run . -write ../../docs                  # also writes docs/benchmarks.md and docs/benchmarks.svg
//
// A run counts only when every record of every worker stands in the file, once, in order per worker; otherwise it is an error and
// the program ends with 1: a figure that is not the time of the whole job is not printed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		if err := runRole(role); err != nil {
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

func run() error {
	rounds := flag.Int("rounds", 5, "how often each is run; medians are taken over these")
	only := flag.String("only", "", "names of the contestants, separated by commas; empty: all")
	list := flag.Bool("list", false, "list the contestants and end")
	load := Load{Workers: 4, Records: 250_000}
	flag.IntVar(&load.Workers, "workers", load.Workers, "worker processes")
	flag.IntVar(&load.Records, "records", load.Records, "records of each worker")
	write := flag.String("write", "", "directory for benchmarks.md and benchmarks.svg; empty: only print")
	scratch := flag.String("scratch", "", "where the logs are written; empty: the temporary directory")
	flag.Parse()

	all := contestants()
	if *list {
		for _, c := range all {
			fmt.Printf("%-28s %s\n", c.Name, c.About)
		}
		return nil
	}
	if *only != "" {
		want := strings.Split(*only, ",")
		for _, name := range want {
			if !slices.ContainsFunc(all, func(c Contestant) bool { return c.Name == name }) {
				return fmt.Errorf("no contestant %q; -list shows them", name)
			}
		}
		all = slices.DeleteFunc(all, func(c Contestant) bool { return !slices.Contains(want, c.Name) })
	}

	dir, err := os.MkdirTemp(*scratch, "logbraid-bench-")
	if err != nil {
		return fmt.Errorf("make scratch directory: %w", err)
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	b := &Bench{Dir: dir, Load: load, Rounds: *rounds, Progress: os.Stderr}
	table, err := b.Run(ctx, all)
	if err != nil {
		return err
	}
	if err := table.Markdown(os.Stdout); err != nil {
		return err
	}
	if *write == "" {
		return nil
	}
	return table.WriteTo(filepath.Clean(*write))
}
