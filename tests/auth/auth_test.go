//go:build unix

// Package auth is about who may do what, and with which credentials: the configuration that deploy/nats ships, a real
// nats-server that reads it, and the programs as they are run.
package auth

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/freeport"
	"github.com/logbraid/logbraid/tests/harness"
)

// tool is the collector program, as it is shipped.
var tool string

func TestMain(m *testing.M) {
	harness.Main(func() int {
		dir, err := os.MkdirTemp("", "auth-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		tool = filepath.Join(dir, "collector")
		if err := harness.Build(tool, "../../cmd/collector"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}, nil)
}

// The passwords consist of digits alone where they can: the configuration must take them for texts.
const (
	collectorPassword = "4417290388526671"
	analystPassword   = "6620018834519273"
	workerPassword    = "9081726354433221"
	w1Password        = "7350192846610057"
)

// shipped is a file of deploy/nats.
func shipped(name string) string { return filepath.Join("..", "..", "deploy", "nats", name) }

// rolesEnv is the environment of a nats-server that reads nats.conf.
func rolesEnv(more ...string) harness.Option {
	quote := func(name, password string) string { return name + `="` + password + `"` }
	return harness.Env(append([]string{
		quote("COLLECTOR_PASSWORD", collectorPassword), quote("ANALYST_PASSWORD", analystPassword),
		quote("WORKER_PASSWORD", workerPassword), quote("W1_PASSWORD", w1Password),
	}, more...)...)
}

// startRoles starts a server with one of the shipped configurations. Port, monitoring port and store are the test's.
func startRoles(t *testing.T, config string, options ...harness.Option) *harness.Broker {
	t.Helper()
	return harness.StartBroker(t, harness.BrokerSpec{Args: []string{
		"-c", shipped(config), "-m", fmt.Sprint(freeport.Get(t)),
	}}, append([]harness.Option{rolesEnv("STORE_DIR=" + t.TempDir())}, options...)...)
}

// user is the environment of a program that connects as one of the users of nats.conf.
func user(name, password string) []string {
	return []string{"LOGBRAID_NATS_USER=" + name, "LOGBRAID_NATS_PASSWORD=" + password, "LOGBRAID_NATS_INBOX=_INBOX." + name}
}

// startCollector runs the program; it does not wait until it collects.
func startCollector(t *testing.T, dir, url string, env ...string) *harness.Process {
	t.Helper()
	return harness.Start(t, harness.Command{
		Name: "collector", Args: []string{tool, "run", "--dir", dir, "--handler", "json://" + filepath.Join(dir, "app.jsonl")},
		Env: append([]string{"LOGBRAID_NATS_URL=" + url}, env...),
	})
}

// says waits until a program has said something on standard error.
func says(t *testing.T, p *harness.Process, text string) {
	t.Helper()
	harness.Until(t, fmt.Sprintf("%q on standard error", text), func() bool {
		if strings.Contains(p.Stderr(), text) {
			return true
		}
		if p.Exited() {
			t.Fatalf("ended (%s) without having said %q:\n%s", p.State(), text, p.Output())
		}
		return false
	})
}

// silentAbout fails the test where one of the secrets stands in what a program said, or in a file of a directory.
func silentAbout(t *testing.T, secrets []string, dirs []string, programs ...*harness.Process) {
	t.Helper()
	look := func(where string, text []byte) {
		for _, s := range secrets {
			if bytes.Contains(text, []byte(s)) {
				t.Errorf("%s holds the secret %.4s...", where, s)
			}
		}
	}
	for _, p := range programs {
		look(fmt.Sprintf("the output of process %d", p.Pid()), []byte(p.Stdout()+p.Stderr()))
	}
	for _, dir := range dirs {
		err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err != nil || !info.Mode().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			look(path, text)
			return err
		})
		if err != nil {
			t.Errorf("read %s: %v", dir, err)
		}
	}
}
