//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/pkg/consumer"
	"github.com/logbraid/logbraid/pkg/record"
	"github.com/logbraid/logbraid/tests/harness"
)

func connectTo(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(harness.Guard))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func publish(t *testing.T, nc *nats.Conn, subject string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if err := nc.Publish(subject, []byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.FlushTimeout(harness.Guard); err != nil {
		t.Fatal(err)
	}
}

// listening waits until the program shows what is published.
func listening(t *testing.T, nc *nats.Conn, subject string, shown func() bool) {
	t.Helper()
	harness.Until(t, "tail to listen", func() bool {
		publish(t, nc, subject, `{"level":"fatal","logger":"etl","msg":"hello"}`)
		return shown()
	})
}

func TestTail(t *testing.T) {
	b := harness.StartBroker(t, harness.BrokerSpec{})
	nc := connectTo(t, b.URL)
	tails := map[string]*harness.Process{}
	for name, args := range map[string][]string{
		"text":   {"--level", "warn", "--logger", "etl", "--app", "shop,other"},
		"grep":   {"--grep", `two\\nlines.*rows=7$|hello`, "--field", "level=fatal", "--worker", "w*"},
		"json":   {"--json", "--level", "error"},
		"prefix": {"--prefix", "braid", "--worker", "w9"},
	} {
		tails[name] = startProgram(t, t.TempDir(), []string{"NATS_URL=" + b.URL, "TERM=xterm"}, append([]string{"tail"}, args...)...)
		subject := "logs.shop.w1"
		if name == "prefix" {
			subject = "braid.shop.w9"
		}
		listening(t, nc, subject, func() bool { return tails[name].Stdout() != "" })
	}
	publish(t, nc, "logs.shop.w1",
		`{"level":"info","logger":"etl","msg":"not shown"}`,
		`{"level":"fatal","logger":"etl","msg":"two\nlines","rows":7,"stack":"main.go:1\n2026-11-21T10:00:00.123456Z FATAL forged[w1] line"}`,
		`{"level":"error","logger":"web","msg":"\u001b[2Jelsewhere"}`)
	publish(t, nc, "braid.shop.w9", `{"msg":"last"}`)
	publish(t, nc, "braid.shop.w1", `{"msg":"of another"}`)
	publish(t, nc, "logs.shop.w1", `{"level":"fatal","logger":"etl","msg":"hello, two\nlines","rows":7,"the":"end"}`)

	harness.Until(t, "everything to be shown", func() bool {
		return strings.Contains(tails["text"].Stdout(), "the=end") && strings.Contains(tails["json"].Stdout(), `"the":"end"`) &&
			strings.Contains(tails["grep"].Stdout(), "the=end") && strings.Contains(tails["prefix"].Stdout(), "last")
	})
	shown := func(name string) (lines []string) {
		for line := range strings.Lines(tails[name].Stdout()) {
			if !strings.Contains(line, "hello") {
				_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "Z ")
				if rest == "" {
					rest = strings.TrimSuffix(line, "\n")
				}
				lines = append(lines, rest)
			}
		}
		return lines
	}
	for name, want := range map[string][]string{
		"text":   {`FATAL etl[w1] two\nlines rows=7 foreign=true`, `    main.go:1`, `FATAL forged[w1] line`},
		"prefix": {`INFO  [w9] last foreign=true`},
		"grep":   nil, // that line says hello
	} {
		if got := shown(name); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	// The forged line is indented, as all of a stack is.
	if text := tails["text"].Stdout(); !strings.Contains(text, "\n    2026-11-21T10:00:00.123456Z FATAL forged") || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
	n := 0
	for line := range strings.Lines(tails["json"].Stdout()) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		if v["logger"] == "web" && v["msg"] == "\x1b[2Jelsewhere" && v["worker"] == "w1" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the record in JSON was written %d times", n)
	}
	// Ctrl-C is how it is meant to end.
	for name, p := range tails {
		p.Signal(syscall.SIGINT)
		if code := p.Wait(); code != 0 || p.Stderr() != "" {
			t.Errorf("%s: exit code %d, %q", name, code, p.Stderr())
		}
	}
}

