//go:build unix

// Package harness runs the tests' real processes: the test binary, or the long runs' command, started again in a role.
//
//	func TestMain(m *testing.M) { harness.Main(m.Run, nil) }
//
//	func TestBrokerKilled(t *testing.T) {
//		broker := harness.StartBroker(t, harness.BrokerSpec{})
//		dir, ledger := t.TempDir(), t.TempDir()
//		collector := harness.StartCollector(t, harness.CollectorSpec{URL: broker.URL, Dir: dir})
//		worker := harness.StartWorker(t, "w1", harness.WorkerSpec{Ledger: ledger, Records: 20_000}, harness.PlainEnv(broker.URL)...)
//		broker.Kill()
//		broker.Restart()
//		worker.WaitOK()
//		collector.Stop()
//		harness.Check(t, ledger, checker.Destination{Path: dir + "/app.jsonl"})
//	}
//
// Roles: broker (a nats-server), collector (pkg/collector), master (pkg/embedded), worker (pkg/publisher behind a chosen front
// end, with a ledger for the checker); a test package adds its own in Main. Each role says "ready {json}" on its standard
// output, answers commands on its standard input (stop, stats, ...), and ends when that input ends, so that nothing survives the
// test process.
//
// A test waits for things with Until, Process.Line and Process.Wait: polling or blocking, with a deadline that is only a guard
// against hanging. Proxy stands between a client and a broker and breaks their connection; Trace (trace_linux_amd64.go) stops,
// fails or delays chosen system calls of a role, by number.
package harness
