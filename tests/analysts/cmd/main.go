//go:build unix

// Command cmd measures what analysts cost the writer: go run ./tests/analysts/cmd
//
// Four workers write at full speed into one log, in direct delivery. In each round every case is measured once, in an order that
// turns from round to round: with no analyst at all, and with several that read, read slowly, stop reading (SIGSTOP), or are
// started and killed all the time. It prints the median of the records per second that the collector committed, and of the part
// of the same round's measurement without analysts.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/logbraid/logbraid/tests/analysts"
	"github.com/logbraid/logbraid/tests/harness"
)

func main() { harness.Main(measure, analysts.Roles()) }

// A load is what is done with analysts while the workers write.
type load struct {
	name string
	// begin starts analysts; during is called again and again.
	begin func(t harness.T, url string) (during func())
}

var loads = []load{
	{"none", func(harness.T, string) func() { return nil }},
	{"one reads", start(1, analysts.Spec{})},
	{"three read slowly", start(3, analysts.Spec{Buffer: 4 << 20, Every: 100, Pause: 100 * time.Millisecond})},
	{"three are stopped", func(t harness.T, url string) func() {
		for i := range 3 {
			a := startOne(t, fmt.Sprint("stopped", i), analysts.Spec{URL: url})
			a.Pause()
		}
		return nil
	}},
	{"one is stopped and continued", func(t harness.T, url string) func() {
		a := startOne(t, "stopped", analysts.Spec{URL: url, Buffer: 4 << 20, Every: 100, Pause: 100 * time.Millisecond})
		stopped := false
		return func() {
			if stopped = !stopped; stopped {
				a.Pause()
			} else {
				a.Continue()
			}
		}
	}},
	{"one is started and killed", func(t harness.T, url string) func() {
		var a *analysts.Analyst
		return func() {
			if a != nil {
				a.Kill()
			}
			a = startOne(t, "killed", analysts.Spec{URL: url, Buffer: 4 << 20, Every: 100, Pause: 100 * time.Millisecond})
		}
	}},
}

// nice is the niceness of analysts: with 19 they take what the others leave of the processors, as if they ran elsewhere.
var nice = flag.Int("nice", 0, "niceness of the analysts' processes (Linux)")

func startOne(t harness.T, name string, spec analysts.Spec) *analysts.Analyst {
	a := analysts.Start(t, name, spec)
	if *nice != 0 {
		// Each thread has its own, and gives it to those that it starts.
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", a.Pid()))
		for _, thread := range threads {
			var id int
			if id, err = strconv.Atoi(thread.Name()); err == nil {
				err = syscall.Setpriority(syscall.PRIO_PROCESS, id, *nice)
			}
			if err != nil {
				break
			}
		}
		if err != nil {
			t.Fatalf("lower the priority of %s: %v", name, err)
		}
	}
	return a
}

func start(n int, spec analysts.Spec) func(t harness.T, url string) func() {
	return func(t harness.T, url string) func() {
		spec.URL = url
		for i := range n {
			startOne(t, fmt.Sprint("analyst", i), spec)
		}
		return nil
	}
}

func measure() int {
	rounds := flag.Int("rounds", 7, "how often each case is measured")
	length := flag.Duration("for", 4*time.Second, "how long")
	goroutines := flag.Int("goroutines", 1, "of each of the four workers")
	pause := flag.Duration("every", 0, "pause of a worker after each burst of 100 records; 0 is full speed")
	conf := flag.String("config", "", "configuration file for the NATS server")
	flag.Parse()

	rates, parts := map[string][]float64{}, map[string][]float64{}
	for round := range *rounds {
		of := map[string]float64{}
		for i := range loads {
			l := loads[(i+round)%len(loads)]
			t := harness.NewRunner()
			if !t.Do(func() { of[l.name] = one(t, l, *length, *goroutines, *pause, *conf) }) {
				return 1
			}
		}
		for name, rate := range of {
			rates[name] = append(rates[name], rate)
			parts[name] = append(parts[name], rate/of["none"])
		}
		fmt.Printf("round %d of %d: %.0f records/s without analysts\n", round+1, *rounds, of["none"])
	}
	fmt.Printf("\n%-30s %12s %16s   %s\n", "analysts", "records/s", "of none", "lowest and highest")
	for _, l := range loads {
		p := parts[l.name]
		fmt.Printf("%-30s %12.0f %15.1f%%   %.1f%% %.1f%%\n", l.name, median(rates[l.name]), 100*median(p), 100*slices.Min(p), 100*slices.Max(p))
	}
	return 0
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// one measures one case and returns records per second.
func one(t *harness.Runner, l load, length time.Duration, goroutines int, pause time.Duration, conf string) float64 {
	var args []string
	if conf != "" {
		args = []string{"-c", conf}
	}
	b := harness.StartBroker(t, harness.BrokerSpec{Args: args})
	c := harness.StartCollector(t, harness.CollectorSpec{URL: b.URL, Dir: t.TempDir()})
	during := l.begin(t, b.URL)
	var workers []*harness.Worker
	for i := range 4 {
		name := fmt.Sprintf("w%d", i+1)
		workers = append(workers, harness.StartWorker(t, name, harness.WorkerSpec{Goroutines: goroutines, Payload: 200, Every: pause, Burst: 100}, harness.PlainEnv(b.URL, name)))
	}
	<-time.After(length / 4)
	begin, first := time.Now(), c.Stats().Written
	for time.Since(begin) < length {
		if during != nil {
			during()
		}
		<-time.After(250 * time.Millisecond)
	}
	written := c.Stats().Written - first
	took := time.Since(begin)
	for _, w := range workers {
		w.Kill()
	}
	return float64(written) / took.Seconds()
}
