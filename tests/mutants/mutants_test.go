package mutants

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A mutant is one rule broken.
type mutant struct {
	name  string
	rule  string // what is broken
	file  string // from the module's root
	from  string // must be in the file exactly once
	to    string
	tests string // -run
	in    string // the package whose tests catch it

	// stream is -run again, for a rule that both deliveries rest on: over a stream it is caught, too. Of most rules, each delivery has
	// one of its own, or they are below it: what the ring and the log files do.
	stream string
}

var mutants = []mutant{
	{
		name: "ack before the commit", rule: "I5: an acknowledgement only after the checkpoint",
		file: "pkg/collector/writer.go",
		from: "	w.store.Commit(logfile.Commit{Runs: g.deltas, Source: g.source}, func",
		to:   "	w.source.committed(g)\n	g.answers = nil\n	w.store.Commit(logfile.Commit{Runs: g.deltas, Source: g.source}, func",
		in:   "./pkg/collector", tests: "TestCommitFails|TestDiskFullAndBack",
	},
	{
		name: "resends are written again", rule: "I4: equal or smaller is a resend",
		file: "pkg/collector/order.go",
		from: "return verdict{action: duplicate, next: p}",
		to:   "return verdict{action: write, after: 0, next: p}",
		in:   "./pkg/collector", tests: "TestLostAnswer", stream: "TestStreamGivesNumbersTwice",
	},
	{
		name: "a batch that overlaps is written whole", rule: "I4: only what is above the last committed seq",
		file: "pkg/collector/check.go",
		from: "	if b.First <= v.after {",
		to:   "	if b.First < 0 {",
		in:   "./pkg/collector", tests: "TestRestartKnowsWhatIsWritten",
	},
	{
		name: "a batch ahead is written at once", rule: "I4: what the publisher still holds comes first",
		file: "pkg/collector/order.go",
		from: "if b.First > p.last+1 && b.Oldest != 0 && b.Oldest < b.First {",
		to:   "if b.First > p.last+1 && b.Oldest == 1<<60 {",
		in:   "./pkg/collector", tests: "TestModel",
	},
	{
		name: "loss passes for a drop", rule: "I9: lost is counted as lost",
		file: "pkg/collector/order.go",
		from: "next.lost += missing - told",
		to:   "next.dropped += missing - told",
		in:   "./pkg/collector", tests: "TestModel", stream: "TestStreamGapIsToldAtOnce",
	},
	{
		name: "the table does not roll back", rule: "I6: files and table roll back together",
		file: "pkg/collector/table.go",
		from: "			r.now = progressOf(c)\n			r.done = r.now",
		to:   "			r.done = progressOf(c)",
		in:   "./pkg/collector", tests: "TestCommitFails|TestDiskFullAndBack", stream: "TestStreamRewinds",
	},
	{
		name: "the checksum is not compared", rule: "a message that lies is not written",
		file: "pkg/record/batch_check.go",
		from: "sum != b.CRC {",
		to:   "sum != b.CRC && sum == 0 {",
		in:   "./pkg/collector", tests: "TestMessagesThatLie",
	},
	{
		name: "any subject may use a run", rule: "a run belongs to the subject that used it first",
		file: "pkg/collector/check.go",
		from: "if !unbound && r.subject != m.subject {",
		to:   "if !unbound && r.subject == \"\" {",
		in:   "./pkg/collector", tests: "TestMessagesThatLie",
	},
	{
		name: "blocks of a group are decoded into one place", rule: "lines stay until the group is written",
		file: "pkg/collector/check.go",
		from: "	lines, err := compress.Decode(w.decoded[used:], m.data)",
		to:   "	used = 0\n	lines, err := compress.Decode(w.decoded[used:], m.data)",
		in:   "./pkg/collector", tests: "TestCompressed",
	},
	{
		name: "recovery does not truncate", rule: "I6: after recovery a file is exactly the committed prefix",
		file: "internal/logfile/settle.go",
		from: "	if size <= st.length {\n		return nil\n	}",
		to:   "	if size >= 0 {\n		return nil\n	}",
		in:   "./internal/logfile", tests: "TestEveryCallIsTheLast",
	},
	{
		name: "the checkpoint is one byte short", rule: "I6: the checkpoint states the length that was written",
		file: "internal/logfile/commit.go",
		from: "		p.files[i] = f.st\n",
		to:   "		p.files[i] = f.st\n		p.files[i].length--\n",
		in:   "./internal/logfile", tests: "TestEveryCallIsTheLast",
	},
	{
		name: "two generations of one number", rule: "a rotation begins the next generation, and the journal knows it",
		file: "internal/logfile/rotate.go",
		from: "	f.st = f.absent(old.generation + 1)",
		to:   "	f.st = f.absent(old.generation)",
		in:   "./internal/logfile", tests: "TestRotateBySize|TestNumbersGrow|TestEveryCallIsTheLast",
	},
	{
		name: "fsync is left out", rule: "FSYNC=always: an acknowledged record survives a power cut",
		file: "internal/logfile/force.go",
		from: "			if err = h.Sync(); err != nil {",
		to:   "			if err = nil; err != nil {",
		in:   "./internal/logfile", tests: "TestPowerCut",
	},
	{
		name: "a torn commit passes for a whole one", rule: "FSYNC=always: a checkpoint counts with all of its bytes",
		file: "internal/logfile/file.go",
		from: "	if f.policy.mode == modeNever {",
		to:   "	if f.policy.mode != modeEvery {",
		in:   "./internal/logfile", tests: "TestAlwaysForcesBothAtOnce",
	},
	{
		name: "the journal's fsync is not waited for", rule: "I5: an acknowledgement only after the checkpoint, at the chosen level",
		file: "internal/logfile/sync.go",
		from: "return f, errors.Join(err, <-done)",
		to:   "return f, errors.Join(err)",
		in:   "./internal/logfile", tests: "TestAlwaysForcesBothAtOnce",
	},
	{
		name: "a stream is not forced to the disk", rule: "stream delivery, FSYNC=1s: what is older than a second survives a power cut",
		file: "pkg/embedded/force.go",
		from: "	return errors.Join(h.Sync(), h.Close())",
		to:   "	return h.Close()",
		in:   "./pkg/embedded", tests: "TestForcerForcesWhatChanged",
	},
	{
		name: "going on after a failed fsync", rule: "I7: a descriptor that failed is never trusted again",
		file: "internal/logfile/force.go",
		from: "	if err != nil {\n		y.fail(err, false)\n	}\n	y.mu.Lock()\n	y.busy = false",
		to:   "	err = nil\n	y.mu.Lock()\n	y.busy = false",
		in:   "./internal/logfile", tests: "TestAlwaysFails|TestIntervalFails",
	},
	{
		name: "two collectors on one directory", rule: "I7: one writer",
		file: "internal/logfile/lock.go",
		from: "	if !ok {\n",
		to:   "	if !ok && path == \"\" {\n",
		in:   "./internal/logfile", tests: "TestLocked",
	},
	{
		name: "the ring releases what it has sent", rule: "I3: released only by an acknowledgement",
		file: "pkg/publisher/delivery.go",
		from: "		if d.sent++; d.sent > 1 {",
		to:   "		c.ring.Release(b.Last)\n		if d.sent++; d.sent > 1 {",
		in:   "./pkg/publisher", tests: "TestCloseWithDeadline|TestDrainWithDeadline|TestForgottenClose",
	},
	{
		name: "one acknowledgement releases what is behind it", rule: "I3: an acknowledgement covers what it names",
		file: "pkg/publisher/courier.go",
		from: "	case seq < last:\n",
		to:   "	case seq == last:\n		seq = c.ahead.batch.Last\n		last, c.ahead = seq, nil\n	case seq < last:\n",
		in:   "./pkg/publisher", tests: "TestRefusedAhead",
	},
	{
		name: "what was ahead still asks for what came before it", rule: "I2: in its turn a batch is the oldest",
		file: "pkg/publisher/delivery.go",
		from: "		if b.Oldest < b.First {",
		to:   "		if b.Oldest > b.First {",
		in:   "./pkg/publisher", tests: "TestRefusedAhead",
	},
	{
		name: "two batches are compressed into one place", rule: "I1: what is sent again is the same to the byte",
		file: "pkg/publisher/courier.go",
		from: "c.pack(b, payload, 1-p.slot)",
		to:   "c.pack(b, payload, p.slot)",
		in:   "./pkg/publisher", tests: "TestCompressed",
	},
	{
		name: "the end of a run is not told", rule: "I9: the tail of a run is accounted for",
		file: "pkg/publisher/sender.go",
		from: "			p.ended = c.end(p.abort) == nil",
		to:   "			p.ended = true",
		in:   "./pkg/publisher", tests: "TestEveryRecordOnceInOrder|TestOverflowSheds", stream: "TestStreamIsAwaited|TestStreamTakesEveryRecord",
	},
	{
		name: "a dead worker's buffer is thrown away", rule: "what a log call returned from survives kill -9",
		file: "pkg/publisher/drain.go",
		from: "func (d *drainer) all(ctx context.Context, c *courier) error {\n",
		to:   "func (d *drainer) all(ctx context.Context, c *courier) error {\n	if ctx != nil {\n		return nil\n	}\n",
		in:   "./pkg/publisher", tests: "TestKilledUnderLoad|TestForgottenClose", stream: "TestStreamDrainCutsElsewhere",
	},
	{
		name: "a damaged record is sent", rule: "the buffer file's checksums are compared",
		file: "internal/ring/sums.go",
		from: "	return ok && binary.LittleEndian.Uint32(b[sumAt:]) == s.sum(digest(body), ordinal)",
		to:   "	return ok && body != nil",
		in:   "./internal/ring", tests: "TestEveryByteDamaged",
	},
	{
		name: "a drop uses up no seq", rule: "I1, I9: every dropped record has a seq, and is counted",
		file: "internal/ring/drops.go",
		from: "	r.dropped++\n",
		to:   "",
		in:   "./pkg/publisher", tests: "TestShedsBySeverity|TestOverflowSheds",
	},

	// Stream delivery.
	{
		name: "the stream is purged ahead of the sync", rule: "what is not forced to the disk stays in the stream",
		file: "pkg/collector/stream_purge.go",
		from: "	synced := s.synced()\n",
		to:   "	s.mu.Lock()\n	synced := s.done\n	s.mu.Unlock()\n",
		in:   "./pkg/collector", tests: "TestStreamPurgesBehindTheSync",
	},
	{
		name: "the ring releases what the stream has not acknowledged", rule: "I3 in stream delivery: released only by a PubAck",
		file: "pkg/publisher/delivery.go",
		from: "		if d.sent++; d.sent > 1 {",
		to:   "		if c.stream != \"\" {\n			c.ring.Release(b.Last)\n		}\n		if d.sent++; d.sent > 1 {",
		in:   "./pkg/publisher", tests: "TestStreamIsAwaited",
	},
	{
		name: "a refusal passes for an acknowledgement", rule: "a PubAck with an error means that the batch is not stored",
		file: "pkg/publisher/stored.go",
		from: "		return record.Ack{Kind: ackRefused}, true",
		to:   "		return record.Ack{Kind: record.AckCommitted, Run: b.Run, Seq: b.Last}, true",
		in:   "./pkg/publisher", tests: "TestStreamIsAwaited",
	},
	{
		name: "a batch is known by its first seq alone", rule: "ADR 6: a batch of other bytes is no resend",
		file: "pkg/publisher/stored.go",
		from: "	id = strconv.AppendUint(append(id, '-'), b.Last, 10)\n",
		to:   "",
		in:   "./pkg/publisher", tests: "TestStreamDrainCutsElsewhere",
	},
	{
		name: "the stream is not looked at", rule: "I8: a stream that is not as it was left is reported",
		file: "pkg/collector/stream_place.go",
		from: "	f := orient(b)\n",
		to:   "	f := finding{seq: at.Seq + 1}\n",
		in:   "./pkg/collector", tests: "TestStreamIsNotTheOne/purged",
	},
	{
		name: "a stream made anew passes for the old one", rule: "I8: it is read from its start",
		file: "pkg/collector/stream_place.go",
		from: "	case !b.at.Created.Equal(b.created):",
		to:   "	case b.created.IsZero():",
		in:   "./pkg/collector", tests: "TestOrient",
	},
}

