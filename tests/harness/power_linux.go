package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A PowerDisk is an ext4 file system on a loop device whose power can be cut: what has not been synced by then is gone, as it is
// for a machine that loses its power.
type PowerDisk struct {
	t     T
	image string
	Dir   string
	cuts  int
}

// NewPowerDisk makes and mounts a file system of so many bytes. It needs root; see CanCutPower.
func NewPowerDisk(t T, size int64) *PowerDisk {
	t.Helper()
	d := &PowerDisk{t: t, image: filepath.Join(t.TempDir(), "disk"), Dir: t.TempDir()}
	if err := d.make(size); err != nil {
		t.Fatalf("make a disk: %v", err)
	}
	if err := d.mount(); err != nil {
		t.Fatalf("mount the disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.Dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", d.Dir, err)
		}
	})
	return d
}

func (d *PowerDisk) make(size int64) error {
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(d.image, size); err != nil {
		return err
	}
	return command("mkfs.ext4", "-q", "-F", d.image)
}

func (d *PowerDisk) mount() error {
	return command("mount", "-t", "ext4", "-o", "loop", d.image, d.Dir)
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Shutdown of ext4 without writing its journal out; include/uapi/linux/ext4.h.
const (
	ext4Shutdown          = 0x8004587d // EXT4_IOC_SHUTDOWN
	ext4ShutdownNoJournal = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH
)

// Cut cuts the power: from now on every call that concerns the disk fails, and nothing more gets onto it.
func (d *PowerDisk) Cut() {
	d.t.Helper()
	if err := d.cut(); err != nil {
		d.t.Fatalf("cut the power of %s: %v", d.Dir, err)
	}
}

func (d *PowerDisk) cut() error {
	dir, err := os.Open(d.Dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.IoctlSetPointerInt(int(dir.Fd()), ext4Shutdown, ext4ShutdownNoJournal)
}

// Restore brings the power back. Whoever had files open on the disk must be dead. A machine numbers its disks as it finds them, so
// every other time the disk has another device number than before.
func (d *PowerDisk) Restore() {
	d.t.Helper()
	Until(d.t, "the disk to be unmounted", func() bool { return syscall.Unmount(d.Dir, 0) == nil })
	// Whoever made a mount namespace meanwhile (a container, a network namespace) has it mounted there still, and as long as it is
	// mounted anywhere, mounting it again would give the one without power.
	Until(d.t, "nobody to have the disk mounted", func() bool { return !d.attached() })
	if d.cuts++; d.cuts%2 == 1 {
		defer d.takeNumber()()
	}
	if err := d.mount(); err != nil {
		d.t.Fatalf("mount the disk again: %v", err)
	}
}

// takeNumber gives the first free loop device, which the disk has just had, to another disk.
func (d *PowerDisk) takeNumber() (giveBack func()) {
	d.t.Helper()
	decoy := filepath.Join(filepath.Dir(d.image), "decoy")
	if err := os.WriteFile(decoy, make([]byte, 4096), 0o600); err != nil {
		d.t.Fatalf("make another disk: %v", err)
	}
	device, err := exec.Command("losetup", "--find", "--show", decoy).Output()
	if err != nil {
		d.t.Fatalf("attach another disk: %v", err)
	}
	return func() {
		if err := command("losetup", "--detach", strings.TrimSpace(string(device))); err != nil {
			d.t.Errorf("detach another disk: %v", err)
		}
	}
}

// attached reports whether a loop device has the image, as it has while it is mounted in any mount namespace.
func (d *PowerDisk) attached() bool {
	files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file) // fails when it is detached meanwhile
		return err == nil && strings.TrimSpace(string(text)) == d.image
	})
}

// CanCutPower says why NewPowerDisk does not work here; nil when it does.
func CanCutPower() error {
	if os.Getuid() != 0 {
		return fmt.Errorf("cutting the power of a disk needs root")
	}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		return fmt.Errorf("cutting the power of a disk: %w", err)
	}
	dir, err := os.MkdirTemp("", "power-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := &PowerDisk{image: filepath.Join(dir, "disk"), Dir: filepath.Join(dir, "mounted")}
	if err := os.Mkdir(d.Dir, 0o700); err != nil {
		return err
	}
	if err := d.make(8 << 20); err != nil {
		return fmt.Errorf("cutting the power of a disk: %w", err)
	}
	if err := d.mount(); err != nil { // no loop devices in many containers
		return fmt.Errorf("cutting the power of a disk: %w", err)
	}
	cut := d.cut()
	if err := syscall.Unmount(d.Dir, 0); err != nil {
		return err
	}
	if cut != nil {
		return fmt.Errorf("cutting the power of a disk: %w", cut)
	}
	return nil
}
