//go:build unix

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

func connect(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(harness.Guard))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// read decodes every line of a JSON file.
func read(t *testing.T, path string) []map[string]any {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range bytes.Lines(b) {
		var v map[string]any
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("%s: %v: %q", path, err, line)
		}
		all = append(all, v)
	}
	return all
}

// What any NATS client publishes, with JSON and without, becomes a record that is marked as foreign.
func TestForeignRecords(t *testing.T) { both(t, foreignRecords) }

// both runs a test over both deliveries.
func both(t *testing.T, test func(t *testing.T, delivery string)) {
	for _, delivery := range []string{"direct", "stream"} {
		t.Run(delivery, func(t *testing.T) { test(t, delivery) })
	}
}

func foreignRecords(t *testing.T, delivery string) {
	dir := t.TempDir()
	b := harness.StartBroker(t, harness.BrokerSpec{Store: t.TempDir()})
	handlers, logs := harness.Logs(dir)
	c := harness.StartCollector(t, harness.CollectorSpec{URL: b.URL, Dir: dir, Handlers: handlers, Delivery: delivery})
	nc := connect(t, b.URL)
	for _, payload := range []string{
		`{"msg":"hi","level":"WARN","n":7}`,
		`{"asctime":"2023-11-14 22:13:20,250","levelname":"ERROR","name":"jobs","message":"from python"}`,
		`just text, with "quotes" and a ` + "\x1b[2J",
		``,
		`{"msg":"broken`,
		"two\nlines",
	} {
		if err := nc.Publish("logs.shell.host1", []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	harness.Until(t, "the foreign records to be committed", func() bool { return c.Stats().Foreign >= 5 })
	c.Stop()
	if r := harness.Check(t, t.TempDir(), logs...); r[0].Foreign < 5 {
		t.Errorf("%d foreign records in the file", r[0].Foreign)
	}
	found := map[string]map[string]any{}
	for _, r := range read(t, logs[0].Path) {
		if r["foreign"] == true {
			if r["app"] != "shell" || r["worker"] != "host1" {
				t.Errorf("foreign record of %v/%v", r["app"], r["worker"])
			}
			found[fmt.Sprint(r["msg"])] = r
		}
	}
	if r := found["hi"]; r == nil || r["level"] != "warn" || r["n"] != 7.0 {
		t.Errorf("the JSON record became %v", r)
	}
	if r := found["from python"]; r == nil || r["level"] != "error" || r["logger"] != "jobs" || r["time"] != "2023-11-14T22:13:20.250000000Z" {
		t.Errorf("the Python record became %v", r)
	}
	if r := found[`just text, with "quotes" and a `+"\x1b[2J"]; r == nil || r["level"] != "info" {
		t.Errorf("the text became %v in %v", r, found)
	}
}

// Messages that lie are counted and kept beside the log, and the log goes on.
func TestGarbageIsRejected(t *testing.T) { both(t, garbageIsRejected) }

func garbageIsRejected(t *testing.T, delivery string) {
	dir, ledgers := t.TempDir(), t.TempDir()
	b := harness.StartBroker(t, harness.BrokerSpec{Store: t.TempDir()})
	handlers, logs := harness.Logs(dir)
	c := harness.StartCollector(t, harness.CollectorSpec{URL: b.URL, Dir: dir, Handlers: handlers, Delivery: delivery})
	w := harness.StartWorker(t, "w1", harness.WorkerSpec{Ledger: ledgers, Records: 100, Serve: true}, harness.PlainEnv(b.URL, "w1", "LOGBRAID_DELIVERY="+delivery))
	w.WaitLogged()
	nc := connect(t, b.URL)
	headers := []string{
		"", "1", "nonsense", "2 run=AAAAAAAAAA first=1 last=1 count=1 dropped=0 oldest=1 crc=00000000",
		"1 run=AAAAAAAAAA first=1 last=1 count=1 dropped=0 oldest=1 crc=00000000",
		"1 run=AAAAAAAAAA first=18446744073709551615 last=1 count=2147483648 dropped=0 oldest=1 crc=00000000",
		"1 run=AAAAAAAAAA first=1 last=1 count=-1 dropped=0 oldest=1 crc=00000000",
		"1 run=AAAAAAAAAA first=1 last=1 count=1 dropped=0 oldest=1 crc=00000000 enc=s2",
		"1 run=AAAAAAAAAA first=1 last=1 count=1 dropped=0 oldest=1 crc=00000000 enc=zip",
	}
	for _, h := range headers {
		m := nats.NewMsg("logs.etl.w1")
		m.Header.Set("Logbraid", h)
		m.Data = []byte("{\"level\":\"error\",\"msg\":\"forged\"}\n")
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	harness.Until(t, "the garbage to be counted", func() bool { return c.Stats().Rejected == uint64(len(headers)) })
	report := w.Finish()
	c.CatchUp()
	count(t, c.Stats(), []harness.WorkerReport{report})
	c.Stop()
	harness.Check(t, ledgers, logs...)
	kept := read(t, filepath.Join(dir, "rejected.jsonl"))
	if len(kept) != len(headers) {
		t.Fatalf("%d of %d messages in rejected.jsonl", len(kept), len(headers))
	}
	for i, r := range kept {
		for _, key := range []string{"time", "subject", "reason", "header", "payload"} {
			if _, ok := r[key]; !ok {
				t.Errorf("rejected message %d has no %s: %v", i, key, r)
			}
		}
		if r["subject"] != "logs.etl.w1" || r["reason"] == "" {
			t.Errorf("rejected message %d: %v", i, r)
		}
	}
}

// What nats sub --raw 'logs.>' shows is newline-delimited JSON: a bare subscription and encoding/json read it.
func TestPlainSubscriber(t *testing.T) { both(t, plainSubscriber) }

func plainSubscriber(t *testing.T, delivery string) {
	dir, ledgers := t.TempDir(), t.TempDir()
	b := harness.StartBroker(t, harness.BrokerSpec{Store: t.TempDir()})
	c := harness.StartCollector(t, harness.CollectorSpec{URL: b.URL, Dir: dir, Delivery: delivery})
	stream, err := os.Create(filepath.Join(t.TempDir(), "stream.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	nc := connect(t, b.URL)
	messages := make(chan *nats.Msg, 10_000)
	if _, err := nc.ChanSubscribe("logs.>", messages); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	w := harness.StartWorker(t, "w1", harness.WorkerSpec{Ledger: ledgers, Records: 2_000, Payload: 80}, harness.PlainEnv(b.URL, "w1", "LOGBRAID_DELIVERY="+delivery))
	var stats publisher.Stats
	if err := json.Unmarshal(w.Report().Stats, &stats); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil { // what the worker sent stands before the answer
		t.Fatal(err)
	}
	c.Stop()
	out := bufio.NewWriter(stream)
	seen := map[string]bool{}
	for len(messages) > 0 {
		m := <-messages
		for d := json.NewDecoder(bytes.NewReader(m.Data)); d.More(); {
			var v map[string]any
			if err := d.Decode(&v); err != nil {
				t.Fatalf("%v in %q", err, m.Data)
			}
		}
		if n := len(m.Data); n > 0 && m.Data[n-1] != '\n' {
			t.Errorf("a message ends in %q", m.Data[n-1])
		}
		for line := range bytes.Lines(m.Data) {
			// What is answered late is sent again, the same to the byte (I1), though maybe not in the same messages. Where the worker
			// has sent nothing again, nothing may come twice.
			if stats.Resent > 0 && seen[string(line)] {
				continue
			}
			seen[string(line)] = true
			out.Write(line)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	// The stream is itself a log that the checker can judge.
	harness.Check(t, ledgers, checker.Destination{Path: stream.Name()})
}

// Batches that are compressed on their way take a part of the network, and the log is the same.
func TestCompressed(t *testing.T) { both(t, compressed) }

func compressed(t *testing.T, delivery string) {
	dir, ledgers := t.TempDir(), t.TempDir()
	b := harness.StartBroker(t, harness.BrokerSpec{Store: t.TempDir()})
	handlers, logs := harness.Logs(dir)
	c := harness.StartCollector(t, harness.CollectorSpec{URL: b.URL, Dir: dir, Handlers: handlers, Delivery: delivery})
	nc := connect(t, b.URL)
	messages := make(chan *nats.Msg, 10_000)
	if _, err := nc.ChanSubscribe("logs.>", messages); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"w1": "s2", "w2": "none"}
	var reports []harness.WorkerReport
	for worker, compression := range env {
		// Each record is long enough to be compressed by itself, however few come together.
		w := harness.StartWorker(t, worker, harness.WorkerSpec{Ledger: ledgers, Records: 2_000, Payload: 3_000},
			harness.PlainEnv(b.URL, worker, "LOGBRAID_DELIVERY="+delivery, "LOGBRAID_BATCH_COMPRESSION="+compression))
		reports = append(reports, w.Report())
	}
	if err := nc.Flush(); err != nil { // what the workers sent stands before the answer
		t.Fatal(err)
	}
	c.CatchUp()
	count(t, c.Stats(), reports)
	c.Stop()
	harness.Check(t, ledgers, logs...)
	// By record, for what is answered late is sent again.
	size, records := map[string]int{}, map[string]int{}
	for len(messages) > 0 {
		m := <-messages
		batch, err := record.ParseBatch(m.Header.Get(record.HeaderName))
		if err != nil {
			t.Fatal(err)
		}
		size[m.Subject] += len(m.Data)
		records[m.Subject] += batch.Count
	}
	for worker := range env {
		if n := records["logs.etl."+worker]; n < 2_000 {
			t.Fatalf("%d of 2000 records of %s were heard", n, worker)
		}
	}
	blocks, plain := size["logs.etl.w1"]/records["logs.etl.w1"], size["logs.etl.w2"]/records["logs.etl.w2"]
	if blocks == 0 || blocks > plain-plain/8 {
		t.Errorf("a record takes %d bytes compressed, %d as it is", blocks, plain)
	}
}
