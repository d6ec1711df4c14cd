// Command worker is a program to be run by another master than the tests' own: it logs, and writes a ledger for the checker.
//
//	embedded -n 4 -- worker --ledger ledgers --records 20000
//	go run ./tests/checker/cmd --ledger ledgers --json logs/app.jsonl --text logs/app.log
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
	"github.com/logbraid/logbraid/tests/checker"
)

func main() {
	dir := flag.String("ledger", "", "`directory` of the ledgers")
	records := flag.Int("records", 1000, "records of each goroutine")
	goroutines := flag.Int("goroutines", 4, "how many log at once")
	flag.Parse()
	if err := work(*dir, *records, *goroutines); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func work(dir string, records, goroutines int) error {
	pub, err := publisher.FromEnv()
	if err != nil {
		return err
	}
	run := pub.Identity().Run
	ledger, err := checker.NewWriter(dir, pub.Identity().Worker, run, true)
	if err != nil {
		return err
	}
	levels := []record.Level{record.Info, record.Warn, record.Error}
	failed := make(chan error, goroutines)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			log := pub.Named("etl.load")
			for n := 1; n <= records; n++ {
				level := levels[n%len(levels)]
				e := checker.Entry{Source: run, Goroutine: g, N: n, Level: level.String(), Logger: "etl.load"}
				log.Log(level, "row", publisher.String("id", e.ID()), publisher.String("pad", checker.Payload(e.ID(), 80)))
				if err := ledger.Accepted(g, n, e.Level, e.Logger); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	if err := <-failed; err != nil {
		return err
	}
	if err := pub.Close(context.Background()); err != nil { // bounded by LOGBRAID_CLOSE_TIMEOUT
		return err
	}
	return ledger.End(pub.Stats().Logged, pub.Stats().Dropped)
}
