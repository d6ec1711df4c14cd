//go:build unix

package faults

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// ledgered is a publisher in the test's own process, with a ledger.
type ledgered struct {
	t      *testing.T
	pub    *publisher.Publisher
	ledger *checker.Writer
	n      int
}

func newLedgered(t *testing.T, r *rig, worker string, cfg publisher.Config) *ledgered {
	t.Helper()
	cfg.App, cfg.Worker, cfg.Conn, cfg.BlockTimeout = "etl", worker, natsconn.Config{URL: r.proxy.URL()}, harness.Guard
	cfg.Delivery = r.delivery
	pub, err := publisher.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := checker.NewWriter(r.ledgers, worker, pub.Identity().Run, true)
	if err != nil {
		t.Fatal(err)
	}
	return &ledgered{t: t, pub: pub, ledger: ledger}
}

// rows logs n records as the workers do.
func (l *ledgered) rows(n int) {
	l.t.Helper()
	for range n {
		l.n++
		e := checker.Entry{Source: l.pub.Identity().Run, N: l.n, Level: "info", Logger: "etl.load"}
		l.pub.Named("etl.load").Info("row", publisher.String("id", e.ID()), publisher.String("pad", checker.Payload(e.ID(), 60)))
		if err := l.ledger.Accepted(0, l.n, e.Level, e.Logger); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *ledgered) flush() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Guard)
	defer cancel()
	if err := l.pub.Flush(ctx); err != nil {
		l.t.Fatal(err)
	}
}

func (l *ledgered) close() publisher.Stats {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Guard)
	defer cancel()
	if err := l.pub.Close(ctx); err != nil {
		l.t.Fatal(err)
	}
	s := l.pub.Stats()
	if err := l.ledger.End(s.Logged, s.Dropped); err != nil {
		l.t.Fatal(err)
	}
	return s
}

// Row 30: records of nothing, of more than is allowed, and of 64 MiB; and batches that would be longer than the broker's
// max_payload. What is too long is cut and says so, and nothing behind it waits.
func TestFault30Sizes(t *testing.T) { both(t, sizes) }

func sizes(t *testing.T, delivery string) {
	for _, test := range []struct{ name, config string }{
		{"default", ""},
		{"small max_payload", "max_payload: 65536\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := filepath.Join(t.TempDir(), "nats.conf")
			if err := os.WriteFile(config, []byte(test.config+"max_pending: 64MB\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			r := newRig(t, delivery, setup{broker: harness.BrokerSpec{Args: []string{"-c", config}}})
			l := newLedgered(t, r, "w1", publisher.Config{})
			log := l.pub.Named("sizes")
			sizes := []int{0, 1, 60_000, 65_500, 66_000, 255 << 10, 256 << 10, 257 << 10, 1 << 20, 64 << 20}
			l.rows(100)
			for _, n := range sizes {
				log.Info("size", publisher.Int("n", n), publisher.String("pad", strings.Repeat("x", n)))
				l.rows(100)
			}
			log.Info("")
			log.Info(strings.Repeat("m", 64<<20))
			l.rows(1000)
			l.flush()
			s := l.close()
			if s.Dropped != 0 {
				t.Errorf("dropped: %+v", s.Drops)
			}
			r.collector.CatchUp()
			stats := r.collector.Stats()
			r.collector.Stop()
			harness.Check(t, r.ledgers, r.logs...)
			if stats.Written != s.Logged || stats.Rejected != 0 {
				t.Errorf("logged %d, written %d, rejected %d", s.Logged, stats.Written, stats.Rejected)
			}
			b, err := os.ReadFile(r.logs[0].Path)
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for line := range strings.Lines(string(b)) {
				if !strings.Contains(line, `"logger":"sizes"`) {
					continue
				}
				var v struct {
					Msg       string
					N         int
					Pad       string
					Truncated bool
					Original  int `json:"original_length"`
				}
				if err := json.Unmarshal([]byte(line), &v); err != nil {
					t.Fatal(err)
				}
				found++
				whole := len(v.Pad) == v.N && len(v.Msg) < 100
				if whole == v.Truncated || v.Truncated && v.Original < max(v.N, 60_000) {
					t.Errorf("n %d: %d bytes, truncated %v, original_length %d", v.N, len(v.Pad), v.Truncated, v.Original)
				}
				if len(line) > 256<<10+1 {
					t.Errorf("a line of %d bytes", len(line))
				}
			}
			if found != len(sizes)+2 {
				t.Errorf("%d records of %d", found, len(sizes)+2)
			}
		})
	}
}
