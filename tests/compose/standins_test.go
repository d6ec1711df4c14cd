//go:build linux

package compose

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

// label marks the stand-ins, and by inheritance all that is built from them.
const label = "logbraid.test"

// standIns makes an image under each name that the Dockerfile builds from and that is not on this machine: no registry is asked.
// It takes them away at the end of the test.
//
//	the Go image   the toolchain that runs this test, with busybox as its shell
//	the NATS image a static nats-server of go.mod's version, with busybox as shell and wget
//	the final one  nothing at all
func standIns(t *testing.T, project string) {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	box := busybox(t)
	alone(t)
	made := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(text), -1) {
		name := m[1]
		if made[name] || exec.Command("docker", "image", "inspect", name).Run() == nil {
			continue
		}
		made[name] = true
		var root *rootFS
		switch {
		case strings.HasPrefix(name, "golang:"):
			root = goImage(t, box)
		case strings.HasPrefix(name, "nats:"):
			root = natsImage(t, box, name)
		case strings.Contains(name, "/distroless/static"):
			root = newRootFS(t)
		default:
			t.Fatalf("the Dockerfile builds from %s, and there is no stand-in for it", name)
		}
		root.load(name, project)
	}
}

// alone waits until no other test on this machine uses the stand-ins: they have the same names for all.
func alone(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "logbraid-compose-test.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
}

// A rootFS is the content of an image in the making: a tar file.
type rootFS struct {
	t    *testing.T
	file *os.File
	tar  *tar.Writer
	env  string
}

func newRootFS(t *testing.T) *rootFS {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "root-*.tar")
	if err != nil {
		t.Fatal(err)
	}
	r := &rootFS{t: t, file: file, tar: tar.NewWriter(file)}
	r.dir("tmp", 0o1777)
	r.dir("etc", 0o755)
	return r
}

func (r *rootFS) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rootFS) dir(name string, mode int64) {
	r.t.Helper()
	r.check(r.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}))
}

func (r *rootFS) copy(from, name string, mode int64) {
	r.t.Helper()
	f, err := os.Open(from)
	r.check(err)
	defer f.Close()
	st, err := f.Stat()
	r.check(err)
	r.check(r.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: st.Size()}))
	_, err = io.Copy(r.tar, f)
	r.check(err)
}

// shell adds busybox under the names of its programs that are needed.
func (r *rootFS) shell(box string, programs ...string) {
	r.t.Helper()
	r.dir("bin", 0o755)
	r.copy(box, "bin/busybox", 0o755)
	for _, p := range programs {
		r.check(r.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: "bin/" + p, Linkname: "bin/busybox", Mode: 0o755}))
	}
	r.env = "PATH=/usr/local/go/bin:/usr/local/bin:/bin"
}

// load makes the image, and sees to it that it goes away again.
func (r *rootFS) load(name, project string) {
	r.t.Helper()
	r.check(r.tar.Close())
	r.check(r.file.Close())
	args := []string{"import", "--change", "LABEL " + label + "=" + project}
	if r.env != "" {
		args = append(args, "--change", "ENV "+r.env)
	}
	docker(r.t, append(args, r.file.Name(), name)...)
	r.check(os.Remove(r.file.Name()))
	r.t.Cleanup(func() {
		if _, err := execute("", nil, nil, "docker", "rmi", "--force", name); err != nil {
			r.t.Errorf("%v", err)
		}
	})
}

func goImage(t *testing.T, box string) *rootFS {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	goroot := strings.TrimSpace(string(out))
	r := newRootFS(t)
	r.shell(box, "sh", "mkdir")
	skip := map[string]bool{"test": true, "doc": true, "api": true, "misc": true, "testdata": true}
	err = filepath.WalkDir(goroot, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(goroot, path)
		name := filepath.Join("usr/local/go", rel)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || skip[rel]):
			return fs.SkipDir
		case d.IsDir():
			r.dir(name, 0o755)
		case d.Type().IsRegular() && !strings.HasSuffix(path, "_test.go"):
			st, err := d.Info()
			if err != nil {
				return err
			}
			r.copy(path, name, int64(st.Mode().Perm()))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func natsImage(t *testing.T, box, name string) *rootFS {
	t.Helper()
	version, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/nats-io/nats-server/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimPrefix(strings.TrimSpace(string(version)), "v"); name != "nats:"+want+"-alpine" {
		t.Fatalf("the Dockerfile takes %s, go.mod the server's version %s", name, want)
	}
	program := filepath.Join(t.TempDir(), "nats-server")
	if err := harness.Build(program, "github.com/nats-io/nats-server/v2"); err != nil {
		t.Fatal(err)
	}
	r := newRootFS(t)
	r.shell(box, "sh", "cat", "echo", "head", "mv", "od", "tr", "wget")
	r.copy(program, "usr/local/bin/nats-server", 0o755)
	return r
}

// busybox finds one that needs no libraries.
func busybox(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("the stand-ins for the base images need busybox (Debian: busybox-static)")
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Skip("the stand-ins for the base images need a static busybox (Debian: busybox-static)")
		}
	}
	return path
}

// buildContext copies what the images are built from, with the modules beside it: the container that builds reaches no module
// proxy.
func buildContext(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"Dockerfile", ".dockerignore", "docker-compose.yml", "go.mod", "go.sum", "cmd", "internal", "pkg", "deploy", "docs/examples"} {
		err := filepath.WalkDir(filepath.Join("../..", name), func(path string, d fs.DirEntry, err error) error {
			rel, _ := filepath.Rel("../..", path)
			to := filepath.Join(dir, rel)
			switch {
			case err != nil:
				return err
			case d.IsDir():
				return os.MkdirAll(to, 0o755)
			case strings.HasSuffix(path, "_test.go"):
				return nil
			}
			text, err := os.ReadFile(path)
			return errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, text, 0o644))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	vendor := exec.Command("go", "mod", "vendor")
	vendor.Dir = dir
	if out, err := vendor.CombinedOutput(); err != nil {
		t.Fatalf("go mod vendor: %v\n%s", err, out)
	}
	return dir
}

// volumes copies volumes of the project to this side, where their owner does not matter.
func (p *project) volumes(image string, names ...string) string {
	p.t.Helper()
	dir := p.t.TempDir()
	args := []string{"create"}
	for _, n := range names {
		args = append(args, "--volume", p.name+"_"+n+":/volumes/"+n+":ro")
	}
	id := docker(p.t, append(args, image, "unused")...)
	defer docker(p.t, "rm", id)
	archive, err := execute("", nil, nil, "docker", "cp", id+":/volumes", "-")
	if err != nil {
		p.t.Fatalf("%v", err)
	}
	if err := extract(strings.NewReader(archive), dir); err != nil {
		p.t.Fatalf("%v", err)
	}
	return filepath.Join(dir, "volumes")
}

func extract(r io.Reader, dir string) error {
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read volume: %w", err)
		}
		path := filepath.Join(dir, filepath.Clean("/"+h.Name))
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o755)
		case tar.TypeReg:
			var text bytes.Buffer
			if _, err = io.Copy(&text, in); err == nil {
				err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, text.Bytes(), 0o644))
			}
		}
		if err != nil {
			return fmt.Errorf("copy volume: %w", err)
		}
	}
}
