//go:build unix

package auth

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// A kind is one way to say who one is. Generations of it count from 0; a server takes one of them, and no other.
type kind struct {
	name string
	// server is the configuration of a server that takes generation g.
	server func(t *testing.T, g int) string
	// client puts generation g where the client looks for it: always the same files.
	client func(t *testing.T, g int)
	env    []string
	// refusal is what a client says that comes with another generation.
	refusal string
	secrets []string
}

// Each kind of credential: wrong at first, then put right; then rotated at the server, and after that at the clients. Collector
// and worker say what is wrong, try on, and take up the new files by themselves; nothing that was logged meanwhile is lost.
func TestCredentials(t *testing.T) {
	for _, make := range []func(*testing.T) kind{password, token, nkey, creds, serverCertificate, clientCertificate} {
		k := make(t)
		t.Run(k.name, func(t *testing.T) {
			config := write(t, filepath.Join(t.TempDir(), "server.conf"), k.server(t, 1))
			broker := harness.StartBroker(t, harness.BrokerSpec{Args: []string{"-c", config}})
			dir, ledgers := t.TempDir(), t.TempDir()

			k.client(t, 0)
			collector := startCollector(t, dir, broker.URL, k.env...)
			worker := harness.StartWorker(t, "w1", harness.WorkerSpec{Ledger: ledgers, Serve: true}, harness.PlainEnv(broker.URL, "w1", k.env...))
			worker.Log(500)
			says(t, collector, k.refusal)
			says(t, worker.Process, k.refusal)
			k.client(t, 1)
			says(t, collector, "collecting")
			worker.Flush()

			refusals := func() int { return strings.Count(collector.Stderr(), k.refusal) }
			before := refusals()
			broker.Stop()
			write(t, config, k.server(t, 2))
			broker.Restart()
			worker.Log(500)
			harness.Until(t, "another refusal", func() bool { return refusals() > before })
			k.client(t, 2)
			worker.Flush()
			if r := worker.Finish(); r.Close != "" || r.Acked != 1000 {
				t.Errorf("%d of 1000 acknowledged: %s", r.Acked, r.Close)
			}
			collector.Signal(15)
			collector.WaitOK()
			harness.Check(t, ledgers, checker.Destination{Path: filepath.Join(dir, "app.jsonl")})
			silentAbout(t, k.secrets, []string{dir}, broker.Process, collector, worker.Process)
		})
	}
}

// A user JWT that expires while it is in use: the server ends the connection, and says why; a new one in the same file is taken up.
// Who comes with one that has expired already is refused like anybody else. So it lives from when both programs are there, and try
// again once a second at least; where one was too slow all the same, it gets another.
func TestExpiredCreds(t *testing.T) {
	o := newOperator(t, 1)
	config := write(t, filepath.Join(t.TempDir(), "server.conf"), o.config(t))
	broker := harness.StartBroker(t, harness.BrokerSpec{Args: []string{"-c", config}})
	file := filepath.Join(t.TempDir(), "user.creds")
	env := []string{"LOGBRAID_NATS_CREDS=" + file}
	others := newOperator(t, 2).user(t, nil)
	write(t, file, others)
	secrets := secretsOf(others)
	dir, ledgers := t.TempDir(), t.TempDir()
	collector := startCollector(t, dir, broker.URL, env...)
	worker := harness.StartWorker(t, "w1", harness.WorkerSpec{Ledger: ledgers, Serve: true}, harness.PlainEnv(broker.URL, "w1", env...))
	says(t, collector, "the NATS server refuses the credentials")
	says(t, worker.Process, "the NATS server refuses the credentials")
	const life = 5 * time.Second
	var expires time.Time
	harness.Until(t, "both to say that the credentials have expired", func() bool {
		if time.Since(expires) > life {
			expires = time.Now().Add(life)
			short := o.user(t, func(c *jwt.UserClaims) { c.Expires = expires.Unix() })
			write(t, file, short)
			secrets = append(secrets, secretsOf(short)...)
		}
		const expired = "the credentials have expired"
		return strings.Contains(collector.Stderr(), expired) && strings.Contains(worker.Stderr(), expired)
	})
	worker.Log(500)
	second := o.user(t, nil)
	write(t, file, second)
	secrets = append(secrets, secretsOf(second)...)
	worker.Flush()
	if r := worker.Finish(); r.Acked != 500 {
		t.Errorf("%d of 500 acknowledged", r.Acked)
	}
	collector.Signal(15)
	collector.WaitOK()
	harness.Check(t, ledgers, checker.Destination{Path: filepath.Join(dir, "app.jsonl")})
	silentAbout(t, secrets, []string{dir}, broker.Process, collector, worker.Process)
}

