package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/rs/zerolog"
)

// roleVariable tells a re-executed bench what it is.
const roleVariable = "BENCH_ROLE"

// A job is what a worker is told by its environment.
type job struct {
	worker, records int
	pace            time.Duration
	warm            int // bytes
}

// each calls log with every message of the job; msg is there until log returns.
func (j job) each(log func(msg string, i int)) {
	var msg []byte
	if j.pace == 0 {
		for i := range j.records {
			msg = message(msg[:0], j.worker, i)
			log(inPlace(msg), i)
		}
		return
	}
	tick := time.NewTicker(j.pace)
	defer tick.Stop()
	for i := range j.records {
		<-tick.C
		msg = message(msg[:0], j.worker, i)
		stamp(msg)
		log(inPlace(msg), i)
	}
}

// runRole does what the role is for, and says so.
func runRole(role string) error {
	err := play(role)
	if err == nil {
		fmt.Println("done")
	}
	return err
}

func play(role string) error {
	var j job
	j.worker, _ = strconv.Atoi(os.Getenv("BENCH_WORKER"))
	j.records, _ = strconv.Atoi(os.Getenv("BENCH_RECORDS"))
	j.warm, _ = strconv.Atoi(os.Getenv("BENCH_WARM"))
	j.pace, _ = time.ParseDuration(os.Getenv("BENCH_PACE"))
	if j.records == 0 {
		return fmt.Errorf("BENCH_RECORDS is %q", os.Getenv("BENCH_RECORDS"))
	}
	if dir := os.Getenv("BENCH_PROFILE"); dir != "" {
		stop, err := profile(dir, role, j.worker)
		if err != nil {
			return err
		}
		defer stop()
	}
	switch role {
	case "append":
		return j.append(os.Getenv("BENCH_FILE"))
	case "syslog":
		return j.syslog(os.Getenv("BENCH_PORT"))
	case "per-record":
		return j.perRecord(os.Getenv("BENCH_NATS"))
	case "jetstream-per-record":
		return j.jetStreamPerRecord(os.Getenv("BENCH_NATS"))
	case "per-record-writer":
		return perRecordWriter(os.Getenv("BENCH_NATS"), os.Getenv("BENCH_FILE"), os.Getenv("BENCH_STREAM") != "")
	case "broker":
		return broker()
	case "floor-worker":
		return j.floorWorker(os.Getenv("BENCH_PORT"))
	case "floor-writer":
		return floorWriter(os.Getenv("BENCH_FILE"))
	case "logbraid-worker":
		return j.logbraid()
	case "logbraid-flood":
		return j.logbraidFlood()
	case "logbraid-master":
		return master()
	}
	return fmt.Errorf("unknown role")
}

// profile takes a CPU profile of this process for go tool pprof. One file per role and worker stays: the last round's.
func profile(dir, role string, worker int) (stop func(), err error) {
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", role, worker)))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}

// await says "ready" and waits for "go".
func await() error {
	fmt.Println("ready")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err
}

// zerologTo is the encoder of those rivals that bring none of their own.
func (j job) zerologTo(w io.Writer) zerolog.Logger {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	return zerolog.New(w).With().Timestamp().Str("logger", "etl.load").Logger()
}

func (j job) log(l *zerolog.Logger, msg string, i int) {
	l.Info().Int("rows", i).Str("table", "orders").Float64("took", 0.25).
		Str("app", "bench").Int("worker", j.worker).Str("run", "4fK9xQ2LmP").Int("seq", i+1).Msg(msg)
}

func (j job) append(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	l := j.zerologTo(f)
	if err := await(); err != nil {
		return err
	}
	j.each(func(msg string, i int) { j.log(&l, msg, i) })
	return f.Close()
}

// syslog sends RFC 3164 lines over TCP, newline-framed, through a large buffer: the fastest client that the protocol permits.
func (j job) syslog(port string) error {
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(conn, 256<<10)
	_, _ = w.WriteString("") // the buffer is made before the clock runs
	if err := await(); err != nil {
		return err
	}
	var msg []byte
	frame := frameWriter{w: w, head: fmt.Sprintf("<14>Nov 21 10:00:00 host w%d: ", j.worker)}
	l := j.zerologTo(&frame)
	for i := range j.records {
		msg = message(msg[:0], j.worker, i)
		j.log(&l, inPlace(msg), i)
	}
	if frame.err != nil {
		return frame.err
	}
	if err := w.Flush(); err != nil {
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

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// awaitPort waits until something listens there.
func (r *Round) awaitPort(port int) error {
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return fmt.Errorf("nothing listens on port %d: %w", port, err)
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
	}
}
