//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/status"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/freeport"
	"github.com/logbraid/logbraid/tests/harness"
)

// collecting starts a broker and the program, and waits until it collects.
func collecting(t *testing.T, env []string, args ...string) (p *harness.Process, broker *harness.Broker, dir string) {
	t.Helper()
	broker = harness.StartBroker(t, harness.BrokerSpec{})
	dir = t.TempDir()
	p = startProgram(t, dir, append([]string{"LOGBRAID_NATS_URL=" + broker.URL}, env...), args...)
	untilStderr(t, p, "msg=collecting")
	return p, broker, dir
}

func untilStderr(t *testing.T, p *harness.Process, text string) {
	t.Helper()
	harness.Until(t, fmt.Sprintf("%q on standard error", text), func() bool {
		return strings.Contains(p.Stderr(), text) || p.Exited()
	})
	if !strings.Contains(p.Stderr(), text) {
		t.Fatalf("ended without %q:\n%s", text, p.Output())
	}
}

// say publishes foreign records, as "nats pub" would.
func say(t *testing.T, url string, messages ...string) {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(harness.Guard))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, m := range messages {
		if err := nc.Publish("logs.etl.w1", []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func untilFile(t *testing.T, path, text string) {
	t.Helper()
	harness.Until(t, fmt.Sprintf("%q in %s", text, path), func() bool {
		b, _ := os.ReadFile(path)
		return strings.Contains(string(b), text)
	})
}

// With nothing but a server's address there are a JSON file, a text file and
// warnings on the console; SIGTERM ends the program in good order and says so.
func TestRun(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			p, broker, dir := collecting(t, nil)
			say(t, broker.URL, `{"msg":"row loaded","level":"info"}`, `{"msg":"disk nearly full","level":"warn"}`)
			untilFile(t, filepath.Join(dir, "logs", "app.jsonl"), `"msg":"disk nearly full"`)
			untilFile(t, filepath.Join(dir, "logs", "app.log"), "row loaded")
			untilStderr(t, p, "disk nearly full")
			// What is published before the signal is in the files afterwards.
			say(t, broker.URL, `{"msg":"the last one"}`)
			p.Signal(sig)
			p.WaitOK()
			untilFile(t, filepath.Join(dir, "logs", "app.jsonl"), `"msg":"the last one"`)
			for _, want := range []string{"stopping: writing what has arrived", "3 foreign records", "total", "stopped after"} {
				if !strings.Contains(p.Stderr(), want) {
					t.Errorf("%q is missing in:\n%s", want, p.Stderr())
				}
			}
			if p.Stdout() != "" {
				t.Errorf("on standard output: %s", p.Stdout())
			}
			if _, err := os.Lstat(filepath.Join(dir, "logs", ".logbraid", "collector.sock")); !os.IsNotExist(err) {
				t.Errorf("the socket is left: %v", err)
			}
		})
	}
}

// Without its server the program waits, says why, and can be interrupted.
func TestRunWithoutServer(t *testing.T) {
	url := fmt.Sprintf("nats://127.0.0.1:%d", freeport.Get(t))
	p := startProgram(t, t.TempDir(), nil, "run", "--nats-url", url)
	untilStderr(t, p, "NATS connection")
	p.Signal(syscall.SIGINT)
	if code := p.Wait(); code != 1 || !strings.Contains(p.Stderr(), "interrupted while starting") {
		t.Errorf("exit code %d:\n%s", code, p.Stderr())
	}
}

// A signal that comes later, while the program is still busy with its end, quits at
// once.
func TestSecondSignalQuits(t *testing.T) {
	p, broker, _ := collecting(t, []string{"LOGBRAID_CLOSE_TIMEOUT=10m"})
	broker.Pause() // so that the end of the subscription is never confirmed
	p.Signal(syscall.SIGINT)
	untilStderr(t, p, "stopping")
	began := time.Now()
	harness.Until(t, "the program to quit", func() bool {
		if time.Since(began) > 2*samePress {
			p.Signal(syscall.SIGTERM)
		}
		return p.Exited()
	})
	if code := p.Wait(); code != 1 || !strings.Contains(p.Stderr(), "quit without waiting") {
		t.Errorf("exit code %d:\n%s", code, p.Stderr())
	}
}

