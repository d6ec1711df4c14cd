//go:build linux

package faults

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/tests/checker"
	"github.com/logbraid/logbraid/tests/harness"
)

// meddle has a worker log while somebody else does something to the log files; again and again they say.
func meddle(t *testing.T, delivery string, times int, deed func(r *rig, round int)) *rig {
	t.Helper()
	r := newRig(t, delivery, setup{})
	w := r.worker("w1", steady)
	w.Log(200)
	r.written(w)
	for round := range times {
		w.BeginLog(4000)
		deed(r, round)
		w.WaitLogged()
		r.written(w)
	}
	r.finish(w)
	return r
}

// there waits until the collector has begun a file anew, within the second that it is given.
func there(t *testing.T, path string) {
	t.Helper()
	harness.Within(t, limit(time.Second), "a new "+filepath.Base(path), func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() > 0
	})
}

// aside gives each log's files in order: those that were put aside in each round, and the present one.
func aside(r *rig, rounds int) []checker.Destination {
	var logs []checker.Destination
	for _, d := range r.logs {
		for round := range rounds {
			d.Files = append(d.Files, away(d.Path, round))
		}
		d.Files = append(d.Files, d.Path)
		logs = append(logs, d)
	}
	return logs
}

func away(path string, round int) string { return path + ".away-" + string(rune('a'+round)) }

// Row 23: logrotate renames the files under the collector's hands. Reopened in less than a second, 0L0D.
func TestFault23Renamed(t *testing.T) { both(t, renamed) }

