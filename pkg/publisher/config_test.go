package publisher

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/pkg/record"
)

// Everything that is wrong is told at once, each with its variable.
func TestProblemsAllAtOnce(t *testing.T) {
	_, err := New(Config{
		App:          strings.Repeat("a", maxName+1),
		Prefix:       "logs.*",
		Delivery:     "pigeon",
		Levels:       "loud",
		Buffer:       1,
		Overflow:     "explode",
		BlockTimeout: -1,
		Batch:        1,
		MaxRecord:    1,
		CloseTimeout: -1,
		Conn:         Connection{URL: "not a url"},
	})
	got := map[string]bool{}
	for _, p := range problem.In(err) {
		got[p.Setting] = true
	}
	for _, name := range strings.Fields(`APP PREFIX DELIVERY LEVELS BUFFER OVERFLOW BLOCK_TIMEOUT BATCH MAX_RECORD CLOSE_TIMEOUT NATS_URL`) {
		if !got["LOGBRAID_"+name] {
			t.Errorf("nothing about %s in %v", name, err)
		}
	}
}

func TestMaxRecordFollowsBuffer(t *testing.T) {
	if c := (Config{Buffer: 100 << 10}).withDefaults(); c.MaxRecord != 50<<10 {
		t.Errorf("max record %d", c.MaxRecord)
	}
	if err := (Config{Buffer: 100 << 10, MaxRecord: 60 << 10}).Validate(); err == nil {
		t.Error("a record may be longer than half of the buffer")
	}
	if c := (Config{}).withDefaults(); c.Validate() != nil || c.Buffer != DefaultBuffer || c.MaxRecord != DefaultMaxRecord ||
		c.Worker == "" || c.App == "" || c.Overflow != Block || c.BlockTimeout != DefaultBlockTimeout {
		t.Errorf("defaults %+v", c)
	}
}

func TestConfigFromEnv(t *testing.T) {
	cfg, err := ConfigFromEnv([]string{
		"NATS_URL=nats://127.0.0.1:4222", "LOGBRAID_APP=etl", "LOGBRAID_WORKER=w3", "LOGBRAID_BUFFER=128KiB",
		"LOGBRAID_BUFFER_DIR=/var/lib/etl", "LOGBRAID_OVERFLOW=shed", "LOGBRAID_BLOCK_TIMEOUT=250ms",
		"LOGBRAID_LEVELS=warn,etl=debug", "LOGBRAID_NATS_INBOX=_INBOX_w3",
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.App != "etl" || cfg.Worker != "w3" || cfg.Buffer != 128<<10 || cfg.BufferDir != "/var/lib/etl" || cfg.Overflow != Shed ||
		cfg.BlockTimeout != 250*time.Millisecond || cfg.Levels != "warn,etl=debug" || cfg.Conn.Inbox != "_INBOX_w3" || !cfg.Conn.Configured() {
		t.Errorf("%+v", cfg)
	}

	_, err = ConfigFromEnv([]string{"LOGBRAID_BUFFER=0", "LOGBRAID_BATCH=lots", "LOGBRAID_LEVELS=loud", "LOGBRAID_BUFER_DIR=x"})
	for _, want := range []string{"LOGBRAID_BUFFER=", "LOGBRAID_BATCH=", "LOGBRAID_LEVELS=", "LOGBRAID_BUFER_DIR"} {
		if err == nil || strings.Count(err.Error(), want) != 1 {
			t.Errorf("%s is not told once: %v", want, err)
		}
	}
}

func TestConsole(t *testing.T) {
	var out bytes.Buffer
	p, err := New(Config{App: "etl", Worker: "w3", Console: &out})
	if err != nil {
		t.Fatal(err)
	}
	p.Named("etl.load").Warn("row \x1b[2J odd", Int("rows", 3))
	p.Named("etl.load").Debug("not shown")
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "LOGBRAID_NATS_URL") ||
		!strings.HasSuffix(lines[1], `WARN  etl.load[w3] row \x1b[2J odd rows=3`) {
		t.Errorf("%q", lines)
	}
	ctx := context.Background()
	if err := p.Flush(ctx); err != nil {
		t.Error(err)
	}
	if err := p.Close(ctx); err != nil {
		t.Error(err)
	}
	p.Named("x").Error("late")
	if s := p.Stats(); s.Logged != 2 || s.Acked != 2 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
	if err := p.Flush(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("flush after close: %v", err)
	}
	if err := p.Close(ctx); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// A name that takes more than its usual room at the end of a line leaves less to
// the record, and still fits.
func TestLongNames(t *testing.T) {
	var out bytes.Buffer
	name := strings.Repeat("\x01", maxName) // six bytes each in JSON
	p, err := New(Config{App: name, Worker: name, Console: &out, MaxRecord: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	line := record.GetLine()
	line.Start(time.Now(), record.Info, "x", strings.Repeat("m", 20<<10))
	body := line.Finish(p.maxLine)
	if n := len(record.AppendEnd(record.AppendTail(bytes.Clone(body), p.id), 1<<62)); n > 8<<10 {
		t.Errorf("%d bytes", n)
	}
	line.Free()
}