// A storm of signals ends the program as one does.
//
// What comes within samePress counts as one, by the program's own clock. On a busy
// machine it may come to read the last of the storm later than that, and then it
// has to quit; so it may try again.
func TestStormOfSignals(t *testing.T) {
	for range 20 {
		if p := storm(t); p.ProcessState().Success() {
			return
		} else if !strings.Contains(p.Stderr(), "quit without waiting") {
			t.Fatalf("%v:\n%s", p.State(), p.Stderr())
		}
	}
	t.Error("a storm of signals makes the program quit")
}

func storm(t *testing.T) *harness.Process {
	t.Helper()
	p, broker, dir := collecting(t, nil)
	say(t, broker.URL, `{"msg":"before the storm"}`)
	for range 20 {
		p.Signal(syscall.SIGHUP)
	}
	for range 5 {
		p.Signal(syscall.SIGTERM)
		p.Signal(syscall.SIGHUP)
		p.Signal(syscall.SIGINT)
	}
	if p.Wait() == 0 {
		untilFile(t, filepath.Join(dir, "logs", "app.jsonl"), "before the storm")
	}
	return p
}

// Row 38 of the fault matrix: storms of signals while a worker logs. They end the program, in good order or at once, or, of SIGHUP
// alone, only make it reopen its files; its successor goes on: nothing lost, twice, out of order or torn.
func TestFault38StormUnderLoad(t *testing.T) {
	p, broker, dir := collecting(t, nil)
	ledgers := t.TempDir()
	w := harness.StartWorker(t, "w1", harness.WorkerSpec{Ledger: ledgers, Serve: true, Burst: 20, Every: time.Millisecond, Payload: 60},
		harness.PlainEnv(broker.URL, "w1", "LOGBRAID_OVERFLOW=block", "LOGBRAID_BLOCK_TIMEOUT=10m"))
	for _, storm := range [][]syscall.Signal{
		{syscall.SIGHUP}, {syscall.SIGTERM}, {syscall.SIGINT}, {syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT}, {syscall.SIGINT, syscall.SIGHUP},
	} {
		w.BeginLog(1000)
		for i := 0; i < 300 && !p.Exited(); i++ {
			p.Signal(storm[i%len(storm)])
		}
		if len(storm) == 1 && storm[0] == syscall.SIGHUP {
			w.WaitLogged()
			continue
		}
		if code := p.Wait(); code != 0 && !(code == 1 && strings.Contains(p.Stderr(), "quit without waiting")) {
			t.Fatalf("%v: ended with %v\n%s", storm, p.State(), p.Stderr())
		}
		p = startProgram(t, dir, []string{"LOGBRAID_NATS_URL=" + broker.URL})
		untilStderr(t, p, "msg=collecting")
		w.WaitLogged()
	}
	if report := w.Finish(); report.Close != "" || report.Dropped != 0 {
		t.Errorf("%+v", report)
	}
	p.Signal(syscall.SIGTERM)
	p.WaitOK()
	harness.Check(t, ledgers, checker.Destination{Path: filepath.Join(dir, "logs", "app.jsonl")},
		checker.Destination{Path: filepath.Join(dir, "logs", "app.log"), Format: checker.Text})
}

func TestHangupReopens(t *testing.T) {
	p, broker, dir := collecting(t, nil, "--handler", "json://logs/a.jsonl")
	path := filepath.Join(dir, "logs", "a.jsonl")
	say(t, broker.URL, `{"msg":"first"}`)
	untilFile(t, path, "first")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	p.Signal(syscall.SIGHUP)
	untilStderr(t, p, "reopened all files")
	say(t, broker.URL, `{"msg":"second"}`)
	untilFile(t, path, "second")
	if b, _ := os.ReadFile(path); strings.Contains(string(b), "first") {
		t.Error("the old file is still used")
	}
}

