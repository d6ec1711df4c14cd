package main

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed design.py
var queueScript string

// contestants lists all, ours first.
func contestants() []Contestant {
	return append(ours(),
		floor,
		Contestant{Name: "zerolog-append", About: "four processes appending to one file, zerolog, a write(2) per record", Run: runAppend},
		perRecord,
		Contestant{Name: "jetstream-per-record", About: "JetStream, one message per record, published asynchronously", Part: 8, Run: runJetStreamPerRecord},
		Contestant{Name: "python-queue", About: "multiprocessing.Queue, QueueHandler, QueueListener, FileHandler", Part: 10, Prepare: needPython, Run: python("file")},
		Contestant{Name: "python-queue-rotating", About: "the same with RotatingFileHandler", Part: 10, Prepare: needPython, Run: python("rotating")},
		Contestant{Name: "rsyslog-default", About: "rsyslog, imtcp, as shipped but for one worker thread: two do not keep the order", Prepare: rsyslogd.need, Run: rsyslog(rsyslogDefault)},
		Contestant{Name: "rsyslog-tuned", About: "rsyslog, imptcp, large batches, async writing", Prepare: rsyslogd.need, Run: rsyslog(rsyslogTuned)},
		Contestant{Name: "syslog-ng", About: "syslog-ng, TCP, large windows and batches", Prepare: syslogng.need, Run: syslogNG},
	)
}

// floor is the part of the work that cannot be left out.
var floor = Contestant{Name: "floor", About: "no system: our encoder, loopback, one process that writes; nothing numbered, kept, acknowledged or checked", Run: runFloor}

func runFloor(_ context.Context, r *Round) (string, error) {
	file := filepath.Join(r.Dir, "app.jsonl")
	w, err := r.Role("floor-writer", "BENCH_FILE="+file)
	if err != nil {
		return "", err
	}
	port, err := w.stdout.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("writer: %w: %s", err, w.stderr.String())
	}
	if err := r.Workers("floor-worker", func(int) []string { return []string{"BENCH_PORT=" + port[:len(port)-1]} }); err != nil {
		return "", err
	}
	if err := w.Await("done"); err != nil {
		return "", err
	}
	r.Done()
	return file, r.Wait(w)
}

func runAppend(_ context.Context, r *Round) (string, error) {
	file := filepath.Join(r.Dir, "app.jsonl")
	if err := r.Workers("append", func(int) []string { return []string{"BENCH_FILE=" + file} }); err != nil {
		return "", err
	}
	return file, nil
}

func needPython(context.Context, *Bench) error {
	if _, err := exec.LookPath("python3"); err != nil {
		return fmt.Errorf("%w: no python3", errSkip)
	}
	return nil
}

// python runs the design that logbraid replaces. The script plays master and workers, and says ready and done as they do.
func python(handler string) func(context.Context, *Round) (string, error) {
	return func(_ context.Context, r *Round) (string, error) {
		script := filepath.Join(r.Dir, "design.py")
		if err := os.WriteFile(script, []byte(queueScript), 0o600); err != nil {
			return "", err
		}
		file := filepath.Join(r.Dir, "app.log")
		p, err := r.Start(exec.Command("python3", script, handler, file, fmt.Sprint(r.Load.Workers), fmt.Sprint(r.Load.Records)))
		if err != nil {
			return "", err
		}
		if err := r.Race([]*process{p}); err != nil {
			return "", err
		}
		return file, nil
	}
}

// As shipped rsyslog starts a second worker thread when its queue is long, and then the records of a sender change their order.
const rsyslogDefault = `
$MainMsgQueueWorkerThreads 1
module(load="imtcp")
template(name="raw" type="string" string="%%msg:::drop-last-lf%%\n")
ruleset(name="bench") { action(type="omfile" file="%[2]s" template="raw") }
input(type="imtcp" address="127.0.0.1" port="%[1]d" ruleset="bench")
`

