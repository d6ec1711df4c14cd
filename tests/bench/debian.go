package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A debian is a program that Debian packages. When it is not installed, its package is unpacked into a directory of its own: two
// syslog daemons exclude each other as installed packages, and a bench should not make one of them the machine's.
type debian struct {
	program, name string
	root          string // where it was unpacked; "" if it is installed
	path          string // of the program
}

var (
	rsyslogd = &debian{program: "rsyslogd", name: "rsyslog"}
	syslogng = &debian{program: "syslog-ng", name: "syslog-ng-core"}
)

// need finds the program, or makes it be there.
func (d *debian) need(ctx context.Context, _ *Bench) error {
	if d.path != "" || d.find(append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin")) {
		return nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("%w: %w", errSkip, err)
	}
	d.root = filepath.Join(cache, "logbraid-bench", d.name)
	sbin := []string{filepath.Join(d.root, "usr/sbin"), filepath.Join(d.root, "sbin")}
	if d.find(sbin) {
		return nil
	}
	if os.Getuid() != 0 {
		return fmt.Errorf("%w: %s is not installed, and only root can install what it needs", errSkip, d.program)
	}
	if err := d.unpack(ctx); err != nil {
		return fmt.Errorf("%w: %w", errSkip, err)
	}
	if !d.find(sbin) {
		return fmt.Errorf("%w: %s is not in the package %s", errSkip, d.program, d.name)
	}
	return nil
}

func (d *debian) find(dirs []string) bool {
	for _, dir := range dirs {
		path := filepath.Join(dir, d.program)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			d.path = path
			return true
		}
	}
	return false
}

// unpack installs the libraries that the package depends on, and unpacks the package itself into d.root.
func (d *debian) unpack(ctx context.Context) error {
	if err := os.MkdirAll(d.root, 0o755); err != nil {
		return err
	}
	depends, err := exec.CommandContext(ctx, "apt-cache", "depends", "--no-recommends", "--no-suggests", d.name).Output()
	if err != nil {
		return fmt.Errorf("ask what %s depends on: %w", d.name, err)
	}
	install := []string{"install", "-qy", "--no-install-recommends"}
	for line := range strings.Lines(string(depends)) {
		if lib, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: lib"); ok {
			install = append(install, "lib"+lib)
		}
	}
	if err := aptGet(ctx, d.root, install...); err != nil {
		return err
	}
	if err := aptGet(ctx, d.root, "download", d.name); err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(d.root, d.name+"_*.deb"))
	if err != nil || len(packages) != 1 {
		return fmt.Errorf("apt-get download %s left %d packages", d.name, len(packages))
	}
	if out, err := exec.CommandContext(ctx, "dpkg", "-x", packages[0], d.root).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", packages[0], err, out)
	}
	return nil
}

func aptGet(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("apt-get %s: %w: %s", strings.Join(args, " "), err, lines[len(lines)-1])
	}
	return nil
}

// command runs the program, which finds its modules and libraries where it was unpacked. modules names the option that says where
// the modules are; dir is where the package keeps them, which may hold wildcards.
func (d *debian) command(modules, dir string, args ...string) (*exec.Cmd, error) {
	if d.root == "" {
		return exec.Command(d.path, args...), nil
	}
	found, err := filepath.Glob(filepath.Join(d.root, dir))
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("%s has no modules in %s", d.name, dir)
	}
	cmd := exec.Command(d.path, append([]string{modules + found[0]}, args...)...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+found[0]+":"+filepath.Dir(found[0]))
	return cmd, nil
}
