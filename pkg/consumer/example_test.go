package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/logbraid/logbraid/pkg/consumer"
	"github.com/logbraid/logbraid/pkg/record"
)

func ExampleStart() {
	ctx := context.Background()
	cfg, err := consumer.ConfigFromEnv(nil) // LOGBRAID_NATS_URL and so on
	if err != nil {
		log.Fatal(err)
	}
	cfg.Filter = record.Filter{Level: record.Warn, Loggers: []string{"etl.*"}}
	c, err := consumer.Start(ctx, cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for rec, err := range c.Records(ctx) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err) // what is missing; the iteration goes on
			continue
		}
		ms, _ := rec.Float("ms")
		fmt.Println(rec.Time.Format(time.TimeOnly), rec.Worker, rec.Msg(), ms)
	}
}

func ExampleConsumer_Records() {
	var c *consumer.Consumer // from Start
	var received, missed, dropped uint64
	for _, err := range c.Records(context.Background()) {
		var gap *consumer.Gap
		switch {
		case err == nil:
			received++
		case errors.As(err, &gap):
			missed += gap.Missed
			dropped += gap.Dropped
		default:
			log.Print(err)
		}
	}
	fmt.Printf("%d received, %d missed, %d dropped by their publishers\n", received, missed, dropped)
}

// What was logged in the last hour, from the stream.
func ExampleConfig_since() {
	cfg := consumer.Config{Stream: "LOGS", Since: time.Now().Add(-time.Hour), Fields: map[string]string{"request.status": "500"}}
	cfg.NATS.URL = "nats://127.0.0.1:4222"
	_ = cfg
}

// A place that the broker keeps: the next process goes on where this one stopped.
func ExampleConfig_durable() {
	cfg := consumer.Config{Stream: "LOGS", Durable: "invoices", Sequence: 1}
	cfg.NATS.URL = "nats://127.0.0.1:4222"
	_ = cfg
}
