//go:build unix

package auth

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// as connects as a user of nats.conf.
func as(t *testing.T, broker *harness.Broker, user, password string) *nats.Conn {
	t.Helper()
	connected := make(chan struct{}, 1)
	nc, err := natsconn.Connect(natsconn.Config{URL: broker.URL, User: user, Password: password, Inbox: "_INBOX." + user},
		natsconn.Hooks{Connected: func(*nats.Conn) { connected <- struct{}{} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	select {
	case <-connected:
	case <-time.After(harness.Guard):
		t.Fatalf("no connection as %s: %v", user, nc.LastError())
	}
	return nc
}

// refused does something and reports whether the server did not permit it. The server says so before it answers the round trip.
func refused(t *testing.T, nc *nats.Conn, do func() error) bool {
	t.Helper()
	before := nc.LastError()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	if err := nc.FlushTimeout(harness.Guard); err != nil {
		t.Fatal(err)
	}
	err := nc.LastError()
	return err != before && errors.Is(err, nats.ErrPermissionViolation)
}

// What each user of the shipped configuration may do, and may not.
func TestRoles(t *testing.T) {
	broker := startRoles(t, "nats.conf")
	collector := as(t, broker, "collector", collectorPassword)
	js, err := jetstream.New(collector)
	if err != nil {
		t.Fatal(err)
	}
	stream := jetstream.StreamConfig{Name: "LOGS", Subjects: []string{"logs.>"}, Discard: jetstream.DiscardNew, MaxBytes: 64 << 20}
	if _, err := js.CreateStream(t.Context(), stream); err != nil {
		t.Fatalf("the collector cannot create the stream: %v", err)
	}
	stream.MaxBytes *= 2
	if _, err := js.UpdateStream(t.Context(), stream); err != nil {
		t.Fatalf("the collector cannot change the stream: %v", err)
	}

	const no, yes = true, false
	for _, tt := range []struct {
		user, password string
		action         string // publish or subscribe
		subject        string
		refused        bool
	}{
		{"w1", w1Password, "publish", "logs.etl.w1", yes},
		{"w1", w1Password, "publish", "logs.etl.w2", no}, // another worker
		{"w1", w1Password, "publish", "logs.trials.w1", no},
		{"w1", w1Password, "publish", "logs.etl.w1.x", no},
		{"w1", w1Password, "publish", "logs.etl", no},
		{"w1", w1Password, "publish", "_INBOX.w1.x", no},
		{"w1", w1Password, "publish", "_INBOX.worker.x", no}, // a forged acknowledgement
		{"w1", w1Password, "publish", "$JS.API.INFO", no},
		{"w1", w1Password, "publish", "$JS.API.STREAM.INFO.LOGS", no},
		{"w1", w1Password, "publish", "$JS.API.STREAM.PURGE.LOGS", no},
		{"w1", w1Password, "publish", "$JS.API.CONSUMER.CREATE.LOGS.x", no},
		{"w1", w1Password, "publish", "$SYS.REQ.SERVER.PING", no},
		{"w1", w1Password, "subscribe", "_INBOX.w1.x.*", yes},
		{"w1", w1Password, "subscribe", "_INBOX.>", no},
		{"w1", w1Password, "subscribe", "_INBOX.worker.>", no},
		{"w1", w1Password, "subscribe", "logs.>", no},
		{"w1", w1Password, "subscribe", "logs.etl.w1", no},
		{"w1", w1Password, "subscribe", ">", no},
		{"worker", workerPassword, "publish", "logs.trials.4f1c", yes},
		{"worker", workerPassword, "publish", "logs.etl.w1", no},
		{"worker", workerPassword, "publish", "$JS.API.STREAM.PURGE.LOGS", no},
		{"worker", workerPassword, "subscribe", "logs.trials.*", no},
		{"worker", workerPassword, "subscribe", "_INBOX.w1.>", no},
		{"collector", collectorPassword, "subscribe", "logs.>", yes},
		{"collector", collectorPassword, "publish", "_INBOX.w1.x", yes},
		{"collector", collectorPassword, "publish", "logs.etl.w1", no},
		{"collector", collectorPassword, "publish", "$JS.API.STREAM.DELETE.LOGS", no},
		{"collector", collectorPassword, "publish", "$JS.API.STREAM.CREATE.OTHER", no},
		{"collector", collectorPassword, "subscribe", "_INBOX.w1.>", no},
		{"analyst", analystPassword, "subscribe", "logs.etl.*", yes},
		{"analyst", analystPassword, "publish", "logs.etl.w1", no},
		{"analyst", analystPassword, "publish", "_INBOX.w1.x", no},
		{"analyst", analystPassword, "publish", "$JS.API.STREAM.PURGE.LOGS", no},
		{"analyst", analystPassword, "publish", "$JS.API.STREAM.UPDATE.LOGS", no},
		{"analyst", analystPassword, "publish", "$JS.API.STREAM.MSG.DELETE.LOGS", no},
		{"analyst", analystPassword, "publish", "$JS.API.CONSUMER.PAUSE.LOGS.x", no},
		{"analyst", analystPassword, "subscribe", "_INBOX.collector.>", no},
	} {
		t.Run(tt.user+" "+tt.action+" "+tt.subject, func(t *testing.T) {
			nc := as(t, broker, tt.user, tt.password)
			got := refused(t, nc, func() error {
				if tt.action == "subscribe" {
					_, err := nc.SubscribeSync(tt.subject)
					return err
				}
				return nc.Publish(tt.subject, nil)
			})
			if got != tt.refused {
				t.Errorf("refused: %t", got)
			}
		})
	}

	// Of all that was tried above, these were stored.
	s, err := js.Stream(t.Context(), "LOGS")
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		t.Fatal(err)
	}
	if n := info.State.Subjects; len(n) != 2 || n["logs.etl.w1"] != 1 || n["logs.trials.4f1c"] != 1 {
		t.Errorf("the stream holds %v", n)
	}

	t.Run("who reads from the stream", func(t *testing.T) {
		for user, password := range map[string]string{"collector": collectorPassword, "analyst": analystPassword} {
			js, err := jetstream.New(as(t, broker, user, password))
			if err != nil {
				t.Fatal(err)
			}
			ordered, err := js.OrderedConsumer(t.Context(), "LOGS", jetstream.OrderedConsumerConfig{})
			if err != nil {
				t.Fatalf("%s: %v", user, err)
			}
			durable, err := js.CreateConsumer(t.Context(), "LOGS", jetstream.ConsumerConfig{Durable: user})
			if err != nil {
				t.Fatalf("%s: %v", user, err)
			}
			for kind, c := range map[string]jetstream.Consumer{"ordered": ordered, "durable": durable} {
				m, err := c.Next(jetstream.FetchMaxWait(harness.Guard))
				if err != nil || m.Subject() != "logs.etl.w1" {
					t.Fatalf("%s, %s: %v, %v", user, kind, m, err)
				}
				if kind == "durable" {
					if err := m.DoubleAck(t.Context()); err != nil {
						t.Errorf("%s: %v", user, err)
					}
				}
			}
		}
	})
}

// The whole line with the shipped roles, as programs: a worker that is what its password says is heard, one that pretends to be
// another is not, is told so in words that help, and nobody prints a password.
func TestRolesEndToEnd(t *testing.T) {
	broker := startRoles(t, "nats.conf")
	dir, ledgers := t.TempDir(), t.TempDir()
	collector := startCollector(t, dir, broker.URL, user("collector", collectorPassword)...)
	says(t, collector, "collecting")
	analyst := as(t, broker, "analyst", analystPassword)
	heard, err := analyst.SubscribeSync("logs.etl.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := analyst.FlushTimeout(harness.Guard); err != nil {
		t.Fatal(err)
	}

	w1 := harness.StartWorker(t, "w1", harness.WorkerSpec{Ledger: ledgers, Records: 2_000, Payload: 50},
		harness.PlainEnv(broker.URL, "w1", user("w1", w1Password)...))
	replica := harness.StartWorker(t, "4f1c", harness.WorkerSpec{Ledger: ledgers, Records: 2_000, Payload: 50},
		harness.PlainEnv(broker.URL, "4f1c", append(user("worker", workerPassword), "LOGBRAID_APP=trials")...))
	liar := harness.StartWorker(t, "w2", harness.WorkerSpec{Records: 10, CloseWait: time.Second, Serve: true},
		harness.PlainEnv(broker.URL, "w2", user("w1", w1Password)...))
	deaf := harness.StartWorker(t, "w1 with another's inbox", harness.WorkerSpec{Serve: true},
		harness.PlainEnv(broker.URL, "w1", append(user("w1", w1Password), "LOGBRAID_NATS_INBOX=_INBOX.w9")...))

	says(t, liar.Process, `does not permit this user to publish to \"logs.etl.w2\": check the user's permissions, and LOGBRAID_APP, LOGBRAID_WORKER`)
	liar.WaitLogged()
	if r := liar.Finish(); r.Acked != 0 || r.Unacked != 10 {
		t.Errorf("a worker under another's name: %d acknowledged, %d not", r.Acked, r.Unacked)
	}
	says(t, deaf.Process, `does not permit this user to subscribe to \"_INBOX.w9.`)
	deaf.Finish()
	for _, w := range []*harness.Worker{w1, replica} {
		if r := w.Report(); r.Close != "" || r.Acked != r.Logged {
			t.Errorf("%s: %d of %d acknowledged: %s", w.Name, r.Acked, r.Logged, r.Close)
		}
	}
	if _, err := heard.NextMsg(harness.Guard); err != nil {
		t.Errorf("the analyst hears nothing: %v", err)
	}
	collector.Signal(15)
	collector.WaitOK()
	reports := harness.Check(t, ledgers, checker.Destination{Path: dir + "/app.jsonl"})
	if n := reports[0].PerWorker["w2"]; n != 0 {
		t.Errorf("%d records in the name of w2", n)
	}
	silentAbout(t, []string{collectorPassword, analystPassword, workerPassword, w1Password}, []string{dir},
		broker.Process, collector, w1.Process, replica.Process, liar.Process, deaf.Process)
}