func renamed(t *testing.T, delivery string) {
	r := meddle(t, delivery, 3, func(r *rig, round int) {
		for _, d := range r.logs {
			if err := os.Rename(d.Path, away(d.Path, round)); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range r.logs {
			there(t, d.Path)
		}
	})
	r.logs = aside(r, 3)
	r.check()
}

// Row 23: the files are deleted. The collector begins new ones; with hard links the test keeps the deleted ones and finds
// everything in one or the other.
func TestFault23Deleted(t *testing.T) { both(t, deleted) }

func deleted(t *testing.T, delivery string) {
	r := meddle(t, delivery, 3, func(r *rig, round int) {
		for _, d := range r.logs {
			if err := os.Link(d.Path, away(d.Path, round)); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(d.Path); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range r.logs {
			there(t, d.Path)
		}
	})
	r.logs = aside(r, 3)
	r.check()
	told(t, r, "delete")
}

// Row 23: copytruncate. What is written between the copy and the truncation is lost, by the one who truncates; there is no hole of
// zero bytes and no torn line, and the log says what happened.
func TestFault23CopyTruncate(t *testing.T) { both(t, copyTruncate) }

func copyTruncate(t *testing.T, delivery string) {
	r := meddle(t, delivery, 3, func(r *rig, round int) {
		for _, d := range r.logs {
			if out, err := exec.Command("cp", d.Path, away(d.Path, round)).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if err := os.Truncate(d.Path, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
	r.collector.CatchUp()
	// Where nothing more was written behind the last truncation, only the look that comes once a second notices it.
	harness.Until(t, "the collector to tell of the last truncation", func() bool { return tells(t, r, "shorter", "truncate", "emptied") })
	r.collector.Stop()
	accepted, err := checker.ReadLedgers(r.ledgers)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range aside(r, 3) {
		for _, file := range d.Files[:3] {
			wholeLines(t, file) // cp may have stopped in the middle of a line
		}
		report, err := checker.Check(accepted, d)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(report)
		for kind, n := range report.Counts {
			if kind != checker.Lost && kind != checker.Accounting {
				t.Errorf("%d %s: %v", n, kind, report.Err())
			}
		}
	}
}

// wholeLines cuts what follows the last newline.
func wholeLines(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(bytes.LastIndexByte(b, '\n')+1)); err != nil {
		t.Fatal(err)
	}
}

// told says that a record of the collector's own has one of the words in it.
func told(t *testing.T, r *rig, words ...string) {
	t.Helper()
	if !tells(t, r, words...) {
		t.Errorf("none of %q in what the collector says of itself:\n%s", words, strings.Join(own(t, r), ""))
	}
}

// tells looks for a record of the collector's own that has one of the words in it.
func tells(t *testing.T, r *rig, words ...string) bool {
	t.Helper()
	return slices.ContainsFunc(own(t, r), func(line string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(strings.ToLower(line), word) })
	})
}

// own are the lines of the JSON log in which the collector speaks of itself.
func own(t *testing.T, r *rig) []string {
	t.Helper()
	b, err := os.ReadFile(r.logs[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, `"logger":"logbraid"`) {
			lines = append(lines, line)
		}
	}
	return lines
}

// unseen does something to the log directory while the collector is stopped, which once a second looks at it: it finds all of it done.
func (r *rig) unseen(deed func() error) {
	r.t.Helper()
	r.collector.Pause()
	err := deed()
	r.collector.Continue()
	if err != nil {
		r.t.Fatal(err)
	}
}

// Row 24: the log directory is deleted under the collector. It stalls or makes it anew, and says so; it does not go on writing
// into files that nobody can see.
func TestFault24DirectoryDeleted(t *testing.T) { both(t, directoryDeleted) }

func directoryDeleted(t *testing.T, delivery string) {
	r := newRig(t, delivery, setup{})
	keep := t.TempDir() // hard links: the same file system as the log directory
	w := r.worker("w1", steady)
	w.Log(500)
	r.written(w)
	var logs []checker.Destination
	for _, d := range r.logs {
		kept := filepath.Join(keep, filepath.Base(d.Path))
		if err := os.Link(d.Path, kept); err != nil {
			t.Fatal(err)
		}
		d.Files = []string{kept, d.Path}
		logs = append(logs, d)
	}
	// In a directory that is half deleted it would make a file anew, which is in the way, or is deleted as well with what was said in it.
	r.unseen(func() error { return os.RemoveAll(r.collector.Dir) })
	w.Log(2000)
	for _, d := range r.logs {
		there(t, d.Path)
	}
	r.logs = logs
	r.finish(w)
	r.check()
}

// Row 24: in place of the log directory stands a symbolic link to another. Nothing is ever written through it.
func TestFault24SymbolicLink(t *testing.T) { both(t, symbolicLink) }

func symbolicLink(t *testing.T, delivery string) {
	r := newRig(t, delivery, setup{})
	w := r.worker("w1", steady)
	w.Log(500)
	r.written(w)
	elsewhere := t.TempDir()
	dir, moved := r.collector.Dir, r.collector.Dir+".moved"
	// Where it finds nothing it would make a directory anew, which is in the way.
	r.unseen(func() error { return errors.Join(os.Rename(dir, moved), os.Symlink(elsewhere, dir)) })
	w.BeginLog(3000)
	harness.Until(t, "the collector to notice", func() bool {
		s := r.collector.Stats()
		return s.StalledBy != "" || strings.Contains(r.collector.Stderr(), "directory")
	})
	if entries, err := os.ReadDir(elsewhere); err != nil || len(entries) > 0 {
		t.Errorf("the collector wrote through the link: %v, %v", entries, err)
	}
	r.unseen(func() error { return errors.Join(os.Remove(dir), os.Rename(moved, dir)) })
	w.WaitLogged()
	r.finish(w)
	r.check()
	if entries, err := os.ReadDir(elsewhere); err != nil || len(entries) > 0 {
		t.Errorf("the collector wrote through the link: %v, %v", entries, err)
	}
}

// Row 24: the log directory loses all its permissions, so that no new file can be made in it when a rotation is due.
func TestFault24NoPermission(t *testing.T) {
	if os.Getuid() == 0 {
		if _, err := exec.LookPath("setpriv"); err != nil {
			t.Skip("root may do everything, and there is no setpriv to take the right away")
		}
	}
	both(t, noPermission)
}

func noPermission(t *testing.T, delivery string) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.jsonl")
	var options []harness.Option
	if os.Getuid() == 0 { // root without the right to pass over permissions
		options = append(options, harness.Under("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"))
	}
	r := newRig(t, delivery, setup{collector: harness.CollectorSpec{Dir: dir, Handlers: []string{"json://" + path + "?rotate=100KiB&keep=1000"}}}, options...)
	r.logs = []checker.Destination{{Path: path}}
	w := r.worker("w1", harness.WorkerSpec{Payload: 300})
	w.Log(200)
	r.written(w)
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o755) })
	w.BeginLog(3000)
	harness.Until(t, "the collector to stall", func() bool { return r.collector.Stats().StalledBy != "" })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w.WaitLogged()
	r.finish(w)
	r.check()
}
