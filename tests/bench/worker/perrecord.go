package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/tests/bench/job"
)

// publishWriter makes a message of each record that zerolog writes.
type publishWriter struct {
	publish func(subject string, data []byte) error
	subject string
	err     error
}

func (p *publishWriter) Write(b []byte) (int, error) {
	if err := p.publish(p.subject, b); err != nil && p.err == nil {
		p.err = err
	}
	return len(b), nil
}

func (w worker) perRecord() error {
	nc, err := nats.Connect(os.Getenv("BENCH_NATS"))
	if err != nil {
		return err
	}
	defer nc.Close()
	to := &publishWriter{publish: nc.Publish, subject: "bench.w" + strconv.Itoa(w.Worker)}
	if err := job.Await(); err != nil {
		return err
	}
	w.produce(to)
	if to.err != nil {
		return to.err
	}
	return nc.FlushTimeout(5 * time.Minute)
}

func (w worker) jetStreamPerRecord() error {
	nc, err := nats.Connect(os.Getenv("BENCH_NATS"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(512))
	if err != nil {
		return err
	}
	to := &publishWriter{subject: "bench.w" + strconv.Itoa(w.Worker), publish: func(subject string, data []byte) error {
		_, err := js.PublishAsync(subject, append([]byte(nil), data...), jetstream.WithStallWait(time.Minute))
		return err
	}}
	if err := job.Await(); err != nil {
		return err
	}
	w.produce(to)
	if to.err != nil {
		return to.err
	}
	<-js.PublishAsyncComplete()
	return nil
}

func (w worker) produce(to *publishWriter) {
	l := w.zerologTo(to)
	w.Each(func(msg string, i int) { w.log(&l, msg, i) })
}

// perRecordWriter writes what arrives through a buffer, and flushes it when nothing more waits.
func (w worker) perRecordWriter() error {
	workers, _ := strconv.Atoi(os.Getenv("BENCH_WORKERS"))
	f, err := os.OpenFile(os.Getenv("BENCH_FILE"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 256<<10)
	nc, err := nats.Connect(os.Getenv("BENCH_NATS"))
	if err != nil {
		return err
	}
	defer nc.Close()
	done := make(chan error, 1)
	left := workers * w.Records
	take := func(data []byte, last bool) {
		_, err := out.Write(data)
		if last && err == nil {
			err = out.Flush()
		}
		if left--; left == 0 || err != nil {
			select {
			case done <- errors.Join(err, out.Flush()):
			default: // an error has been told
			}
		}
	}
	if os.Getenv("BENCH_STREAM") != "" {
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		s, err := js.CreateStream(context.Background(), jetstream.StreamConfig{Name: "BENCH", Subjects: []string{"bench.*"}, Storage: jetstream.FileStorage})
		if err != nil {
			return err
		}
		c, err := s.OrderedConsumer(context.Background(), jetstream.OrderedConsumerConfig{})
		if err != nil {
			return err
		}
		cc, err := c.Consume(func(m jetstream.Msg) {
			meta, err := m.Metadata()
			take(m.Data(), err != nil || meta.NumPending == 0)
		})
		if err != nil {
			return err
		}
		defer cc.Stop()
	} else {
		sub, err := nc.Subscribe("bench.*", func(m *nats.Msg) {
			waiting, _, err := m.Sub.Pending() // counts the message in hand
			take(m.Data, err != nil || waiting <= 1)
		})
		if err != nil {
			return err
		}
		if err := sub.SetPendingLimits(-1, -1); err != nil {
			return err
		}
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	fmt.Println("ready")
	if err := <-done; err != nil {
		return err
	}
	return f.Close()
}
