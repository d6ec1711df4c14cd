//go:build linux

// Package compose runs the shipped docker-compose.yml, as it is, and lets happen to it what happens: a killed collector, a
// restarted server, replicas that come and go.
package compose

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/freeport"
	"github.com/logbraid/logbraid/tests/harness"
)

// TestMain is for the harness's conditions only; no process here is a role of this binary.
func TestMain(m *testing.M) { harness.Main(m.Run, nil) }

var delivery = flag.String("delivery", "", "stream or direct, instead of the file's own default")

// The file is accepted by the Compose that is here, and keeps its promises: not root, read-only, loopback only.
func TestCompose(t *testing.T) {
	if testing.Short() {
		t.Skip("builds images")
	}
	if err := exec.Command("docker", "version").Run(); err != nil {
		t.Skipf("no Docker Engine answers here (docker version: %v)", err)
	}
	command, err := composeCommand()
	if err != nil {
		t.Skip(err)
	}
	port := freeport.Get(t)
	p := &project{
		t: t, name: fmt.Sprintf("lbtest%08x", rand.Uint32()), compose: command, ledgers: t.TempDir(),
		env: []string{
			fmt.Sprintf("NATS_PORT=%d", port), fmt.Sprintf("METRICS_PORT=%d", freeport.Get(t)),
			"TRIALS_PAUSE=5ms", "LOGBRAID_DELIVERY=" + *delivery,
			// The builder of the engine itself: it is always there, and asks no registry for what has a name here.
			"DOCKER_BUILDKIT=0", "COMPOSE_DOCKER_CLI_BUILD=0",
		},
	}
	standIns(t, p.name)
	p.dir = buildContext(t)
	t.Cleanup(p.remove)

	p.do("--profile", "analyst", "build")
	p.do("up", "--detach", "--scale", "worker=4")
	p.healthy("nats", 1)
	p.healthy("collector", 1)
	p.healthy("worker", 4)
	p.confined()
	p.progress(4)

	docker(t, "kill", p.containers("collector")[0])
	before := p.results()
	harness.Within(t, patience, "workers to go on without a collector", func() bool { return p.results() > before+100 })
	p.do("start", "collector")
	p.progress(4)

	p.do("run", "--rm", "-T", "passwords", "rotate")
	p.do("restart", "nats")
	p.progress(4)

	p.fromHost(port)
	p.exec()

	// A replica that is killed and taken away for good: the next one that starts finds what it has left.
	docker(t, "rm", "--force", p.containers("worker")[0])
	p.do("--profile", "analyst", "up", "--detach", "--no-recreate", "--scale", "worker=6")
	p.healthy("worker", 6)
	p.progress(6)
	harness.Within(t, patience, "the analyst to show a rate", func() bool {
		return strings.Contains(p.printed("analyst"), "RATE  trials.price: ")
	})

	logs := p.do("logs", "--no-color", "--tail", "100", "collector")
	if !strings.Contains(logs, "round priced") {
		t.Errorf("docker compose logs collector shows no record:\n%.2000s", logs)
	}
	p.silent()
	p.do("stop", "worker")
	harness.Within(t, patience, "the ends of all runs", func() bool { return p.ended() == 9 }) // 4 and 3 more, w1, and the job
	p.do("run", "--rm", "-T", "--no-deps", "collector", "verify", "/var/log/logbraid/app.jsonl")
	p.do("--profile", "analyst", "down")
	p.check()
}

// patience is a guard against hanging, on a machine that has much else to do.
const patience = 5 * time.Minute

// fromHost is a worker outside of Compose, at the published port.
func (p *project) fromHost(port int) {
	p.t.Helper()
	password := p.do("run", "--rm", "-T", "--entrypoint", "cat", "passwords", "/run/secrets/w1/password")
	w1 := harness.StartWorker(p.t, "w1", harness.WorkerSpec{Ledger: p.ledgers, Records: 500},
		harness.PlainEnv(fmt.Sprintf("nats://127.0.0.1:%d", port), "w1",
			"LOGBRAID_DELIVERY="+p.delivery(), "LOGBRAID_NATS_USER=w1", "LOGBRAID_NATS_PASSWORD="+password, "LOGBRAID_NATS_INBOX=_INBOX.w1"))
	if r := w1.Report(); r.Acked != 500 {
		p.t.Errorf("w1: %d of 500 acknowledged: %s", r.Acked, r.Close)
	}
}

