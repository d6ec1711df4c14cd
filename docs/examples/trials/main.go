// Trials is a worker that does real work: it prices an option by simulation, round after round, with random parameters, and logs
// what comes out. docker-compose.yml runs as many of it as you like, each in a container of its own.
//
//	trials                 until SIGTERM, or for as many rounds as TRIALS_ROUNDS says
//	trials -healthcheck    exit 0 if the last round of the worker in this container is less than half a minute ago
//
// All that it needs to know about the log stands in LOGBRAID_ variables. Its results, one line for each round, go to
// TRIALS_RESULTS: a line is written when the log call of its round has returned, so whoever wants to can compare the two.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

// alive is touched after each round; in a container /tmp is its own.
var alive = filepath.Join(os.TempDir(), "trials.alive")

func main() {
	if len(os.Args) == 2 && os.Args[1] == "-healthcheck" {
		st, err := os.Stat(alive)
		if err != nil || time.Since(st.ModTime()) > 30*time.Second {
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rounds, pause, err := settings()
	if err != nil {
		return err
	}
	cfg, err := publisher.ConfigFromEnv(nil)
	if err != nil {
		return err
	}
	cfg.Diagnostics = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	pub, err := publisher.New(cfg)
	if err != nil {
		return err
	}
	results, err := openResults(pub.Identity())
	if err != nil {
		return err
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		takeUp(ctx, cfg, pub.Identity())
	}()

	log := slog.New(pub.SlogHandler(&publisher.SlogOptions{Logger: "trials.price"}))
	for n := 1; (rounds == 0 || n <= rounds) && ctx.Err() == nil; n++ {
		id := fmt.Sprintf("%s.0.%d", pub.Identity().Run, n)
		o := draw()
		began := time.Now()
		price, deviation := o.simulate(20_000)
		level := o.report(log, id, price, deviation, time.Since(began))
		if _, err := fmt.Fprintf(results, "%d %s %.4f\n", n, level, price); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
		if err := os.WriteFile(alive, nil, 0o600); err != nil {
			return fmt.Errorf("say that the worker is alive: %w", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	stop()
	<-drained
	return finish(pub)
}

// settings are what this program has beside the log's.
func settings() (rounds int, pause time.Duration, err error) {
	if text := os.Getenv("TRIALS_ROUNDS"); text != "" {
		if rounds, err = strconv.Atoi(text); err != nil || rounds < 0 {
			return 0, 0, fmt.Errorf("TRIALS_ROUNDS=%q is not a number of rounds", text)
		}
	}
	if text := os.Getenv("TRIALS_PAUSE"); text != "" {
		if pause, err = time.ParseDuration(text); err != nil {
			return 0, 0, fmt.Errorf("TRIALS_PAUSE: %w", err)
		}
	}
	return rounds, pause, nil
}

func openResults(id record.Identity) (*os.File, error) {
	dir := os.Getenv("TRIALS_RESULTS")
	if dir == "" {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	f, err := os.OpenFile(filepath.Join(dir, id.Worker+"."+id.Run+".txt"), os.O_CREATE|os.O_EXCL|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open results: %w", err)
	}
	return f, nil
}

// takeUp delivers what replicas that are gone have left in the buffer directory, which they all share. A publisher does this by
// itself for its own name; but a container that is created anew has a new name, and nobody comes back for the old one.
func takeUp(ctx context.Context, cfg publisher.Config, own record.Identity) {
	if cfg.BufferDir == "" {
		return
	}
	report, err := publisher.Drain(ctx, publisher.DrainConfig{
		Dir: cfg.BufferDir, Conn: cfg.Conn, Delivery: cfg.Delivery, Stream: cfg.Stream, BatchCompression: cfg.BatchCompression, Diagnostics: cfg.Diagnostics,
		Only: func(id record.Identity) bool { return id.App == own.App && id.Worker != own.Worker },
	})
	for _, r := range report.Runs {
		fmt.Printf("delivered %d records that %s had left\n", r.Sent, r.Identity.Worker)
	}
	if err != nil && ctx.Err() == nil {
		cfg.Diagnostics.Error("deliver what others have left", "error", err)
	}
}

// finish waits until everything is acknowledged, for LOGBRAID_CLOSE_TIMEOUT at most. What is not then stays in the buffer
// directory, for whoever starts next.
func finish(pub *publisher.Publisher) error {
	err := pub.Close(context.Background())
	s := pub.Stats()
	fmt.Printf("run %s: %d records, %d acknowledged, %d dropped\n", pub.Identity().Run, s.Logged, s.Acked, s.Dropped)
	var unacked *publisher.UnackedError
	if errors.As(err, &unacked) && unacked.Kept != "" {
		return nil
	}
	return err
}

// An option to buy at strike in a year, under the Black-Scholes model.
type option struct {
	spot, strike, rate, volatility float64
}

func draw() option {
	return option{
		spot: 80 + 40*rand.Float64(), strike: 80 + 40*rand.Float64(),
		rate: 0.05 * rand.Float64(), volatility: 0.05 + 0.95*rand.Float64(),
	}
}

// simulate returns the price and its standard error.
func (o option) simulate(paths int) (price, deviation float64) {
	var sum, squares float64
	drift, discount := o.rate-o.volatility*o.volatility/2, math.Exp(-o.rate)
	for range paths {
		payoff := discount * max(0, o.spot*math.Exp(drift+o.volatility*rand.NormFloat64())-o.strike)
		sum += payoff
		squares += payoff * payoff
	}
	n := float64(paths)
	price = sum / n
	return price, math.Sqrt((squares/n - price*price) / n)
}

// exact is the price by the closed formula, to compare with.
func (o option) exact() float64 {
	d := (math.Log(o.spot/o.strike) + o.rate + o.volatility*o.volatility/2) / o.volatility
	normal := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	return o.spot*normal(d) - o.strike*math.Exp(-o.rate)*normal(d-o.volatility)
}

// report logs a round and returns the level that it was worth.
func (o option) report(log *slog.Logger, id string, price, deviation float64, took time.Duration) string {
	level, msg, name := slog.LevelInfo, "round priced", "info"
	switch off := math.Abs(price - o.exact()); {
	case deviation > 0.75: // about one in twenty
		level, msg, name = slog.LevelError, "round does not converge", "error"
	case off > 2*deviation: // about as many
		level, msg, name = slog.LevelWarn, "price is off the formula's", "warn"
	}
	log.LogAttrs(context.Background(), level, msg, slog.String("id", id),
		slog.Float64("price", price), slog.Float64("deviation", deviation), slog.Float64("exact", o.exact()),
		slog.Float64("volatility", o.volatility), slog.Duration("took", took))
	return name
}