// One collector at a time may use a directory; the second says who does.
func TestTwoCollectors(t *testing.T) {
	p, broker, dir := collecting(t, nil)
	code, _, stderr := runProgram(t, dir, []string{"LOGBRAID_NATS_URL=" + broker.URL})
	if code != 1 || !strings.Contains(stderr, fmt.Sprintf("process %d", p.Pid())) {
		t.Errorf("exit code %d; the first is process %d:\n%s", code, p.Pid(), stderr)
	}
	// The first is none the worse for it.
	say(t, broker.URL, `{"msg":"still here"}`)
	untilFile(t, filepath.Join(dir, "logs", "app.jsonl"), "still here")
	if code, _, stderr := runProgram(t, dir, nil, "healthcheck"); code != 0 {
		t.Errorf("healthcheck: %d, %s", code, stderr)
	}
	p.Signal(syscall.SIGTERM)
	p.WaitOK()
}

func TestHealthcheck(t *testing.T) {
	dir := t.TempDir()
	if code, _, stderr := runProgram(t, dir, nil, "healthcheck"); code != 1 || !strings.Contains(stderr, "no collector is running on logs") {
		t.Errorf("without a collector: %d, %s", code, stderr)
	}
	p, broker, dir := collecting(t, []string{"LOGBRAID_DIR=var/log"})
	env := []string{"LOGBRAID_DIR=var/log"}
	if code, stdout, stderr := runProgram(t, dir, env, "healthcheck"); code != 0 || stdout != "ok" {
		t.Errorf("with a collector: %d, %q, %s", code, stdout, stderr)
	}
	broker.Kill()
	harness.Until(t, "an unhealthy collector", func() bool {
		code, _, stderr := runProgram(t, dir, env, "healthcheck")
		return code == 1 && strings.Contains(stderr, "not connected to NATS")
	})
	broker.Restart()
	harness.Until(t, "a healthy collector", func() bool {
		code, _, _ := runProgram(t, dir, env, "healthcheck")
		return code == 0
	})
	p.Kill()
	if code, _, stderr := runProgram(t, dir, env, "healthcheck"); code != 1 || !strings.Contains(stderr, "no collector is running") {
		t.Errorf("after kill -9: %d, %s", code, stderr)
	}
}

func TestStats(t *testing.T) {
	p, broker, dir := collecting(t, nil, "--metrics", "0")
	pub, err := publisher.New(publisher.Config{App: "etl", Worker: "w1", Conn: publisher.Connection{URL: broker.URL}, CloseTimeout: harness.Guard})
	if err != nil {
		t.Fatal(err)
	}
	log := pub.Named("load")
	for range 10 {
		log.Info("row loaded")
	}
	if err := pub.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	say(t, broker.URL, `{"msg":"one"}`, `{"msg":"two"}`)
	var r status.Report
	harness.Until(t, "two foreign records in the stats", func() bool {
		code, stdout, stderr := runProgram(t, dir, nil, "stats", "--json")
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatalf("%v in %s", err, stdout)
		}
		return r.Foreign == 2
	})
	if r.PID != p.Pid() || r.Dir != filepath.Join(dir, "logs") || !r.Connected || len(r.Handlers) != 3 {
		t.Errorf("report %+v", r)
	}
	if want := (status.Totals{Logged: 10, Written: 10}); r.Totals != want || len(r.Runs) != 1 || r.Runs[0].Totals != want {
		t.Errorf("of ten records: %+v, %+v", r.Totals, r.Runs)
	}
	_, table, _ := runProgram(t, dir, nil, "stats")
	if !strings.Contains(table, "etl/w1 "+pub.Identity().Run+" (ended)") || !strings.Contains(table, "json://logs/app.jsonl") || !strings.Contains(table, "2 foreign records") {
		t.Errorf("table:\n%s", table)
	}

	// The same from elsewhere, by the metrics address.
	m := regexp.MustCompile(`serving metrics" address=(127\.0\.0\.1:\d+)`).FindStringSubmatch(p.Stderr())
	if m == nil {
		t.Fatalf("no metrics address on loopback in:\n%s", p.Stderr())
	}
	if code, _, stderr := runProgram(t, t.TempDir(), nil, "stats", "--metrics", m[1]); code != 0 {
		t.Errorf("by address: %d, %s", code, stderr)
	}
	get := func(path string) (int, string) {
		resp, err := http.Get("http://" + m[1] + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if code, body := get("/healthz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("/healthz: %d %s", code, body)
	}
	code, body := get("/metrics")
	for _, want := range []string{
		"\nlogbraid_records_foreign_total 2\n", "\nlogbraid_connected 1\n", "\nlogbraid_stalled 0\n",
		"\nlogbraid_records_written_total 10\n",
		"logbraid_handler_records_total{handler=\"json://logs/app.jsonl\"} ", "process_open_fds", "go_goroutines",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics (%d) lacks %q", code, want)
		}
	}
}