var listing = regexp.MustCompile("(?s)```dockerfile\n(.*?)```")

// exec builds the how-to's wrapper for programs that only print, on what is here instead of its base image, and runs it.
func (p *project) exec() {
	p.t.Helper()
	page, err := os.ReadFile("../../docs/how-to/compose.md")
	if err != nil {
		p.t.Fatal(err)
	}
	m := listing.FindSubmatch(page)
	if m == nil {
		p.t.Fatal("docs/how-to/compose.md shows no Dockerfile")
	}
	text := strings.NewReplacer("alpine:3", p.image("nats"), "logbraid/collector", p.image("collector")).Replace(string(m[1]))
	image := p.name + "_job"
	if _, err := execute("", []string{"DOCKER_BUILDKIT=0"}, strings.NewReader(text), "docker", "build", "--tag", image, "-"); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _, _ = execute("", nil, nil, "docker", "rmi", "--force", image) })
	docker(p.t, "run", "--rm", "--read-only", "--network", p.name+"_default", "--volume", p.name+"_buffer:/var/lib/logbraid",
		"--volume", p.name+"_password-worker:/run/secrets:ro", "--env", "LOGBRAID_NATS_URL=nats://nats:4222", "--env", "LOGBRAID_NATS_USER=worker",
		"--env", "LOGBRAID_NATS_PASSWORD_FILE=/run/secrets/password", "--env", "LOGBRAID_NATS_INBOX=_INBOX.worker",
		"--env", "LOGBRAID_APP=trials", "--env", "LOGBRAID_DELIVERY="+p.delivery(), "--env", "LOGBRAID_BUFFER_DIR=/var/lib/logbraid/buffer", image)
	harness.Within(p.t, patience, "what the job printed", func() bool {
		logs := p.printed("collector")
		return strings.Contains(logs, "] table loaded") && strings.Contains(logs, "] no such row")
	})
}

// delivery is what the collector's container is set to.
func (p *project) delivery() string {
	p.t.Helper()
	for v := range strings.Lines(docker(p.t, "inspect", "--format", `{{range .Config.Env}}{{println .}}{{end}}`, p.containers("collector")[0])) {
		if d, ok := strings.CutPrefix(strings.TrimSpace(v), "LOGBRAID_DELIVERY="); ok {
			return d
		}
	}
	p.t.Fatal("the collector's container has no LOGBRAID_DELIVERY")
	return ""
}

// image is one of the project's own, whichever way this Compose names them.
func (p *project) image(service string) string {
	p.t.Helper()
	for _, name := range []string{p.name + "_" + service, p.name + "-" + service} {
		if exec.Command("docker", "image", "inspect", name).Run() == nil {
			return name
		}
	}
	p.t.Fatalf("no image of %s", service)
	return ""
}

// confined holds every container against what the file promises.
func (p *project) confined() {
	p.t.Helper()
	for _, service := range []string{"passwords", "nats", "collector", "worker"} {
		for _, id := range p.containers(service) {
			var c []struct {
				Config     struct{ User string }
				HostConfig struct {
					ReadonlyRootfs bool
					Memory         int64
					CapDrop        []string
					SecurityOpt    []string
					PortBindings   map[string][]struct{ HostIp string }
				}
			}
			if err := json.Unmarshal([]byte(docker(p.t, "inspect", id)), &c); err != nil || len(c) != 1 {
				p.t.Fatalf("inspect %s: %v", service, err)
			}
			h := c[0].HostConfig
			if c[0].Config.User != "65532:65532" || !h.ReadonlyRootfs || h.Memory == 0 || len(h.CapDrop) != 1 || len(h.SecurityOpt) == 0 {
				p.t.Errorf("%s is not confined as promised: %+v", service, c[0])
			}
			for port, bindings := range h.PortBindings {
				for _, b := range bindings {
					if b.HostIp != "127.0.0.1" {
						p.t.Errorf("%s: port %s is published on %q", service, port, b.HostIp)
					}
				}
			}
		}
	}
}

