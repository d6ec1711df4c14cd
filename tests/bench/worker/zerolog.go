package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/logbraid/logbraid/tests/bench/job"
)

// zerologTo is the encoder of those rivals that bring none of their own.
func (worker) zerologTo(w io.Writer) zerolog.Logger {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	return zerolog.New(w).With().Timestamp().Str("logger", "etl.load").Logger()
}

func (w worker) log(l *zerolog.Logger, msg string, i int) {
	l.Info().Int("rows", i).Str("table", "orders").Float64("took", 0.25).
		Str("app", "bench").Int("worker", w.Worker).Str("run", "4fK9xQ2LmP").Int("seq", i+1).Msg(msg)
}

// append adds to a file that others add to as well.
func (w worker) append() error {
	f, err := os.OpenFile(os.Getenv("BENCH_FILE"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	l := w.zerologTo(f)
	if err := job.Await(); err != nil {
		return err
	}
	w.Each(func(msg string, i int) { w.log(&l, msg, i) })
	return f.Close()
}

// syslog sends RFC 3164 lines over TCP, newline-framed, through a large buffer: the fastest client that the protocol permits.
func (w worker) syslog() error {
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", os.Getenv("BENCH_PORT")))
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(conn, 256<<10)
	if err := job.Await(); err != nil {
		return err
	}
	frame := frameWriter{w: out, head: fmt.Sprintf("<14>Nov 21 10:00:00 host w%d: ", w.Worker)}
	l := w.zerologTo(&frame)
	w.Each(func(msg string, i int) { w.log(&l, msg, i) })
	if frame.err != nil {
		return frame.err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return conn.Close()
}

// frameWriter puts the syslog header before each record; zerolog makes one Write per record.
type frameWriter struct {
	w    *bufio.Writer
	head string
	err  error
}

func (f *frameWriter) Write(p []byte) (int, error) {
	if _, err := f.w.WriteString(f.head); err != nil {
		f.err = err
	}
	if _, err := f.w.Write(p); err != nil {
		f.err = err
	}
	return len(p), nil
}
