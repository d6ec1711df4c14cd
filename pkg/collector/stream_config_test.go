package collector

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/internal/problem"
)

func TestStreamsThatAreRefused(t *testing.T) {
	p := &plan{Config: Config{Prefix: "logs", Stream: StreamConfig{Name: "LOGS", MaxBytes: 1 << 30}}}
	good := streamConfig(p)
	if err := refuse(good, good); err != nil {
		t.Fatalf("our own stream: %v", err)
	}
	all := good
	for _, tt := range []struct {
		reason string
		change func(c *jetstream.StreamConfig)
	}{
		{"do not cover logs.>", func(c *jetstream.StreamConfig) { c.Subjects = []string{"logs.*.*", "other.>"} }},
		{"discards old", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }},
		{"retention is workqueue", func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }},
		{"in memory", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }},
		{"max age", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }},
		{"limited to 7 messages", func(c *jetstream.StreamConfig) { c.MaxMsgs = 7 }},
		{"of one worker", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 7 }},
		{"above 9 bytes", func(c *jetstream.StreamConfig) { c.MaxMsgSize = 9 }},
		{"persist mode async", func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode }},
		{"rollup", func(c *jetstream.StreamConfig) { c.AllowRollup = true }},
		{"TTL", func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true }},
		{"counters", func(c *jetstream.StreamConfig) { c.AllowMsgCounter = true }},
		{"schedules", func(c *jetstream.StreamConfig) { c.AllowMsgSchedules = true }},
		{"does not acknowledge", func(c *jetstream.StreamConfig) { c.NoAck = true }},
		{"sealed", func(c *jetstream.StreamConfig) { c.Sealed = true }},
		{"to be purged", func(c *jetstream.StreamConfig) { c.DenyPurge = true }},
		{"from other streams", func(c *jetstream.StreamConfig) { c.Sources = []*jetstream.StreamSource{{Name: "X"}} }},
		{"changes subjects", func(c *jetstream.StreamConfig) { c.SubjectTransform = &jetstream.SubjectTransformConfig{} }},
	} {
		c := good
		tt.change(&c)
		tt.change(&all)
		err := refuse(c, good)
		var refused *RefusedStreamError
		if !errors.As(err, &refused) || !strings.Contains(refused.Reason, tt.reason) || strings.Contains(refused.Reason, ";") {
			t.Errorf("%s: %v", tt.reason, err)
		}
	}
	var refused *RefusedStreamError
	if err := refuse(all, good); !errors.As(err, &refused) || strings.Count(refused.Reason, ";") != 17 {
		t.Errorf("not all of it is told at once: %v", err)
	}
	for _, c := range []jetstream.StreamConfig{{Subjects: []string{">"}}, {Subjects: []string{"a.b", "logs.>"}}, {Subjects: []string{"*.>"}}} {
		ok := good
		ok.Subjects = c.Subjects
		if err := refuse(ok, good); err != nil {
			t.Errorf("%v: %v", c.Subjects, err)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, tt := range []struct {
		wide, narrow string
		want         bool
	}{
		{"logs.>", "logs.>", true}, {">", "logs.>", true}, {"*.>", "logs.>", true}, {"a.*.>", "a.b.>", true},
		{"logs.*", "logs.>", false}, {"logs.*.*", "logs.>", false}, {"logs.a.>", "logs.>", false}, {"logs", "logs.>", false},
		{"log.>", "logs.>", false}, {"logs.>", "logs", false}, {"logs.*", "logs.a", true}, {"logs.a", "logs.*", false},
	} {
		if got := covers(tt.wide, tt.narrow); got != tt.want {
			t.Errorf("covers(%q, %q) is %v", tt.wide, tt.narrow, got)
		}
	}
}

func TestKeep(t *testing.T) {
	for text, want := range map[string]kept{
		"": {}, "0": {}, "24h": {age: 24 * time.Hour}, "512MiB": {bytes: 512 << 20}, "24h 1GiB": {24 * time.Hour, 1 << 30},
		"1GiB,90m": {90 * time.Minute, 1 << 30}, "4096": {bytes: 4096},
	} {
		if got, err := parseKeep(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"soon", "1h 2h", "1KiB 1KiB", "-1h", "1h x"} {
		if got, err := parseKeep(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestStreamSettingsThatAreWrong(t *testing.T) {
	err := Config{Dir: t.TempDir(), Delivery: "carrier", Stream: StreamConfig{Name: "a.b", MaxBytes: 10, Keep: "soon", Compression: "zip"}}.Validate()
	for _, setting := range []string{"LOGBRAID_DELIVERY", "LOGBRAID_STREAM", "LOGBRAID_STREAM_MAX_BYTES", "LOGBRAID_STREAM_KEEP", "LOGBRAID_STREAM_COMPRESSION"} {
		found := false
		for _, p := range problem.In(err) {
			found = found || p.Setting == setting
		}
		if !found {
			t.Errorf("nothing is said of %s: %v", setting, err)
		}
	}
	err = Config{Dir: t.TempDir(), Stream: StreamConfig{MaxBytes: 1 << 20, Keep: "1MiB"}}.Validate()
	if err == nil || !strings.Contains(err.Error(), "more than half") {
		t.Errorf("as much kept as there is room: %v", err)
	}
}

func TestMarks(t *testing.T) {
	m := marks{every: 1000}
	for seq := uint64(1); seq <= 100; seq++ {
		m.add(seq, 500)
	}
	seq := m.before(10_000)
	if behind := (100 - seq) * 500; behind < 10_000 || behind > 11_000 {
		t.Errorf("%d bytes stay behind %d, wanted 10,000", behind, seq)
	}
	if got := m.before(10_000); got != seq {
		t.Errorf("asked again, it is %d, not %d", got, seq)
	}
	if got := m.before(1 << 30); got != 0 {
		t.Errorf("more than was read begins at %d", got)
	}
}
