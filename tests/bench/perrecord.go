package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What people do with NATS when they think of logging: a message per record, a subscriber that writes.

func runPerRecord(_ context.Context, r *Round) (string, error) {
	return natsPerRecord(r, "per-record", "")
}

func runJetStreamPerRecord(_ context.Context, r *Round) (string, error) {
	return natsPerRecord(r, "jetstream-per-record", "BENCH")
}

func natsPerRecord(r *Round, role, stream string) (string, error) {
	b, err := r.Role("broker", "BENCH_STORE="+filepath.Join(r.Dir, "store"), "BENCH_STREAM="+stream)
	if err != nil {
		return "", err
	}
	url, err := b.stdout.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("broker: %w: %s", err, b.stderr.String())
	}
	url = strings.TrimSpace(url)
	file := filepath.Join(r.Dir, "app.jsonl")
	r.file = file
	w, err := r.Role("per-record-writer", "BENCH_NATS="+url, "BENCH_FILE="+file, "BENCH_STREAM="+stream)
	if err != nil {
		return "", err
	}
	if err := w.Await("ready"); err != nil {
		return "", err
	}
	if err := r.Workers(role, func(int) []string { return []string{"BENCH_NATS=" + url} }); err != nil {
		return "", err
	}
	if err := w.Await("done"); err != nil {
		return "", err
	}
	r.Done()
	if err := r.Wait(w); err != nil {
		return "", err
	}
	return file, r.Stop(b)
}

// broker is a plain nats-server on loopback; it prints its URL and ends on SIGTERM.
func broker() error {
	o := &server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, MaxPending: 512 << 20}
	if os.Getenv("BENCH_STREAM") != "" {
		o.JetStream, o.StoreDir = true, os.Getenv("BENCH_STORE")
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return fmt.Errorf("broker is not ready")
	}
	fmt.Println(s.ClientURL())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

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

func (j job) perRecord(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	w := &publishWriter{publish: nc.Publish, subject: "bench.w" + strconv.Itoa(j.worker)}
	if err := await(); err != nil {
		return err
	}
	j.produce(w)
	if w.err != nil {
		return w.err
	}
	return nc.FlushTimeout(5 * time.Minute)
}

func (j job) jetStreamPerRecord(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(512))
	if err != nil {
		return err
	}
	w := &publishWriter{subject: "bench.w" + strconv.Itoa(j.worker), publish: func(subject string, data []byte) error {
		_, err := js.PublishAsync(subject, append([]byte(nil), data...), jetstream.WithStallWait(time.Minute))
		return err
	}}
	if err := await(); err != nil {
		return err
	}
	j.produce(w)
	if w.err != nil {
		return w.err
	}
	<-js.PublishAsyncComplete()
	return nil
}

func (j job) produce(w *publishWriter) {
	l := j.zerologTo(w)
	j.each(func(msg string, i int) { j.log(&l, msg, i) })
}

// perRecordWriter writes what arrives through a buffer, and flushes it when nothing more waits.
func perRecordWriter(url, file string, stream bool) error {
	workers, _ := strconv.Atoi(os.Getenv("BENCH_WORKERS"))
	records, _ := strconv.Atoi(os.Getenv("BENCH_RECORDS"))
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 256<<10)
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	done := make(chan error, 1)
	left := workers * records
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
	if stream {
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