// Every mutant must compile and then fail a test: not all tests, but one that is there for this rule.
func TestMutants(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the tests anew for every mutant; not with -short")
	}
	root := moduleRoot(t)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for _, tests := range []string{m.tests, m.stream} {
				if tests == "" {
					continue
				}
				out, err := m.run(t, root, tests)
				switch {
				case err == nil:
					t.Errorf("survived: %s\n%s in %s pass without it\n%s", m.rule, tests, m.in, out)
				case !bytes.Contains(out, []byte("--- FAIL")) && !bytes.Contains(out, []byte("panic:")):
					t.Errorf("not caught by a test, but: %v\n%s", err, out)
				}
			}
		})
	}
}

// run runs tests with the mutant's change, and returns what they printed.
func (m *mutant) run(t *testing.T, root, tests string) ([]byte, error) {
	t.Helper()
	path := filepath.Join(root, filepath.FromSlash(m.file))
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.from); n != 1 {
		t.Fatalf("%s has %d times what this mutant changes, not once:\n%s", m.file, n, m.from)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.from, m.to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "test", "-count=1", "-vet=off", "-failfast", "-timeout=5m", "-overlay="+file, "-run="+tests, m.in)
	cmd.Dir = root
	return cmd.CombinedOutput()
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("where is this file?")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(here)))
}
