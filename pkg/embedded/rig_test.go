package embedded

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/tests/freeport"
)

// TestMain makes this binary the other processes that some tests need.
func TestMain(m *testing.M) {
	switch role := os.Getenv("EMBEDDED_TEST_ROLE"); role {
	case "":
		os.Exit(m.Run())
	case "master":
		port, _ := strconv.Atoi(os.Getenv("EMBEDDED_TEST_PORT"))
		roleMaster(os.Getenv("EMBEDDED_TEST_DIR"), port)
	default:
		roleWorker(role)
	}
}

// roleMaster runs a master until it is killed or its standard input ends.
func roleMaster(dir string, port int) {
	m, err := Start(context.Background(), Config{Dir: dir, Port: port, App: "etl", Handlers: []string{"json://" + dir + "/app.jsonl"}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(m.URL())
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	if err := m.Close(context.Background()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// roleWorker logs ten records and then ends as it is told.
func roleWorker(role string) {
	pub, err := publisher.FromEnv()
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := range 10 {
		pub.Named("work").Info("step", publisher.Int("i", i))
	}
	fmt.Println("logged")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	switch role {
	case "panic":
		panic("the worker's own panic")
	case "leave":
		os.Exit(0)
	}
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	defer cancel()
	if err := pub.Close(ctx); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// process is this binary in another role, with a line of its output at hand.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   *bufio.Reader
	stdin interface{ Close() error }
}

func startRole(t *testing.T, role string, env ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(append(os.Environ(), "EMBEDDED_TEST_ROLE="+role), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &process{t: t, cmd: cmd, out: bufio.NewReader(out), stdin: in}
}

func (p *process) line() string {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("read output: %v (got %q)", err, line)
	}
	return strings.TrimSpace(line)
}

func (p *process) wait() *os.ProcessState {
	_ = p.cmd.Wait()
	return p.cmd.ProcessState
}

func testConfig(dir string) Config {
	return Config{Dir: dir, App: "etl", Handlers: []string{"json://" + filepath.ToSlash(dir) + "/app.jsonl"}}
}

// restartable gives the broker a port that nobody else gets while it is down.
func restartable(t *testing.T, cfg Config) Config {
	t.Helper()
	cfg.Port = freeport.Get(t)
	return cfg
}

func start(t *testing.T, cfg Config) *Master {
	t.Helper()
	m, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	return m
}

// remote is a publisher that comes in from outside, as a worker would.
func remote(t *testing.T, m *Master, name string) *publisher.Publisher {
	t.Helper()
	env := environment(m.WorkerEnv(name))
	pub, err := publisher.New(publisher.Config{
		App: env["LOGBRAID_APP"], Worker: env["LOGBRAID_WORKER"], Prefix: env["LOGBRAID_PREFIX"],
		Conn: natsconn.Config{
			URL: env["LOGBRAID_NATS_URL"], URLFile: env["LOGBRAID_NATS_URL_FILE"],
			TokenFile: env["LOGBRAID_NATS_TOKEN_FILE"], Inbox: env["LOGBRAID_NATS_INBOX"],
		},
		BufferDir: env["LOGBRAID_BUFFER_DIR"], Buffer: 1 << 20, NoCrashOutput: true, CloseTimeout: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = pub.Close(ctx)
	})
	return pub
}

func environment(list []string) map[string]string {
	env := map[string]string{}
	for _, e := range list {
		k, v, _ := strings.Cut(e, "=")
		env[k] = v
	}
	return env
}

// guard is how long anything may take before a test believes that it hangs; no slow machine may reach it.
const guard = 2 * time.Minute

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), guard)
	t.Cleanup(cancel)
	return ctx
}

// entry is a line of the log, as anybody would read it.
type entry struct {
	Level, Logger, Msg, Error, Stack, App, Worker, Run string
	Seq                                                uint64
	I                                                  *int
	Signal                                             string
	ExitStatus                                         *int   `json:"exit_status"`
	DeadRun                                            string `json:"dead_run"`
	LastSeq                                            uint64 `json:"last_seq"`
	Recovered                                          uint64
	PID                                                int
}

func readLog(t *testing.T, dir string) []entry {
	t.Helper()
	return parseLog(t, readFile(t, filepath.Join(dir, "app.jsonl")))
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parseLog(t *testing.T, text []byte) []entry {
	t.Helper()
	var all []entry
	next := map[string]uint64{}
	for _, line := range bytes.SplitAfter(text, []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if next[e.Run]++; e.Seq != next[e.Run] {
			t.Fatalf("run %s of %s: seq %d, want %d", e.Run, e.Worker, e.Seq, next[e.Run])
		}
		all = append(all, e)
	}
	return all
}

// eventually reads the log until it holds what is looked for.
func eventually(t *testing.T, dir string, want func([]entry) bool) []entry {
	t.Helper()
	deadline := time.Now().Add(guard)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		text := readFile(t, filepath.Join(dir, "app.jsonl"))
		// While the collector writes, a line may be there in part.
		all := parseLog(t, text[:bytes.LastIndexByte(text, '\n')+1])
		if want(all) {
			return all
		}
		if time.Now().After(deadline) {
			t.Fatalf("not in the log after %v: %+v", guard, all)
		}
		<-tick.C
	}
}

func find(all []entry, match func(entry) bool) (entry, bool) {
	i := slices.IndexFunc(all, match)
	if i < 0 {
		return entry{}, false
	}
	return all[i], true
}
