//go:build unix

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/pkg/collector"
	"github.com/logbraid/logbraid/tests/harness"
)

// client is a plain NATS connection.
func client(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(harness.Guard))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// A lie is a message that does not hold together.
type lie struct{ what, subject, header, payload string }

// lies makes them out of a genuine message, which alone knows the run.
func lies(subject, header, payload string) []lie {
	var all []lie
	add := func(what, subject, header, payload string) {
		all = append(all, lie{what, subject, header, payload})
	}
	set := func(key, value string) string {
		return regexp.MustCompile(` `+key+`=[^ ]*`).ReplaceAllString(header, " "+key+"="+value)
	}
	// sealed has the checksum that fits: whoever can reach the subject can compute one.
	sealed := func(header, payload string) string {
		sum := fmt.Sprintf("%08x", crc32.Checksum([]byte(payload), crc32.MakeTable(crc32.Castagnoli)))
		return regexp.MustCompile(` crc=[^ ]*`).ReplaceAllString(header, " crc="+sum)
	}
	for _, version := range []string{"", "0", "2", "01", "1.0", "999999999999999999999"} {
		add("version", subject, version+strings.TrimPrefix(header, "1"), payload)
	}
	for _, key := range []string{"run", "first", "last", "count", "dropped", "oldest", "crc"} {
		add("no "+key, subject, set(key, ""), payload)
		add("empty "+key, subject, strings.Replace(header, " "+key+"=", " "+key+"= ", 1), payload)
		add("twice "+key, subject, header+" "+key+"=1", payload)
		if key != "run" {
			for _, n := range []string{"-1", "18446744073709551615", "18446744073709551616", "9223372036854775806", "2147483648", "0x1", "1e3", "+1", " 1"} {
				add(key+" "+n, subject, set(key, n), payload)
			}
		}
	}
	add("unknown field", subject, header+" more=1", payload)
	add("long header", subject, header+strings.Repeat(" more=1", 10_000), payload)
	add("end with payload", subject, header+" end=1", payload)
	add("forged run", subject, set("run", "AAAAAAAAAA"), payload)
	add("wrong CRC", subject, set("crc", "00000000"), payload)
	add("another worker's subject", subject+"x", header, payload)
	add("another program's subject", "logs.other.w1", header, payload)
	add("too long a subject", subject+".more", header, payload)
	for n := range 40 {
		cut := len(payload) * n / 40
		add("cut", subject, header, payload[:cut])
		add("cut and sealed", subject, sealed(header, payload[:cut]), payload[:cut])
		flipped := []byte(payload)
		flipped[cut] ^= 1
		add("flipped", subject, header, string(flipped))
	}
	for what, forged := range map[string]string{
		"worker in the line":     strings.ReplaceAll(payload, `"worker":"w1"`, `"worker":"w2"`),
		"app in the line":        strings.ReplaceAll(payload, `"app":"etl"`, `"app":"lte"`),
		"run in the line":        strings.ReplaceAll(payload, `"run":"`, `"run":"A`),
		"seq in the line":        strings.ReplaceAll(payload, `"seq":`, `"seq":1`),
		"lines in another order": reversed(payload),
		"no last newline":        strings.TrimSuffix(payload, "\n"),
		"an empty line":          payload + "\n",
		"another line's head":    strings.ReplaceAll(payload, `{"time":"`, `{"emit":"`),
	} {
		add(what, subject, sealed(header, forged), forged)
	}
	random := rand.New(rand.NewPCG(31, 31))
	for range 100 {
		noise := make([]byte, random.IntN(300))
		for i := range noise {
			noise[i] = byte(random.IntN(256))
		}
		text := strings.NewReplacer("\r", "", "\n", "").Replace(string(bytes.ToValidUTF8(noise, nil)))
		add("noise", subject, text, string(noise))
	}
	return all
}

func reversed(payload string) string {
	lines := strings.SplitAfter(payload, "\n")
	sort.Sort(sort.Reverse(sort.StringSlice(lines)))
	return strings.Join(lines, "")
}

// Row 31: garbage, truncated and corrupted messages, wrong versions and forged identities on the subject, made of a genuine
// message of the very run. Each is counted and kept aside, and I4's table is as before: the run goes on where it was.
func TestFault31Garbage(t *testing.T) { both(t, garbled) }

func garbled(t *testing.T, delivery string) {
	r := newRig(t, delivery, setup{})
	nc := client(t, r.broker.URL)
	messages, err := nc.SubscribeSync("logs.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	w := r.worker("w1", harness.WorkerSpec{Payload: 60})
	r.broker.Pause() // meanwhile records gather for a message of several
	w.Log(20)
	r.broker.Continue()
	w.Flush()
	var genuine *nats.Msg
	for genuine == nil || bytes.Count(genuine.Data, []byte("\n")) < 5 {
		if genuine, err = messages.NextMsg(harness.Guard); err != nil {
			t.Fatal(err)
		}
	}
	if err := messages.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	w.Log(2) // somewhere behind what the garbage is about
	r.written(w)
	before, already := table(r), r.collector.Stats()
	sent := lies(genuine.Subject, genuine.Header.Get("Logbraid"), string(genuine.Data))
	if delivery == "stream" { // which takes no message with more than 64 KiB of headers
		sent = slices.DeleteFunc(sent, func(l lie) bool { return len(l.header) > 60_000 })
	}
	for _, l := range sent {
		m := nats.NewMsg(l.subject)
		m.Header["Logbraid"] = []string{l.header}
		m.Data = []byte(l.payload)
		if err := nc.PublishMsg(m); err != nil {
			t.Fatalf("%s: %v", l.what, err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	harness.Until(t, "everything to be rejected", func() bool {
		s := r.collector.Stats()
		return s.Rejected+s.Duplicates-already.Duplicates+s.Wanted-already.Wanted+s.Foreign >= uint64(len(sent))
	})
	if s := r.collector.Stats(); s.Rejected != uint64(len(sent)) {
		t.Errorf("%d messages; %d rejected, %d duplicates, %d wanted, %d foreign; not rejected: %q", len(sent), s.Rejected, s.Duplicates, s.Wanted, s.Foreign, missed(t, r, sent))
	}
	if after := table(r); !reflect.DeepEqual(before, after) {
		t.Errorf("the table of runs was %+v and is %+v", before, after)
	}
	w.Log(500)
	r.written(w)
	r.collector.Kill() // and what is in the journal is just as untouched
	r.collector.Restart()
	w.Log(500)
	r.finish(w)
	r.check()
}

// table is what the collector knows of runs.
func table(r *rig) []collector.RunStats {
	runs := r.collector.Stats().Runs
	sort.Slice(runs, func(i, j int) bool { return runs[i].Run < runs[j].Run })
	return runs
}

// missed is what of the lies is not in rejected.jsonl.
func missed(t *testing.T, r *rig, sent []lie) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.collector.Dir, "rejected.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]int{}
	for line := range bytes.Lines(b) {
		var m struct{ Subject, Header, Payload string }
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("rejected.jsonl: %v: %.100q", err, line)
		}
		kept[m.Subject+m.Header]++
	}
	var absent []string
	for _, l := range sent {
		if kept[l.subject+l.header]--; kept[l.subject+l.header] < 0 {
			absent = append(absent, l.what+": "+l.header[:min(len(l.header), 120)])
		}
	}
	return absent
}