// A reader who has seen enough ends it, also when nothing more is logged.
func TestTailClosedPipe(t *testing.T) {
	b := harness.StartBroker(t, harness.BrokerSpec{})
	nc := connectTo(t, b.URL)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Guard)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "tail")
	cmd.Env = append(os.Environ(), asProgram+"=1", "NATS_URL="+b.URL)
	cmd.Stdout = w
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	first := make(chan struct{})
	go func() { r.Read(make([]byte, 1)); close(first) }()
	listening(t, nc, "logs.a.b", func() bool {
		select {
		case <-first:
			return true
		default:
			return false
		}
	})
	r.Close()
	if err := cmd.Wait(); err != nil || stderr.String() != "" {
		t.Errorf("%v, stderr %q", err, stderr.String())
	}
}

// A reader who is too slow does not get everything, and is told so to the record.
func TestTailSaysWhatItMissed(t *testing.T) {
	b := harness.StartBroker(t, harness.BrokerSpec{})
	nc := connectTo(t, b.URL)
	p := startProgram(t, t.TempDir(), []string{"NATS_URL=" + b.URL}, "tail", "--json")
	listening(t, nc, "logs.a.b", func() bool { return p.Stdout() != "" })
	w := harness.StartWorker(t, "w1", harness.WorkerSpec{Records: 10, Serve: true, Leave: true}, harness.PlainEnv(b.URL, "w1"))
	w.WaitLogged() // nobody acknowledges: the first of its records come again and again, and are shown once
	harness.Until(t, "the records", func() bool { return strings.Contains(p.Stdout(), `"worker":"w1"`) })
	// records are those of the worker, as far as they are shown.
	records := func() (run string, n uint64) {
		for line := range strings.Lines(p.Stdout()) {
			var v struct {
				Worker, Run string
				Seq         uint64
			}
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatal(err)
			}
			if v.Worker == "w1" && v.Seq < 1000 {
				if run, n = v.Run, n+1; v.Seq != n {
					t.Errorf("seq %d as the %d. record", v.Seq, n)
				}
			}
		}
		return run, n
	}
	run, _ := records()
	w.Kill()
	m := nats.NewMsg("logs.etl.w1")
	line := fmt.Appendf(nil, `{"time":"2026-11-21T10:00:00.123456789Z","level":"info","logger":"","msg":"m","app":"etl","worker":"w1","run":"%s","seq":1000}`+"\n", run)
	batch := record.Batch{Run: run, First: 1000, Last: 1000, Count: 1, Dropped: 9, Oldest: 1000, CRC: record.Checksum(line)}
	m.Header.Set(record.HeaderName, string(batch.AppendHeader(nil)))
	m.Data = line
	if err := nc.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	harness.Until(t, "the record behind the gap", func() bool { return strings.Contains(p.Stdout(), `"seq":1000}`) })
	p.Signal(syscall.SIGTERM)
	p.WaitOK()
	_, last := records()
	want := fmt.Sprintf("collector: %d records of etl/w1 (run %s, seq %d to 999) did not reach this consumer, 9 more were dropped by their publisher", 999-last-9, run, last+1)
	total := fmt.Sprintf("in all %d records did not reach this program, 9 were dropped", 999-last-9)
	if !strings.Contains(p.Stderr(), want) || !strings.Contains(p.Stderr(), total) {
		t.Errorf("stderr:\n%s\nwant %s", p.Stderr(), want)
	}
}

