package embedded

import (
	"os"
	"time"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

// deathWait is how long the record of a worker's death waits for Exited to tell
// how the process ended. Only a supervisor knows, and not every worker has one.
const deathWait = time.Second

// A death is what is known of the end of a worker's process. It has two halves,
// which come in either order: what its buffer says and what its supervisor says.
type death struct {
	worker string
	pid    int
	since  time.Time // when the first half came

	run       string // of the publisher that was not closed; "" if it was, or if there was none
	last      uint64 // its last seq
	recovered uint64 // records that were still in its buffer

	status *os.ProcessState // nil: not known
}

// Exited tells that a worker's process has ended and how; st is what exec.Cmd
// has after Wait. The supervisor of a worker calls it, so that the log can say
// what the worker no longer could: a process that was killed, that failed, or
// that ended without closing its publisher gets a record of the master, under the
// worker's name. A process that ended well gets none. Exited does not wait.
func (m *Master) Exited(name string, st *os.ProcessState) {
	if st == nil {
		return
	}
	m.orphans.exited(death{worker: name, pid: st.Pid(), since: time.Now(), status: st})
}

// tell says in the log that a worker has died. The record's run is not the dead
// one: that is over, and its seqs are its own.
func (d death) tell(p *publisher.Publisher) {
	level, msg := record.Error, "worker died"
	fields := []publisher.Field{publisher.Int("pid", d.pid)}
	if d.status != nil {
		sig, signaled := signalOf(d.status)
		switch {
		case signaled && sig.polite:
			// Somebody asked it to end; that it took the default way is no alarm.
			level, msg = record.Warn, "worker ended by signal"
		case signaled:
			level, msg = record.Fatal, "worker killed"
		case !d.status.Success():
			level, msg = record.Error, "worker failed"
		default:
			level, msg = record.Warn, "worker ended without closing its publisher"
		}
		if signaled {
			fields = append(fields, publisher.String("signal", sig.name))
		} else {
			fields = append(fields, publisher.Int("exit_status", d.status.ExitCode()))
		}
	}
	if d.run != "" {
		fields = append(fields,
			publisher.String("dead_run", d.run),
			publisher.Uint64("last_seq", d.last),
			publisher.Uint64("recovered", d.recovered))
	}
	p.Named("logbraid").Log(level, msg, fields...)
}

// worth reports whether the log should mention it.
func (d death) worth() bool { return d.run != "" || d.status != nil && !d.status.Success() }
