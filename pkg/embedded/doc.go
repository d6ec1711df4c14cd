// Package embedded is a master that needs nothing else: a NATS server, the
// collector and the log files of one directory, inside the process that starts
// the workers.
//
//	m, err := embedded.Start(ctx, embedded.Config{Dir: "logs"})
//	...
//	defer m.Close(ctx)
//	cmd.Env = append(os.Environ(), m.WorkerEnv("w1")...)
//
// The server listens on 127.0.0.1 only, and lets in who has a worker's token:
// that worker may publish its own records and nothing else.
//
// # What survives
//
// Everything that a successor needs stands in Dir/.logbraid: the port, the
// tokens, the workers' buffers, the collector's journal. A master that was killed
// and is started again on the same directory takes all of it up; its workers,
// which have lived on meanwhile, reconnect and send what they hold. The buffer of
// a worker that died is sent by the master, under the worker's old run, within a
// second.
//
// # Files
//
//	config.go   what can be set
//	master.go   Start, and what a running master offers
//	close.go    the end, in order
//	broker.go   the server
//	auth.go     who may do what
//	state.go    the files under Dir/.logbraid
//	orphan.go   buffers of workers that died
//	death.go    the record that says so
package embedded
