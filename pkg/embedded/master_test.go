package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/ring"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
	"github.com/logbraid/logbraid/tests/freeport"
)

func TestRecordsOfManyWorkers(t *testing.T) {
	const workers, each = 4, 2000
	dir := t.TempDir()
	m := start(t, testConfig(dir))
	var wg sync.WaitGroup
	for w := range workers {
		pub := remote(t, m, fmt.Sprintf("w%d", w))
		wg.Go(func() {
			log := pub.Named("orders")
			for i := range each {
				log.Info("order", publisher.Int("i", i))
			}
			if err := pub.Close(bounded(t)); err != nil {
				t.Errorf("close worker: %v", err)
			}
		})
	}
	own, err := m.Publisher("master")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := m.Publisher("master"); err != nil || again != own {
		t.Errorf("the same name gave another publisher (%v)", err)
	}
	own.Named("main").Info("started")
	wg.Wait()
	if err := m.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, e := range readLog(t, dir) {
		if e.Logger == "orders" {
			if *e.I != count[e.Worker] {
				t.Fatalf("%s: record %d, want %d", e.Worker, *e.I, count[e.Worker])
			}
			if e.App != "etl" {
				t.Fatalf("app is %q", e.App)
			}
		}
		count[e.Worker]++
	}
	for w := range workers {
		if n := count[fmt.Sprintf("w%d", w)]; n != each {
			t.Errorf("w%d: %d records, want %d", w, n, each)
		}
	}
	if count["master"] != 1 {
		t.Errorf("master: %d records, want 1", count["master"])
	}
	if left := rings(stateOf(dir).buffer()); len(left) > 0 {
		t.Errorf("buffers left behind: %v", left)
	}
	if _, err := m.Publisher("late"); !errors.Is(err, ErrClosed) {
		t.Errorf("a publisher after Close: %v", err)
	}
	if err := m.Close(context.Background()); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestRestartTakesUpPortTokensAndWorkers(t *testing.T) {
	dir := t.TempDir()
	first := start(t, restartable(t, testConfig(dir)))
	url, env := first.URL(), first.WorkerEnv("w1")
	pub := remote(t, first, "w1")
	pub.Named("x").Info("before")
	if err := pub.Flush(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	pub.Named("x").Info("meanwhile")

	second := start(t, testConfig(dir))
	if second.URL() != url {
		t.Errorf("address is %s, want %s again", second.URL(), url)
	}
	if got := second.WorkerEnv("w1"); !slices.Equal(got, env) {
		t.Errorf("environment changed:\n%v\n%v", env, got)
	}
	pub.Named("x").Info("after")
	if err := pub.Flush(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if _, earlier := second.Stats().Earlier[pub.Identity().Run]; !earlier {
		t.Error("the worker's run is not known to be older than the master")
	}
	if err := second.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, e := range readLog(t, dir) {
		if e.Worker == "w1" {
			said = append(said, e.Msg)
		}
	}
	if want := []string{"before", "meanwhile", "after"}; !slices.Equal(said, want) {
		t.Errorf("got %v, want %v", said, want)
	}
}

// A worker that outlives its master neither hangs at its end nor loses anything,
// also when it does what everybody does: defer pub.Close(ctx).
func TestWorkerOutlivesItsMaster(t *testing.T) {
	if !ring.Supported {
		t.Skip("no buffer files on this system")
	}
	dir := t.TempDir()
	first := start(t, testConfig(dir))
	pub := remote(t, first, "w1")
	if err := first.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	pub.Named("x").Info("said to nobody")
	err := pub.Close(context.Background())
	var unacked *publisher.UnackedError
	if !errors.As(err, &unacked) || unacked.Records != 1 || unacked.Kept == "" {
		t.Fatalf("got %v, want an UnackedError with the file that keeps it", err)
	}
	second := start(t, testConfig(dir))
	if err := second.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	all := readLog(t, dir)
	if _, ok := find(all, func(e entry) bool { return e.Msg == "said to nobody" }); !ok {
		t.Error("the next master did not deliver it")
	}
	// It was closed; nobody has died.
	if e, ok := find(all, func(e entry) bool { return e.DeadRun != "" }); ok {
		t.Errorf("a death was told: %+v", e)
	}
}

// Somebody else has the port when the master comes back: workers that live on
// find the new one in the address file.
func TestWorkersFollowToAnotherPort(t *testing.T) {
	dir := t.TempDir()
	first := start(t, restartable(t, testConfig(dir)))
	pub := remote(t, first, "w1")
	pub.Named("x").Info("before")
	if err := pub.Flush(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", strings.TrimPrefix(first.URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()

	second := start(t, testConfig(dir))
	if second.URL() == first.URL() {
		t.Fatal("two on one port")
	}
	pub.Named("x").Info("after")
	if err := pub.Flush(bounded(t)); err != nil {
		t.Fatal(err)
	}
}

func TestSecondStartNamesTheFirst(t *testing.T) {
	dir := t.TempDir()
	refused := func(pid int) {
		t.Helper()
		before, err := os.ReadFile(stateOf(dir).address())
		if err != nil {
			t.Fatal(err)
		}
		m, err := Start(context.Background(), testConfig(dir))
		if err == nil {
			_ = m.Close(context.Background())
			t.Fatal("two masters on one directory")
		}
		var running *RunningError
		if !errors.Is(err, ErrRunning) || !errors.As(err, &running) {
			t.Fatalf("got %v, want a RunningError", err)
		}
		if running.PID != pid || running.Since.IsZero() || !strings.Contains(err.Error(), strconv.Itoa(pid)) || !strings.Contains(err.Error(), dir) {
			t.Errorf("error does not name process %d: %v", pid, err)
		}
		after, err := os.ReadFile(stateOf(dir).address())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, after) {
			t.Error("the second one changed the first one's address")
		}
	}

	t.Run("in this process", func(t *testing.T) {
		m := start(t, testConfig(dir))
		refused(os.Getpid())
		pub := remote(t, m, "w1") // the first is none the worse for it
		pub.Named("x").Info("still there")
		if err := pub.Close(bounded(t)); err != nil {
			t.Error(err)
		}
		if err := m.Close(bounded(t)); err != nil {
			t.Error(err)
		}
	})
	t.Run("in another process", func(t *testing.T) {
		other := startRole(t, "master", "EMBEDDED_TEST_DIR="+dir)
		if url := other.line(); !strings.HasPrefix(url, "nats://127.0.0.1:") {
			t.Fatal(url)
		}
		refused(other.cmd.Process.Pid)
		// A lock dies with its holder.
		if err := other.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		other.wait()
		start(t, testConfig(dir))
	})
}

// A master is killed and another takes its place; the worker, a process of its
// own, notices nothing.
func TestKilledMaster(t *testing.T) {
	dir := t.TempDir()
	first := startRole(t, "master", "EMBEDDED_TEST_DIR="+dir, fmt.Sprint("EMBEDDED_TEST_PORT=", freeport.Get(t)))
	url := first.line()
	// The worker's environment is what the first master would have given.
	token := newAuth(stateOf(dir).tokens(), "logs", "etl")
	path, err := token.issue("w1")
	if err != nil {
		t.Fatal(err)
	}
	worker := startRole(t, "close", "LOGBRAID_NATS_URL="+url, "LOGBRAID_NATS_URL_FILE="+stateOf(dir).address(),
		"LOGBRAID_NATS_TOKEN_FILE="+path, "LOGBRAID_NATS_INBOX="+inbox("w1"), "LOGBRAID_APP=etl", "LOGBRAID_WORKER=w1",
		"LOGBRAID_BUFFER_DIR="+stateOf(dir).buffer())
	if l := worker.line(); l != "logged" {
		t.Fatal(l)
	}
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.wait()

	second := start(t, testConfig(dir))
	if second.URL() != url {
		t.Errorf("address is %s, want %s", second.URL(), url)
	}
	_ = worker.stdin.Close()
	if st := worker.wait(); !st.Success() {
		t.Fatalf("worker: %v", st)
	}
	if err := second.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if n := len(slices.DeleteFunc(readLog(t, dir), func(e entry) bool { return e.Logger != "work" })); n != 10 {
		t.Errorf("%d records of the worker, want 10", n)
	}
}

func TestCloseTellsWhatIsUndelivered(t *testing.T) {
	if !ring.Supported {
		t.Skip("no buffer files on this system")
	}
	dir := t.TempDir()
	m := start(t, testConfig(dir))
	// A worker that is stopped: its buffer is locked and full, and nobody sends.
	id := record.Identity{App: "etl", Worker: "w9", Run: record.NewRun()}
	r, err := ring.Create(filepath.Join(stateOf(dir).buffer(), ring.FileName(id)), 64<<10, id, "logs")
	if err != nil {
		t.Fatal(err)
	}
	for range 7 {
		line := record.GetLine()
		line.Start(time.Now(), record.Info, "work", "stuck")
		if _, err := r.Append(line.Finish(1000), 100); err != nil {
			t.Fatal(err)
		}
		line.Free()
	}
	// What the collector says of its own start is not what this Close is to leave undone.
	eventually(t, dir, func(all []entry) bool { return len(all) == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err = m.Close(ctx)
	var undelivered *UndeliveredError
	if !errors.As(err, &undelivered) {
		t.Fatalf("got %v, want an UndeliveredError", err)
	}
	if undelivered.Records != 7 || undelivered.Workers["w9"] != 7 || len(undelivered.Workers) != 1 {
		t.Errorf("got %+v", undelivered)
	}
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "w9: 7") {
		t.Errorf("error: %v", err)
	}
	if again := m.Close(context.Background()); !errors.As(again, &undelivered) {
		t.Errorf("second Close: %v", again)
	}
	if got := len(readLog(t, dir)); got != 1 { // the collector's start
		t.Errorf("%d records in the log", got)
	}

	// Now it dies. The next master delivers what it held.
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	next := start(t, testConfig(dir))
	all := eventually(t, dir, func(all []entry) bool {
		_, ok := find(all, func(e entry) bool { return e.DeadRun == id.Run })
		return ok
	})
	death, _ := find(all, func(e entry) bool { return e.DeadRun == id.Run })
	if death.Level != "error" || death.Worker != "w9" || death.LastSeq != 7 || death.Recovered != 7 || death.Run == id.Run {
		t.Errorf("record of the death: %+v", death)
	}
	if n := len(slices.DeleteFunc(all, func(e entry) bool { return e.Run != id.Run })); n != 7 {
		t.Errorf("%d records of the dead run, want 7", n)
	}
	if s := next.Stats().Orphans; s.Buffers != 1 || s.Records != 7 || s.Deaths != 1 {
		t.Errorf("orphans: %+v", s)
	}
	if err := next.Close(bounded(t)); err != nil {
		t.Error(err)
	}
}

// How workers may end, and what the log says about it.
func TestDeaths(t *testing.T) {
	if !ring.Supported {
		t.Skip("no buffer files on this system")
	}
	dir := t.TempDir()
	m := start(t, testConfig(dir))
	one := func(name, role string, end func(*process)) (pid int, all []entry, st *os.ProcessState) {
		t.Helper()
		w := startRole(t, role, m.WorkerEnv(name)...)
		if l := w.line(); l != "logged" {
			t.Fatal(l)
		}
		end(w)
		st = w.wait()
		m.Exited(name, st)
		all = eventually(t, dir, func(all []entry) bool {
			n := len(slices.DeleteFunc(slices.Clone(all), func(e entry) bool { return e.Worker != name || e.Logger != "work" }))
			_, told := find(all, func(e entry) bool { return e.Worker == name && e.Logger == "logbraid" })
			return n == 10 && (told || role == "close")
		})
		return w.cmd.Process.Pid, all, st
	}

	t.Run("killed", func(t *testing.T) {
		pid, all, _ := one("killed", "close", func(w *process) { _ = w.cmd.Process.Kill() })
		all = eventually(t, dir, func(now []entry) bool {
			all = now
			_, ok := find(all, func(e entry) bool { return e.Worker == "killed" && e.DeadRun != "" })
			return ok
		})
		e, _ := find(all, func(e entry) bool { return e.Worker == "killed" && e.DeadRun != "" })
		dead, _ := find(all, func(e entry) bool { return e.Worker == "killed" && e.Logger == "work" })
		if e.Level != "fatal" || e.Signal != "SIGKILL" || e.PID != pid || e.LastSeq != 10 || e.DeadRun != dead.Run || e.ExitStatus != nil {
			t.Errorf("%+v", e)
		}
	})
	t.Run("panic", func(t *testing.T) {
		_, all, st := one("panics", "panic", func(w *process) { _ = w.stdin.Close() })
		dead, _ := find(all, func(e entry) bool { return e.Worker == "panics" && e.Logger == "work" })
		crash, ok := find(all, func(e entry) bool { return e.Worker == "panics" && e.Stack != "" })
		if !ok || crash.Level != "fatal" || crash.Run != dead.Run || crash.Seq != 11 ||
			!strings.Contains(crash.Msg, "the worker's own panic") || !strings.Contains(crash.Stack, "roleWorker") {
			t.Errorf("crash: %+v", crash)
		}
		// Either the crash's record or the death's has the status.
		if _, ok := find(all, func(e entry) bool {
			return e.Worker == "panics" && e.ExitStatus != nil && *e.ExitStatus == st.ExitCode()
		}); !ok {
			eventually(t, dir, func(all []entry) bool {
				_, ok := find(all, func(e entry) bool { return e.Worker == "panics" && e.ExitStatus != nil && *e.ExitStatus == 2 })
				return ok
			})
		}
	})
	t.Run("left without closing", func(t *testing.T) {
		_, all, _ := one("leaves", "leave", func(w *process) { _ = w.stdin.Close() })
		e, _ := find(all, func(e entry) bool { return e.Worker == "leaves" && e.DeadRun != "" })
		if e.Level != "warn" || e.ExitStatus == nil || *e.ExitStatus != 0 || e.LastSeq != 10 {
			t.Errorf("%+v", e)
		}
	})
	t.Run("closed", func(t *testing.T) {
		_, _, st := one("closes", "close", func(w *process) { _ = w.stdin.Close() })
		if !st.Success() {
			t.Error(st)
		}
	})
	if err := m.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	all := readLog(t, dir)
	if e, ok := find(all, func(e entry) bool { return e.Worker == "closes" && e.Logger == "logbraid" }); ok {
		t.Errorf("a worker that ended well is told of: %+v", e)
	}
	deaths := map[string]int{}
	for _, e := range all {
		if e.Logger == "logbraid" && e.App == "etl" && e.Stack == "" {
			deaths[e.Worker]++
		}
	}
	for name, n := range deaths {
		if n != 1 {
			t.Errorf("%s died %d times", name, n)
		}
	}
}

func TestValidateFindsEverything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	_, err := Start(context.Background(), Config{
		Dir: dir, App: strings.Repeat("x", 300), Handlers: []string{"nosuch://x", "json://"}, FSync: "sometimes",
		Prefix: "a b", Port: 70000, Buffer: 1, Levels: "loud",
	})
	if err == nil {
		t.Fatal("started")
	}
	settings := map[string]bool{}
	for _, p := range problem.In(err) {
		settings[p.Setting] = true
	}
	for _, want := range []string{"LOGBRAID_APP", "LOGBRAID_HANDLERS", "LOGBRAID_FSYNC", "LOGBRAID_PREFIX", "LOGBRAID_LISTEN", "LOGBRAID_BUFFER", "LOGBRAID_LEVELS"} {
		if !settings[want] {
			t.Errorf("%s is not among the problems: %v", want, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made all the same: %v", err)
	}
}

// What the user of the nats program has in the environment must not get between
// a worker and its master.
func TestWorkerEnvIsEnough(t *testing.T) {
	dir := t.TempDir()
	m := start(t, testConfig(dir))
	env := append([]string{
		"NATS_URL=nats://elsewhere.example:4222", "NATS_CREDS=/nowhere/creds", "NATS_TOKEN=x", "NATS_USER=y", "NATS_CA=/nowhere/ca",
		"LOGBRAID_NATS_CREDS=/nowhere/creds", "LOGBRAID_NATS_TOKEN=other", "LOGBRAID_WORKER=other",
	}, m.WorkerEnv("w1")...)
	w := startRole(t, "close", env...)
	if l := w.line(); l != "logged" {
		t.Fatal(l)
	}
	_ = w.stdin.Close()
	if st := w.wait(); !st.Success() {
		t.Fatal(st)
	}
	if n := len(readLog(t, dir)); n != 11 {
		t.Errorf("%d records, want the collector's and 10", n)
	}
}

// A worker chooses where the collector's answers go, and the collector may
// publish anywhere: it must not be made to speak for another worker.
func TestWorkerCannotSpeakThroughTheCollector(t *testing.T) {
	dir := t.TempDir()
	m := start(t, testConfig(dir))
	env := environment(m.WorkerEnv("w1"))
	token, err := os.ReadFile(env["LOGBRAID_NATS_TOKEN_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(m.URL(), nats.Timeout(guard), nats.Token(strings.TrimSpace(string(token))), nats.CustomInboxPrefix(env["LOGBRAID_NATS_INBOX"]))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	batch := func(reply string) *nats.Msg {
		msg := nats.NewMsg(record.Subject("logs", "etl", "w1"))
		msg.Reply = reply
		b := record.Batch{Run: "forged", First: 1, End: true, Oldest: 1, CRC: record.Checksum(nil)}
		msg.Header.Set(record.HeaderName, string(b.AppendHeader(nil)))
		return msg
	}
	if err := nc.PublishMsg(batch(record.Subject("logs", "etl", "w2"))); err != nil {
		t.Fatal(err)
	}
	// Its answer stands behind the other one, if there is one.
	if _, err := nc.RequestMsg(batch(""), guard); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if e, ok := find(readLog(t, dir), func(e entry) bool { return e.Worker == "w2" }); ok {
		t.Errorf("the log has a record of w2, which never spoke: %+v", e)
	}
}
