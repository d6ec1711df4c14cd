//go:build unix

package harness

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/logbraid/logbraid/tests/freeport"
)

// A BrokerSpec describes an external nats-server process.
type BrokerSpec struct {
	Port  int      // 0: a free one
	Store string   // directory of JetStream's store, kept over Kill and Restart; "": no JetStream
	Args  []string // further arguments, as on nats-server's command line
}

// A Broker is a nats-server in a process of its own: the server of go.mod's version with its own command line, as its main does it.
// It keeps its port over Kill and Restart.
type Broker struct {
	*Process
	Port int
	URL  string
}

// StartBroker starts a nats-server and waits until it takes connections.
func StartBroker(t T, spec BrokerSpec, options ...Option) *Broker {
	t.Helper()
	if spec.Port == 0 {
		spec.Port = freeport.Get(t)
	}
	p := Start(t, with(Command{Name: "nats-server", Role: "broker", Spec: spec}, options))
	p.Ready(nil)
	return &Broker{Process: p, Port: spec.Port, URL: fmt.Sprintf("nats://127.0.0.1:%d", spec.Port)}
}

// Restart starts the broker again on its port and waits until it takes connections.
func (b *Broker) Restart() {
	b.t.Helper()
	b.Process.Relaunch()
	b.Ready(nil)
}

// Addr is host:port, for a Proxy.
func (b *Broker) Addr() string { return fmt.Sprintf("127.0.0.1:%d", b.Port) }

func playBroker(r *Role) error {
	var spec BrokerSpec
	if err := r.Spec(&spec); err != nil {
		return err
	}
	args := append([]string{"-a", "127.0.0.1", "-p", strconv.Itoa(spec.Port)}, spec.Args...)
	if spec.Store != "" {
		args = append(args, "-js", "-sd", spec.Store)
	}
	nothing := func() {}
	options, err := server.ConfigureOptions(flag.NewFlagSet("nats-server", flag.ContinueOnError), args, nothing, nothing, nothing)
	if err != nil {
		return fmt.Errorf("configure nats-server: %w", err)
	}
	s, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("create nats-server: %w", err)
	}
	s.ConfigureLogger()
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		return errors.New("nats-server takes no connections")
	}
	r.Ready(nil)
	<-r.Stopped()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