// progress waits until so many workers that have not ended are in the log, each with fifty more records than now.
func (p *project) progress(workers int) {
	p.t.Helper()
	var before map[string]run
	harness.Within(p.t, patience, fmt.Sprintf("progress of %d workers", workers), func() bool {
		runs := p.runs()
		if before == nil && runs != nil {
			before = map[string]run{}
			for _, r := range runs {
				before[r.Run] = r
			}
		}
		n := 0
		for _, r := range runs {
			if r.Written >= before[r.Run].Written+50 {
				n++
			}
		}
		return n >= workers
	})
}

// ended counts the runs that are over, and known to be: their last record is written.
func (p *project) ended() int {
	n := 0
	for _, r := range p.runs() {
		if r.Ended {
			n++
		}
	}
	return n
}

// A run is one life of a worker, as the collector knows it.
type run struct {
	Run     string
	Written int
	Ended   bool
}

// runs asks the collector.
func (p *project) runs() []run {
	out, err := execute("", nil, nil, "docker", "exec", p.containers("collector")[0], "/usr/local/bin/collector", "stats", "--json")
	if err != nil {
		return nil // it may be about to start
	}
	var report struct{ Runs []run }
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		p.t.Fatalf("collector stats: %v\n%s", err, out)
	}
	return report.Runs
}

// results counts the rounds that the workers have done.
func (p *project) results() int {
	p.t.Helper()
	n := 0
	files, err := filepath.Glob(filepath.Join(p.volumes(p.image("worker"), "results"), "results", "*.txt"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			p.t.Fatal(err)
		}
		n += bytes.Count(text, []byte("\n"))
	}
	return n
}

// silent fails the test where one of the passwords stands in what the containers print.
func (p *project) silent() {
	p.t.Helper()
	logs := p.printed("passwords", "nats", "collector", "worker", "analyst")
	names := []string{"password-collector", "password-analyst", "password-worker", "password-w1"}
	dir := p.volumes(p.image("nats"), names...)
	for _, name := range names {
		password, err := os.ReadFile(filepath.Join(dir, name, "password"))
		if err != nil || len(password) != 48 {
			p.t.Fatalf("%s: %d bytes, %v", name, len(password), err)
		}
		if strings.Contains(logs, string(password)) {
			p.t.Errorf("%s stands in the output of a container", name)
		}
	}
}

// check holds the log against the results: the worker writes a result when its log call has returned.
func (p *project) check() {
	p.t.Helper()
	dir := p.volumes(p.image("worker"), "logs", "results", "buffer")
	files, err := filepath.Glob(filepath.Join(dir, "results", "*.txt"))
	if err != nil {
		p.t.Fatal(err)
	}
	if len(files) != 7 {
		p.t.Errorf("%d runs left results, not 4 and 3 more", len(files))
	}
	for _, f := range files {
		if err := ledger(f, p.ledgers); err != nil {
			p.t.Fatal(err)
		}
	}
	harness.Check(p.t, p.ledgers,
		checker.Destination{Path: filepath.Join(dir, "logs", "app.jsonl")},
		checker.Destination{Path: filepath.Join(dir, "logs", "app.log"), Format: checker.Text})
	if left, err := filepath.Glob(filepath.Join(dir, "buffer", "buffer", "*")); err != nil || len(left) > 0 {
		p.t.Errorf("left in the buffer directory: %v, %v", left, err)
	}
}

// ledger turns a file of results, WORKER.RUN.txt with lines "N LEVEL PRICE", into what the checker reads.
func ledger(results, dir string) error {
	worker, rest, _ := strings.Cut(filepath.Base(results), ".")
	runID := strings.TrimSuffix(rest, ".txt")
	in, err := os.ReadFile(results)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "run %s %s\n", runID, worker)
	in = in[:bytes.LastIndexByte(in, '\n')+1]
	for lines := bufio.NewScanner(bytes.NewReader(in)); lines.Scan(); {
		var n int
		var level string
		if _, err := fmt.Sscanf(lines.Text(), "%d %s", &n, &level); err != nil {
			return fmt.Errorf("read %s: %q: %w", results, lines.Text(), err)
		}
		fmt.Fprintf(&out, "a 0 %d %s trials.price\n", n, level)
	}
	return os.WriteFile(filepath.Join(dir, worker+"."+runID+".ledger"), out.Bytes(), 0o644)
}
