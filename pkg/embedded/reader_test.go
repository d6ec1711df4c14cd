package embedded

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/pkg/collector"
	"github.com/logbraid/logbraid/pkg/consumer"
	"github.com/logbraid/logbraid/pkg/record"
)

// What a reader finds in the log directory is all that it needs: live in direct delivery, from the beginning in
// stream delivery.
func TestReader(t *testing.T) {
	for _, delivery := range []string{collector.DeliveryDirect, collector.DeliveryStream} {
		t.Run(delivery, func(t *testing.T) {
			cfg := testConfig(filepath.Join(t.TempDir(), "logs"))
			cfg.Delivery = delivery
			m := start(t, cfg)
			p, err := m.Publisher("w1")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), guard)
			defer cancel()
			if delivery == collector.DeliveryStream {
				p.Named("x").Info("before")
				if err := p.Flush(ctx); err != nil {
					t.Fatal(err)
				}
			}
			env, err := settings.ReadEnv(settings.ReaderEnv(cfg.Dir))
			if err != nil {
				t.Fatal(err)
			}
			read, err := consumer.ConfigFromEnv(env)
			if err != nil {
				t.Fatal(err)
			}
			read.Filter = record.Filter{Loggers: []string{"x"}}
			if delivery == collector.DeliveryStream {
				read.Sequence = 1
			}
			c, err := consumer.Start(ctx, read)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			p.Named("x").Info("after")
			want := []string{"before", "after"}
			if delivery == collector.DeliveryDirect {
				want = want[1:]
			}
			for rec, err := range c.Records(ctx) {
				if err != nil {
					t.Fatal(err)
				}
				if rec.Msg() != want[0] || rec.Worker != "w1" {
					t.Fatalf("got %s, want %q", rec.Line, want[0])
				}
				if want = want[1:]; len(want) == 0 {
					break
				}
			}
		})
	}
}

// A reader says nothing: not as a worker, not in the inbox of one, and it asks nothing of the broker that changes it.
func TestReaderSaysNothing(t *testing.T) {
	for _, stream := range []string{"", "LOGS"} {
		g := newGate(t)
		g.auth.stream = stream
		path, err := g.auth.issueAs(reader)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the token's file: %v, %v", info, err)
		}
		token, err := g.auth.read(reader)
		if err != nil {
			t.Fatal(err)
		}
		nc, refused := g.connect("w1", token)
		for _, subject := range []string{
			record.Subject("logs", "etl", "w1"), inbox("w1") + ".1", "elsewhere", "$JS.API.STREAM.PURGE.LOGS", "$JS.API.STREAM.DELETE.LOGS",
			"$JS.API.STREAM.CREATE.LOGS", "$JS.API.STREAM.UPDATE.LOGS", "$JS.API.STREAM.MSG.DELETE.LOGS", "$JS.API.CONSUMER.CREATE.OTHER.x",
		} {
			if err := nc.Publish(subject, nil); err != nil {
				t.Fatal(err)
			}
			await(t, refused, nats.ErrPermissionViolation)
		}
		for _, subject := range []string{">", "_INBOX.>", inbox("w1") + ".>", "$SYS.>"} {
			if _, err := nc.SubscribeSync(subject); err != nil {
				t.Fatal(err)
			}
			await(t, refused, nats.ErrPermissionViolation)
		}
		if _, err := nats.Connect(g.url(), nats.Timeout(guard), nats.Token(token+"x")); err == nil {
			t.Error("let in with another token")
		}
	}
}