// An address that is taken is found out before anything is started.
func TestMetricsAddressTaken(t *testing.T) {
	first, broker, _ := collecting(t, nil, "--metrics", "0")
	m := regexp.MustCompile(`serving metrics" address=(\S+)`).FindStringSubmatch(first.Stderr())
	dir := t.TempDir()
	code, _, stderr := runProgram(t, dir, nil, "--nats-url", broker.URL, "--metrics", m[1])
	if code != 1 || !strings.Contains(stderr, m[1]) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("something was made: %v", entries)
	}
}

// A reader of standard output that goes away does not take the log with it.
func TestClosedStandardOutput(t *testing.T) {
	broker := harness.StartBroker(t, harness.BrokerSpec{})
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := harness.Start(t, harness.Command{
		Name: "collector | true",
		Args: []string{"sh", "-c", `"$0" run --handler console://stdout --handler json://logs/app.jsonl | true; echo done`, exe},
		Env:  []string{asProgram + "=1", "LOGBRAID_NATS_URL=" + broker.URL},
		Dir:  dir,
	})
	untilStderr(t, p, "msg=collecting")
	for i := range 20 {
		say(t, broker.URL, fmt.Sprintf(`{"msg":"record %d"}`, i))
		untilFile(t, filepath.Join(dir, "logs", "app.jsonl"), fmt.Sprintf("record %d", i))
	}
	if code, _, stderr := runProgram(t, dir, nil, "healthcheck"); code != 0 {
		t.Errorf("healthcheck: %d, %s", code, stderr)
	}
	var r status.Report
	_, stdout, _ := runProgram(t, dir, nil, "stats", "--json")
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	collector, err := os.FindProcess(r.PID)
	if err != nil {
		t.Fatal(err)
	}
	if err := collector.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.WaitOK()
}

// No credential appears in anything that the program prints or leaves behind.
func TestNoCredentialInOutput(t *testing.T) {
	const secret = "s3cr3t"
	broker := harness.StartBroker(t, harness.BrokerSpec{Args: []string{"--user", "u", "--pass", secret}})
	dir := t.TempDir()
	url := strings.Replace(broker.URL, "nats://", "nats://u:"+secret+"@", 1)
	p := startProgram(t, dir, nil, "run", "--nats-url", url, "--diagnostics", "debug")
	untilStderr(t, p, "msg=collecting")
	broker.Kill()
	untilStderr(t, p, "NATS connection")
	_, stats, _ := runProgram(t, dir, nil, "stats", "--json")
	_, config, _ := runProgram(t, dir, []string{"LOGBRAID_NATS_URL=" + url, "LOGBRAID_NATS_TOKEN=" + secret}, "config")
	p.Signal(syscall.SIGTERM)
	p.Wait()
	for what, text := range map[string]string{"stderr": p.Stderr(), "stats": stats, "config": config} {
		if strings.Contains(text, secret) {
			t.Errorf("%s holds the password:\n%s", what, text)
		}
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), secret) {
			t.Errorf("%s holds the password", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