// A worker with credentials of its own, made from a signing key that binds each user to its name: no line in the server's
// configuration for it, and it can publish as nobody else.
func TestScopedCreds(t *testing.T) {
	o := newOperator(t, 1)
	broker := harness.StartBroker(t, harness.BrokerSpec{Args: []string{"-c", write(t, filepath.Join(t.TempDir(), "server.conf"), o.config(t))}})
	secrets := t.TempDir()
	all := write(t, filepath.Join(secrets, "collector.creds"), o.user(t, nil))
	w7 := write(t, filepath.Join(secrets, "w7.creds"), o.worker(t, "w7"))
	dir, ledgers := t.TempDir(), t.TempDir()
	collector := startCollector(t, dir, broker.URL, "LOGBRAID_NATS_CREDS="+all)
	says(t, collector, "collecting")
	start := func(name string, spec harness.WorkerSpec) *harness.Worker {
		return harness.StartWorker(t, name, spec, harness.PlainEnv(broker.URL, name, "LOGBRAID_NATS_CREDS="+w7, "LOGBRAID_NATS_INBOX=_INBOX.w7"))
	}
	honest := start("w7", harness.WorkerSpec{Ledger: ledgers, Records: 500})
	liar := start("w8", harness.WorkerSpec{Records: 10, CloseWait: time.Second, Serve: true})
	if r := honest.Report(); r.Acked != 500 {
		t.Errorf("%d of 500 acknowledged: %s", r.Acked, honest.Output())
	}
	says(t, liar.Process, `does not permit this user to publish to \"logs.etl.w8\"`)
	if r := liar.Finish(); r.Acked != 0 {
		t.Errorf("a worker under another's name: %d acknowledged", r.Acked)
	}
	collector.Signal(15)
	collector.WaitOK()
	harness.Check(t, ledgers, checker.Destination{Path: filepath.Join(dir, "app.jsonl")})
}

// secret is a generation's secret, long enough to be found nowhere by chance.
func secret(g int) string { return fmt.Sprintf("s3cr3t-of-generation-%d-7Hq", g) }

var plainSecrets = []string{"of-generation-"}

func password(t *testing.T) kind {
	file := filepath.Join(t.TempDir(), "password")
	return kind{
		name: "user and password",
		server: func(t *testing.T, g int) string {
			return fmt.Sprintf("authorization { user: all, password: %q }", secret(g))
		},
		client: func(t *testing.T, g int) { write(t, file, secret(g)+"\n") },
		env:    []string{"LOGBRAID_NATS_USER=all", "LOGBRAID_NATS_PASSWORD_FILE=" + file},

		refusal: "the NATS server refuses the credentials", secrets: plainSecrets,
	}
}

func token(t *testing.T) kind {
	file := filepath.Join(t.TempDir(), "token")
	return kind{
		name:   "token",
		server: func(t *testing.T, g int) string { return fmt.Sprintf("authorization { token: %q }", secret(g)) },
		client: func(t *testing.T, g int) { write(t, file, secret(g)) },
		// The names of the nats program will do as well.
		env: []string{"LOGBRAID_NATS_TOKEN_FILE=" + file},

		refusal: "the NATS server refuses the credentials", secrets: plainSecrets,
	}
}

func nkey(t *testing.T) kind {
	file := filepath.Join(t.TempDir(), "user.nk")
	seeds, public := make([]string, 3), make([]string, 3)
	for g := range seeds {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		seed, _ := pair.Seed()
		seeds[g] = string(seed)
		public[g], _ = pair.PublicKey()
	}
	return kind{
		name: "nkey",
		server: func(t *testing.T, g int) string {
			return fmt.Sprintf("authorization { users: [ { nkey: %s } ] }", public[g])
		},
		client: func(t *testing.T, g int) { write(t, file, seeds[g]) },
		env:    []string{"NATS_NKEY=" + file},

		refusal: "the NATS server refuses the credentials", secrets: seeds,
	}
}

func creds(t *testing.T) kind {
	file := filepath.Join(t.TempDir(), "user.creds")
	operators := []*operator{newOperator(t, 0), newOperator(t, 1), newOperator(t, 2)}
	var texts, secrets []string
	for _, o := range operators {
		texts = append(texts, o.user(t, nil))
		secrets = append(secrets, secretsOf(texts[len(texts)-1])...)
	}
	return kind{
		name:   "creds",
		server: func(t *testing.T, g int) string { return operators[g].config(t) },
		client: func(t *testing.T, g int) { write(t, file, texts[g]) },
		env:    []string{"NATS_CREDS=" + file},

		refusal: "the NATS server refuses the credentials", secrets: secrets,
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	// By rename, as whoever rotates a file in use should: a reader finds the old one or the new one.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}
