package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// What people do with NATS when they think of logging: a message per record, a subscriber that writes.

var perRecord = Contestant{Name: "nats-per-record", About: "core NATS, one message per record, nothing acknowledged", Run: runPerRecord}

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
