package collector

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// The memory of a long batch takes the next one as soon as the first is acknowledged. Whatever handler had it has it whole by then.
func TestLongBatchesInTheSameMemory(t *testing.T) {
	for _, fsync := range []string{"1s", "always"} {
		t.Run(fsync, func(t *testing.T) {
			b := startBroker(t)
			dir := t.TempDir()
			var shown bytes.Buffer
			all := &gather{}
			c := b.start(t, Config{
				Dir: dir, FSync: fsync, ConsoleOut: &shown,
				Handlers: []string{"json://" + dir + "/all.jsonl", "file://" + dir + "/all.log", "json://" + dir + "/{logger}.jsonl", "console://stdout?format=json"},
				Extra:    []UserHandler{{Name: "all", Handler: all}},
			})
			if c.writer.source.(*direct).detour == nil {
				t.Fatal("no payload goes around nats.go")
			}
			const batches, records = 30, 300
			var publishers []*publisher
			var wg sync.WaitGroup
			for i := range 4 { // what comes while a batch is not committed must not have its memory
				p := b.publisher(t, "etl", fmt.Sprint("w", i))
				publishers = append(publishers, p)
				wg.Go(func() {
					for i := range batches {
						p.log(records, record.Info, fmt.Sprintf("l%d", i%2), strings.Repeat("m", i*5))
						if a := p.send(); a.Kind != record.AckCommitted {
							t.Errorf("answer %+v", a)
							return
						}
					}
				})
			}
			wg.Wait()
			closeNow(t, c)
			r := &rig{t: t, dir: dir}
			text := r.read("all.jsonl")
			parts := r.read("l0.jsonl") + r.read("l1.jsonl")
			for _, p := range publishers {
				want := p.text(slices.Collect(seqs(1, batches*records))...)
				for what, got := range map[string]string{"file": text, "console": shown.String(), "handler": all.text()} {
					if ofRun(got, p.id.Run) != want {
						t.Errorf("%s: %s is not complete and in order", p.id.Worker, what)
					}
				}
				if got := ofRun(parts, p.id.Run); len(got) != len(want) {
					t.Errorf("%s: %d bytes in the loggers' files, not %d", p.id.Worker, len(got), len(want))
				}
			}
			var lines []byte
			for line := range Lines(text).All() {
				lines = record.AppendText(lines, line, record.TextOptions{})
			}
			if r.read("all.log") != string(lines) {
				t.Error("the text file has other lines than the JSON file")
			}
		})
	}
}
