// Command worker is every process of the bench that does not need a broker of its own: the workers of all contestants, the writers
// of those that are no more than a few lines, and the worker that is idle.
//
// It is a program of its own because workers must not link a broker: the package nats-server/server wakes up once a second to look
// at its process's figures, and makes each start of a process longer.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/logbraid/logbraid/tests/bench/job"
)

func main() {
	role := os.Getenv(job.RoleVariable)
	if err := play(role); err != nil {
		fmt.Fprintf(os.Stderr, "worker %s: %v\n", role, err)
		os.Exit(1)
	}
	fmt.Println("done")
}

// roles are what BENCH_ROLE may be.
var roles = map[string]func(worker) error{
	"append":               worker.append,
	"syslog":               worker.syslog,
	"per-record":           worker.perRecord,
	"jetstream-per-record": worker.jetStreamPerRecord,
	"per-record-writer":    worker.perRecordWriter,
	"floor-worker":         worker.floor,
	"floor-writer":         worker.floorWriter,
	"logbraid-worker":      worker.logbraid,
	"logbraid-flood":       worker.flood,
	"logbraid-idle":        worker.idle,
}

// A worker plays a role.
type worker struct{ job.Job }

func play(role string) error {
	do, ok := roles[role]
	if !ok {
		return errors.New("unknown role")
	}
	j, err := job.FromEnv()
	if err != nil {
		return err
	}
	stop, err := job.Profile(role, j.Worker)
	if err != nil {
		return err
	}
	defer stop()
	return do(worker{j})
}
