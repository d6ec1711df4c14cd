package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/logbraid/logbraid/pkg/embedded"
)

func main() {
	ctx := context.Background()
	m, err := embedded.Start(ctx, embedded.Config{Dir: "logs"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer m.Close(ctx)

	cmd := exec.Command("./worker")
	cmd.Env = append(os.Environ(), m.WorkerEnv("w1")...)
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
