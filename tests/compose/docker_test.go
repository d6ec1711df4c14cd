//go:build linux

package compose

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

// A project is one run of the shipped docker-compose.yml, under a name of its own, in a copy of what the images are built from.
type project struct {
	t       *testing.T
	name    string
	dir     string
	env     []string
	compose []string // docker-compose, or docker compose
	ledgers string
}

// composeCommand finds Compose: docker-compose 1.29 or the v2 plugin, whichever is there.
func composeCommand() ([]string, error) {
	if path, err := exec.LookPath("docker-compose"); err == nil {
		return []string{path}, nil
	}
	if exec.Command("docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}, nil
	}
	return nil, fmt.Errorf("neither docker-compose nor the compose plugin of docker is installed")
}

// do runs a command of Compose and returns its standard output.
func (p *project) do(args ...string) string {
	p.t.Helper()
	out, err := p.try(args...)
	if err != nil {
		p.t.Fatalf("%v", err)
	}
	return out
}

func (p *project) try(args ...string) (string, error) {
	all := append(append(append([]string{}, p.compose...), "--project-name", p.name), args...)
	return execute(p.dir, p.env, nil, all...)
}

// docker runs a command of docker and returns its standard output.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := execute("", nil, nil, append([]string{"docker"}, args...)...)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return strings.TrimSpace(out)
}

func execute(dir string, env []string, stdin io.Reader, command ...string) (string, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if stdin != nil {
		cmd.Stdin = stdin
	}
	var out, diagnostics bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diagnostics
	if err := cmd.Run(); err != nil {
		text := out.String() + diagnostics.String()
		return out.String(), fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, text[max(0, len(text)-4096):])
	}
	return out.String(), nil
}

// containers are the ids of a service's containers, running or not.
func (p *project) containers(service string) []string {
	p.t.Helper()
	return strings.Fields(docker(p.t, "ps", "-aq", "--filter", "label=com.docker.compose.project="+p.name, "--filter", "label=com.docker.compose.service="+service))
}

// printed is all that the containers of some services have printed. (docker-compose logs takes its time for that much.)
func (p *project) printed(services ...string) string {
	p.t.Helper()
	var all strings.Builder
	for _, s := range services {
		for _, id := range p.containers(s) {
			out, err := exec.Command("docker", "logs", id).CombinedOutput()
			if err != nil {
				p.t.Fatalf("docker logs: %v\n%.1000s", err, out)
			}
			all.Write(out)
		}
	}
	return all.String()
}

// healthy waits until so many containers of a service run and are healthy.
func (p *project) healthy(service string, n int) {
	p.t.Helper()
	harness.Within(p.t, patience, fmt.Sprintf("%d healthy containers of %s", n, service), func() bool {
		ids := strings.Fields(docker(p.t, "ps", "-q", "--filter", "health=healthy", "--filter", "label=com.docker.compose.project="+p.name, "--filter", "label=com.docker.compose.service="+service))
		return len(ids) == n
	})
}

// remove takes away whatever the run has made: containers, volumes, networks, images.
func (p *project) remove() {
	if p.t.Failed() {
		if logs, err := p.try("logs", "--no-color", "--tail", "40"); err == nil {
			p.t.Logf("%s", logs)
		}
	}
	if _, err := p.try("--profile", "analyst", "down", "--volumes", "--rmi", "local", "--remove-orphans", "--timeout", "10"); err != nil {
		p.t.Errorf("%v", err)
	}
	// What building left without a name carries the label of the images that it was built from.
	if _, err := execute("", nil, nil, "docker", "image", "prune", "--force", "--filter", "label="+label+"="+p.name); err != nil {
		p.t.Errorf("%v", err)
	}
}