const rsyslogTuned = `
main_queue(queue.type="LinkedList" queue.size="500000" queue.dequeuebatchsize="4096" queue.workerthreads="1")
module(load="imptcp")
template(name="raw" type="string" string="%%msg:::drop-last-lf%%\n")
ruleset(name="bench" queue.type="LinkedList" queue.size="2000000" queue.dequeuebatchsize="8192") {
  action(type="omfile" file="%[2]s" template="raw" ioBufferSize="256k" flushOnTXEnd="off" asyncWriting="on" flushInterval="1")
}
input(type="imptcp" address="127.0.0.1" port="%[1]d" ruleset="bench")
`

// rsyslog runs one rsyslogd in the foreground, on loopback, with everything it writes inside the round's directory.
func rsyslog(config string) func(context.Context, *Round) (string, error) {
	return func(_ context.Context, r *Round) (string, error) {
		port, err := freePort()
		if err != nil {
			return "", err
		}
		file := filepath.Join(r.Dir, "app.log")
		conf := filepath.Join(r.Dir, "rsyslog.conf")
		text := fmt.Sprintf("global(workDirectory=%q maxMessageSize=\"64k\")\n", r.Dir) + fmt.Sprintf(config, port, file)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			return "", err
		}
		cmd, err := rsyslogd.command("-M", "usr/lib/*/rsyslog", "-n", "-f", conf, "-i", filepath.Join(r.Dir, "pid"))
		if err != nil {
			return "", err
		}
		return syslogDaemon(r, cmd, port, file)
	}
}

const syslogNGConfig = `@version: %[3]s
options { threaded(yes); log-fifo-size(2000000); flush-lines(5000); keep-hostname(yes); use-dns(no); };
source s { network(ip("127.0.0.1") port(%[1]d) transport("tcp") max-connections(64) log-iw-size(500000) log-fetch-limit(10000)); };
destination d { file("%[2]s" template("$MSG\n")); };
log { source(s); destination(d); flags(flow-control); };
`

func syslogNG(_ context.Context, r *Round) (string, error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	const modules, dir = "--module-path=", "usr/lib/syslog-ng/[0-9]*"
	ask, err := syslogng.command(modules, dir, "--version")
	if err != nil {
		return "", err
	}
	version, err := ask.Output()
	if err != nil {
		return "", fmt.Errorf("ask syslog-ng for its version: %w", err)
	}
	config := "3.38"
	for line := range strings.Lines(string(version)) {
		if v, ok := strings.CutPrefix(line, "Config version: "); ok {
			config = strings.TrimSpace(v)
		}
	}
	file := filepath.Join(r.Dir, "app.log")
	conf := filepath.Join(r.Dir, "syslog-ng.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, syslogNGConfig, port, file, config), 0o600); err != nil {
		return "", err
	}
	cmd, err := syslogng.command(modules, dir, "-F", "--no-caps", "-f", conf,
		"-R", filepath.Join(r.Dir, "persist"), "-p", filepath.Join(r.Dir, "pid"), "-c", filepath.Join(r.Dir, "control"))
	if err != nil {
		return "", err
	}
	return syslogDaemon(r, cmd, port, file)
}

// syslogDaemon starts a daemon that listens for syslog over TCP and ends when all records are in its file.
func syslogDaemon(r *Round, cmd *exec.Cmd, port int, file string) (string, error) {
	p, err := r.Start(cmd)
	if err != nil {
		return "", err
	}
	if err := r.awaitPort(port); err != nil {
		return "", fmt.Errorf("%w: %s", err, p.stderr.String())
	}
	if err := r.Workers("syslog", func(int) []string { return []string{fmt.Sprintf("BENCH_PORT=%d", port)} }); err != nil {
		return "", err
	}
	if err := r.AwaitLines(file); err != nil {
		return "", err
	}
	return file, r.Stop(p)
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
