package embedded_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/logbraid/logbraid/pkg/embedded"
	"github.com/logbraid/logbraid/pkg/publisher"
)

// A master with a worker process, and with records of its own.
func ExampleStart() {
	ctx := context.Background()
	m, err := embedded.Start(ctx, embedded.Config{Dir: "logs", App: "etl"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // names the process that has the directory, if one has
		return
	}
	defer m.Close(ctx)

	own, err := m.Publisher("master")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	log := own.Named("main")

	cmd := exec.Command("./worker")
	cmd.Env = append(os.Environ(), m.WorkerEnv("w1")...)
	if err := cmd.Run(); err != nil {
		log.Error("worker", publisher.Err(err))
	}
	m.Exited("w1", cmd.ProcessState) // if it was killed, the log says so

	// Everything is in the files when this returns nil.
	if err := m.Close(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
