//go:build unix

// Command cmd is the long run of the crash tests: go run ./tests/crash/cmd --cycles 1000 --seed 7
//
// The cycles are shared out over runs of --per cycles, each with a seed, a layout and an FSYNC setting of its own. It prints a
// line for each run and a total, and ends with 1 if anything was wrong; then the files of that run are left where it says.
package main

import (
	"flag"
	"fmt"
	"time"

	"github.com/logbraid/logbraid/tests/crash"
	"github.com/logbraid/logbraid/tests/harness"
)

func main() { harness.Main(long, nil) }

func long() int {
	cycles := flag.Int("cycles", 1000, "kill -9 cycles in all")
	per := flag.Int("per", 50, "cycles of one run, over one log directory")
	seed := flag.Uint64("seed", 1, "seed of the first run; the next have the next")
	layout := flag.String("layout", "", "embedded, external, or empty: by the seed")
	delivery := flag.String("delivery", "direct", "direct or stream")
	records := flag.Int("records", 2000, "records that each goroutine logs in a cycle; three workers have four goroutines")
	flag.Parse()
	begin := time.Now()
	accepted, done, failed := 0, 0, 0
	for s := *seed; done < *cycles; s++ {
		n := min(*per, *cycles-done)
		t := harness.NewRunner()
		var r crash.Result
		good := t.Do(func() {
			r = crash.Run(t, crash.Options{Cycles: n, Seed: s, Layout: *layout, Delivery: *delivery, Records: *records})
		})
		fmt.Println(r)
		if !good {
			failed++
			fmt.Println("FAILED; the files are in", t.Dir())
		}
		accepted += r.Accepted
		done += n
	}
	fmt.Printf("%d cycles, %d records accepted, %d runs failed, %v\n", done, accepted, failed, time.Since(begin).Round(time.Second))
	if failed > 0 {
		return 1
	}
	return 0
}