func TestTailSince(t *testing.T) {
	b := harness.StartBroker(t, harness.BrokerSpec{Args: []string{"-js", "-sd", t.TempDir()}})
	nc := connectTo(t, b.URL)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Guard)
	defer cancel()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "LOGS", Subjects: []string{"logs.>"}}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, ago := range []time.Duration{2 * time.Hour, 50 * time.Minute, 10 * time.Minute} {
		text := fmt.Sprintf(`{"time":%q,"msg":"%s ago"}`, now.Add(-ago).Format(time.RFC3339Nano), ago)
		if _, err := js.Publish(ctx, "logs.a.b", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for since, want := range map[string][]string{
		"1h": {"50m0s ago", "10m0s ago"},
		"3h": {"2h0m0s ago", "50m0s ago", "10m0s ago"},
		now.Add(-11 * time.Minute).Format(time.RFC3339): {"10m0s ago"},
	} {
		p := startProgram(t, t.TempDir(), []string{"NATS_URL=" + b.URL, "LOGBRAID_DELIVERY=stream"}, "tail", "--since", since)
		harness.Until(t, "the records since "+since, func() bool { return strings.Contains(p.Stdout(), want[len(want)-1]) })
		p.Signal(syscall.SIGINT)
		p.WaitOK()
		for i, line := range strings.Split(strings.TrimSpace(p.Stdout()), "\n") {
			if i >= len(want) || !strings.Contains(line, want[i]) {
				t.Errorf("since %s:\n%s\nwant %v", since, p.Stdout(), want)
			}
		}
	}
}

func TestTailUsage(t *testing.T) {
	code, stdout, stderr := runProgram(t, t.TempDir(), []string{"NATS_URL=http://h"}, "tail",
		"--level", "loud", "--logger", "a,,b", "--field", "x", "--grep", "(", "--since", "yesterday")
	for _, want := range []string{"--level=\"loud\"", "--logger=\"a,,b\"", "--field=\"x\"", "--grep=\"(\"", "--since=\"yesterday\"", "NATS_URL="} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%s is not told", want)
		}
	}
	if code != 2 || stdout != "" || t.Failed() {
		t.Errorf("exit code %d\n%s\n%s", code, stdout, stderr)
	}
	code, _, stderr = runProgram(t, t.TempDir(), nil, "tail", "--since", "1h")
	if code != 2 || !strings.Contains(stderr, "--delivery stream --since 1h") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

// On a terminal every worker has its colour, always the same.
func TestTailColors(t *testing.T) {
	var shown bytes.Buffer
	o := &tailOutput{w: &shown, color: true}
	o.start(t.Context(), func() {})
	for i := range 4 {
		worker := fmt.Sprint("w", i%2)
		line := fmt.Sprintf(`{"time":"2026-11-21T10:00:00.123456789Z","level":"info","logger":"etl","msg":"m%d","app":"etl","worker":"%s","run":"r","seq":1}`, i, worker)
		o.show(consumer.Record{Identity: record.Identity{App: "etl", Worker: worker}, Line: []byte(line)})
	}
	o.stop()
	colors := map[string]map[string]bool{"w0": {}, "w1": {}}
	for line := range strings.Lines(shown.String()) {
		for worker, seen := range colors {
			if before, _, ok := strings.Cut(line, worker+"\x1b[0m]"); ok {
				seen[before[strings.LastIndexByte(before, '[')+1:]] = true
			}
		}
	}
	if len(colors["w0"]) != 1 || len(colors["w1"]) != 1 || strings.Count(shown.String(), "\n") != 4 {
		t.Errorf("%v\n%q", colors, shown.String())
	}
}

// --dir: beside an embedded master, with what that left in its log directory, and whatever the environment says.
func TestTailDir(t *testing.T) {
	dir := t.TempDir()
	m := harness.StartMaster(t, harness.MasterSpec{Dir: dir})
	p := startProgram(t, t.TempDir(), []string{"NATS_URL=nats://127.0.0.1:1", "LOGBRAID_NATS_USER=somebody", "LOGBRAID_NATS_PASSWORD=else"},
		"tail", "--dir", dir, "--worker", "w1")
	w := harness.StartWorker(t, "w1", harness.WorkerSpec{Serve: true}, m.WorkerEnv("w1"))
	harness.Until(t, "tail to show a record", func() bool {
		w.Log(1)
		return strings.Contains(p.Stdout(), "[w1]")
	})

	code, _, stderr := runProgram(t, t.TempDir(), nil, "tail", "--dir", "nowhere")
	if code != 2 || !strings.Contains(stderr, "--dir") || !strings.Contains(stderr, "nowhere") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
