//go:build unix

package analysts

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/consumer"
	"github.com/logbraid/logbraid/tests/harness"
)

// A Spec describes an analyst.
type Spec struct {
	URL      string
	Buffer   int           // bytes; 0: the default
	Every    int           // take a pause after so many records; 0: none
	Pause    time.Duration // how long
	Stream   string
	Since    time.Time
	Sequence uint64
	Keep     bool // remember each record's run and seq, in order
}

// An Account is what an analyst knows of one run.
type Account struct {
	Worker                    string
	First, Last               uint64
	Received, Missed, Dropped uint64
	Twice, Disorder           int // must stay 0
}

// A Report is everything an analyst knows.
type Report struct {
	Runs          map[string]Account
	Interruptions int
	Rejected      []string
	Kept          []string // "run seq"
}

// Sum adds the accounts up.
func (r Report) Sum() (sum Account) {
	for _, a := range r.Runs {
		sum.Received += a.Received
		sum.Missed += a.Missed
		sum.Dropped += a.Dropped
		sum.Twice += a.Twice
		sum.Disorder += a.Disorder
		sum.Last += a.Last
	}
	return sum
}

// An Analyst is the process.
type Analyst struct{ *harness.Process }

// Start starts an analyst and waits until it listens.
func Start(t harness.T, name string, spec Spec) *Analyst {
	t.Helper()
	a := &Analyst{harness.Start(t, harness.Command{Name: name, Role: "analyst", Spec: spec})}
	a.Ready(nil)
	return a
}

// Report asks for what it knows now.
func (a *Analyst) Report() (r Report) {
	a.Ask("report", &r)
	return r
}

func play(r *harness.Role) error {
	var spec Spec
	if err := r.Spec(&spec); err != nil {
		return err
	}
	c, err := consumer.Start(context.Background(), consumer.Config{
		NATS: natsconn.Config{URL: spec.URL}, Buffer: spec.Buffer,
		Stream: spec.Stream, Since: spec.Since, Sequence: spec.Sequence,
	})
	if err != nil {
		return err
	}
	defer c.Close()
	b := &book{Report: Report{Runs: make(map[string]Account)}, spec: spec}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { ended <- b.keep(ctx, c) }()
	r.Ready(nil)
	for {
		select {
		case command := <-r.Commands():
			b.mu.Lock()
			r.Say(command, b.Report)
			b.mu.Unlock()
		case err := <-ended:
			return fmt.Errorf("the iteration ended: %w", err)
		case <-r.Stopped():
			return nil
		}
	}
}

type book struct {
	mu   sync.Mutex
	spec Spec
	Report
}

func (b *book) keep(ctx context.Context, c *consumer.Consumer) (last error) {
	n := 0
	for rec, err := range c.Records(ctx) {
		b.mu.Lock()
		var gap *consumer.Gap
		var broken *consumer.Interruption
		switch {
		case err == nil && rec.Foreign: // the collector says something of its own
		case err == nil:
			a, known := b.Runs[rec.Run]
			switch {
			case !known:
				a.Worker, a.First = rec.Worker, rec.Seq
			case rec.Seq <= a.Last:
				a.Twice++
			case rec.Seq != a.Last+1:
				a.Disorder++
			}
			a.Last = max(a.Last, rec.Seq)
			a.Received++
			b.Runs[rec.Run] = a
			if b.spec.Keep {
				b.Kept = append(b.Kept, fmt.Sprintf("%s %d", rec.Run, rec.Seq))
			}
		case errors.As(err, &gap):
			a, known := b.Runs[gap.Run]
			if !known {
				a.Worker, a.First = gap.Worker, gap.First
			} else if gap.First != a.Last+1 || gap.Missed+gap.Dropped != gap.Last-gap.First+1 {
				a.Disorder++
			}
			a.Last = gap.Last
			a.Missed += gap.Missed
			a.Dropped += gap.Dropped
			b.Runs[gap.Run] = a
		case errors.As(err, &broken):
			b.Interruptions++
		case consumer.Continues(err):
			b.Rejected = append(b.Rejected, err.Error())
		default:
			last = err
		}
		b.mu.Unlock()
		if n++; b.spec.Every > 0 && n%b.spec.Every == 0 {
			<-time.After(b.spec.Pause)
		}
	}
	return last
}
