package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
)

// What others do to the files: rotation by logrotate and by hand, deletion,
// symbolic links.

// stage is a store on a disk in memory with one file, and its events.
type stage struct {
	*testing.T
	m      *mount
	s      *Store
	f      *File
	events []Event
	seq    uint64
}

func newStage(t *testing.T, o FileOptions) *stage {
	g := &stage{T: t, m: newDisk().mount()}
	g.open(o)
	return g
}

func (g *stage) open(o FileOptions) {
	g.Helper()
	var err error
	g.s, _, err = open(logDir, Options{
		FS:     g.m,
		FSync:  Never,
		Clock:  func() time.Time { return g.m.disk.now },
		Report: func(e Event) { g.events = append(g.events, e) },
	}, true)
	if err == nil {
		g.f, err = g.s.File("app.log", o)
	}
	if err != nil {
		g.Fatal(err)
	}
}

// write commits one line and expects it to work.
func (g *stage) write(text string) {
	g.Helper()
	if err := g.try(text); err != nil {
		g.Fatal(err)
	}
}

func (g *stage) try(text string) (result error) {
	g.seq++
	g.f.Append([]byte(text + "\n"))
	g.s.Commit(Commit{Runs: []RunDelta{{"r", Run{Last: g.seq}}}}, func(err error) { result = err })
	return result
}

func (g *stage) check() {
	g.Helper()
	if err := g.s.Check(); err != nil {
		g.Fatal(err)
	}
}

// restart kills the process and opens the store again.
func (g *stage) restart() {
	g.Helper()
	g.m.kill()
	g.m = g.m.disk.mount()
	g.open(g.f.opts)
}

func (g *stage) text(name string) string { return string(g.m.disk.file(logDir + "/" + name).data) }

func (g *stage) kinds() string {
	var out []string
	for _, e := range g.events {
		out = append(out, fmt.Sprint(e.Kind))
	}
	g.events = nil
	return strings.Join(out, ", ")
}

func (g *stage) want(what, got, want string) {
	g.Helper()
	if got != want {
		g.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

func TestRenamedByOthers(t *testing.T) {
	for _, how := range []string{"check", "reopen", "restart", "renamed between commit and crash"} {
		t.Run(how, func(t *testing.T) {
			g := newStage(t, FileOptions{})
			g.write("one")
			g.m.disk.rename(logDir+"/app.log", logDir+"/app.log-20261121")
			switch how {
			case "check":
				g.write("two") // goes where the file is
				g.check()
			case "reopen":
				g.write("two")
				if err := g.s.Reopen(); err != nil {
					t.Fatal(err)
				}
			case "restart":
				g.write("two")
				g.restart()
			default:
				// The commit after the rename is written, and never gets into the journal.
				g.m.plan = func(_ int, call, _ string) outcome {
					if call == "write" {
						return outcome{dies: true, after: true}
					}
					return outcome{}
				}
				_ = g.try("never committed")
				g.restart()
			}
			g.write("three")
			g.want("events", g.kinds(), map[string]string{
				"check":                            "log file renamed by someone else",
				"reopen":                           "log file renamed by someone else",
				"restart":                          "log file renamed by someone else",
				"renamed between commit and crash": "write failed, uncommitted bytes cut off, log file renamed by someone else",
			}[how])
			g.want("new file", g.text("app.log"), "three\n")
			want := "one\ntwo\n"
			if strings.Contains(how, "crash") {
				want = "one\n"
			}
			g.want("renamed file", g.text("app.log-20261121"), want)
			g.restart()
			g.want("events after restart", g.kinds(), "")
		})
	}
}

func TestDeletedByOthers(t *testing.T) {
	g := newStage(t, FileOptions{})
	g.write("one")
	g.m.disk.remove(logDir + "/app.log")
	g.write("two") // noticed before it is written: not into a file without a name
	g.want("file", g.text("app.log"), "two\n")
	g.want("events", g.kinds(), "log file deleted by someone else")

	g.m.disk.remove(logDir + "/app.log")
	g.restart()
	g.write("three")
	g.want("file", g.text("app.log"), "three\n")
	g.want("events", g.kinds(), "log file deleted by someone else")
}

// TestCopyTruncate: no hole where the old bytes were, and the report says how
// many bytes may be in neither file.
func TestCopyTruncate(t *testing.T) {
	g := newStage(t, FileOptions{})
	g.write("one")
	g.check()
	g.write("two, after the copy was made")
	n := g.m.disk.file(logDir + "/app.log")
	n.data = nil
	g.write("three")
	g.want("file", g.text("app.log"), "three\n")
	e := g.events[0]
	if e.Kind != Emptied || e.Expected != int64(len("one\ntwo, after the copy was made\n")) || e.Found != 0 ||
		!strings.HasPrefix(e.Detail, fmt.Sprintf("%d bytes written since ", len("two, after the copy was made\n"))) {
		t.Errorf("%+v", e)
	}
	g.restart()
	g.write("four")
	g.want("file", g.text("app.log"), "three\nfour\n")
	g.want("events", g.kinds(), "log file shortened by someone else")

	// While nothing runs.
	g.m.kill()
	n.data = nil
	g.restart()
	g.write("five")
	g.want("file", g.text("app.log"), "five\n")
	g.want("events", g.kinds(), "log file shortened by someone else")
}

// TestWrittenByOthers: whole lines stay, a torn one is kept aside, and ours never
// continue it.
func TestWrittenByOthers(t *testing.T) {
	g := newStage(t, FileOptions{})
	g.write("one")
	n := g.m.disk.file(logDir + "/app.log")
	n.data = append(n.data, "a person's note\nand half a l"...)
	g.write("two")
	g.want("file", g.text("app.log"), "one\na person's note\ntwo\n")
	g.want("kept", g.text("app.log.damaged-1"), "and half a l")
	g.want("events", g.kinds(), "log file written by someone else, log file damaged")
	g.restart()
	g.want("file", g.text("app.log"), "one\na person's note\ntwo\n")
	g.want("events", g.kinds(), "")
}

// TestDamaged: what is not what was committed is kept aside, with exact numbers,
// and a new file is begun.
func TestDamaged(t *testing.T) {
	tests := []struct {
		name    string
		corrupt func([]byte) []byte
		found   int64
		detail  string
	}{
		{"shorter", func(p []byte) []byte { return p[:len(p)-3] }, 5, "committed bytes are missing at the end"},
		{"other content", func(p []byte) []byte { p[len(p)-2] ^= 1; return p }, 8, "are not those that were committed"},
		{"longer with other content", func(p []byte) []byte { return append([]byte("x"), p...) }, 9, "are not those that were committed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newStage(t, FileOptions{})
			g.write("one")
			g.write("two")
			g.m.kill()
			n := g.m.disk.file(logDir + "/app.log")
			n.data = test.corrupt(n.data)
			damaged := string(n.data)
			g.restart()
			g.write("three")
			g.want("file", g.text("app.log"), "three\n")
			g.want("kept", g.text("app.log.damaged-1"), damaged)
			e := g.events[0]
			if len(g.events) != 1 || e.Kind != Damaged || e.Kept != logDir+"/app.log.damaged-1" || e.Expected != 8 || e.Found != test.found ||
				!strings.Contains(e.Detail, test.detail) {
				t.Errorf("%+v", g.events)
			}
			g.want("table", fmt.Sprint(g.s.Runs()["r"].Last), "3")
			g.events = nil
			g.restart()
			g.want("events", g.kinds(), "")
		})
	}
}

// TestRestoredFromBackup: other inodes, the same content.
func TestRestoredFromBackup(t *testing.T) {
	g := newStage(t, FileOptions{})
	g.write("one")
	g.m.kill()
	copied := slices.Clone(g.m.disk.file(logDir + "/app.log").data)
	g.m.disk.remove(logDir + "/app.log")
	n := g.m.disk.newNode(false)
	n.data = copied
	g.m.disk.file(logDir).set(entryChange{"app.log": n})
	g.restart()
	g.write("two")
	g.want("file", g.text("app.log"), "one\ntwo\n")
	g.want("events", g.kinds(), "")
}

// TestExistingFile: a file that is there at the first start is continued behind
// its last whole line.
func TestExistingFile(t *testing.T) {
	g := newStage(t, FileOptions{})
	n := g.m.disk.newNode(false)
	n.data = []byte("old line\ntorn li")
	g.m.disk.file(logDir).set(entryChange{"old.log": n})
	f, err := g.s.File("old.log", FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.Append([]byte("new line\n"))
	g.write("x")
	g.want("file", g.text("old.log"), "old line\nnew line\n")
	g.want("kept", g.text("old.log.damaged-1"), "torn li")
	g.want("events", g.kinds(), "log file damaged")
}

// TestSymbolicLink: what stands in the file's place is not followed.
func TestSymbolicLink(t *testing.T) {
	g := newStage(t, FileOptions{})
	g.write("one")
	victim := g.m.disk.newNode(false)
	victim.data = []byte("precious")
	g.m.disk.root.set(entryChange{"victim": victim})
	link := g.m.disk.newNode(false)
	link.link = "/victim"

	g.m.disk.rename(logDir+"/app.log", logDir+"/moved")
	g.m.disk.file(logDir).set(entryChange{"app.log": link})
	if err := g.s.Check(); err == nil {
		t.Fatal("no error")
	}
	if err := g.try("two"); !errors.Is(err, ErrRolledBack) {
		t.Fatal(err)
	}
	if _, err := g.s.Resume(); err != nil {
		t.Fatal(err)
	}
	g.seq--
	g.write("two")
	g.want("victim", string(victim.data), "precious")
	g.want("file", g.text("app.log"), "two\n")
	if got := g.m.disk.file(logDir + "/app.log.damaged-1"); got != link {
		t.Error("link is not kept aside")
	}
	if _, err := g.s.File("../outside.log", FileOptions{}); err != nil {
		t.Error(err) // an operator's own path may lead anywhere
	}
}

// TestDirectoryLost: deleted, moved away, replaced by a symbolic link.
func TestDirectoryLost(t *testing.T) {
	t.Run("deleted", func(t *testing.T) {
		g := newStage(t, FileOptions{})
		g.write("one")
		g.m.disk.file(logDir).links = 0
		g.m.disk.remove(logDir)
		g.f.h.Handle.(*memHandle).node.links = 0
		if err := g.s.Check(); !errors.Is(err, ErrDirectoryLost) {
			t.Fatal(err)
		}
		g.want("events", g.kinds(), "log directory lost")
		table, err := g.s.Resume()
		if err != nil || table["r"].Last != 1 {
			t.Fatal(table, err)
		}
		g.write("two")
		g.want("file", g.text("app.log"), "two\n")
		g.check()
		g.want("events", g.kinds(), "log directory is back, writing again")
		g.restart()
		g.want("table", fmt.Sprint(g.s.Runs()["r"].Last), "2")
		g.want("file", g.text("app.log"), "two\n")
		g.want("events", g.kinds(), "")
	})
	t.Run("moved away and back", func(t *testing.T) {
		g := newStage(t, FileOptions{})
		g.write("one")
		g.m.disk.rename(logDir, logDir+".old")
		link := g.m.disk.newNode(false)
		link.link = logDir + ".old"
		g.m.disk.file("/srv").set(entryChange{"logs": link})
		if err := g.s.Check(); !errors.Is(err, ErrDirectoryLost) {
			t.Fatal(err)
		}
		// A symbolic link is not followed, however often one tries.
		if _, err := g.s.Resume(); !errors.Is(err, ErrDirectoryLost) {
			t.Fatal(err)
		}
		g.m.disk.remove(logDir)
		g.m.disk.rename(logDir+".old", logDir)
		if _, err := g.s.Resume(); err != nil {
			t.Fatal(err)
		}
		g.write("two")
		g.want("file", g.text("app.log"), "one\ntwo\n")
		g.want("events", g.kinds(), "log directory lost, log directory is back, writing again")
	})
	t.Run("lock file removed", func(t *testing.T) {
		g := newStage(t, FileOptions{})
		g.write("one")
		delete(g.m.disk.locks, logDir+"/.logbraid/lock") // the lock went with its file
		g.m.disk.remove(logDir + "/.logbraid/lock")
		if err := g.s.Check(); !errors.Is(err, ErrDirectoryLost) {
			t.Fatal(err)
		}
		if _, err := g.s.Resume(); err != nil {
			t.Fatal(err)
		}
		g.write("two")
		g.want("file", g.text("app.log"), "one\ntwo\n")
		if g.m.disk.locks[logDir+"/.logbraid/lock"] != g.m {
			t.Error("not locked again")
		}
	})
	t.Run("lock taken by another meanwhile", func(t *testing.T) {
		g := newStage(t, FileOptions{})
		g.write("one")
		g.m.disk.remove(logDir + "/.logbraid/lock")
		other := g.m.disk.newNode(false)
		g.m.disk.file(logDir + "/.logbraid").set(entryChange{"lock": other})
		g.m.disk.locks[logDir+"/.logbraid/lock"] = g.m.disk.mount()
		if err := g.s.Check(); !errors.Is(err, ErrDirectoryLost) {
			t.Fatal(err)
		}
		if _, err := g.s.Resume(); !errors.Is(err, ErrLocked) {
			t.Fatal(err)
		}
		if err := g.try("two"); err == nil {
			t.Fatal("written without the lock")
		}
		g.want("file", g.text("app.log"), "one\n")
	})
}

// TestJournalRemovedWhileRunning: it is written anew at once.
func TestJournalRemovedWhileRunning(t *testing.T) {
	g := newStage(t, FileOptions{})
	g.write("one")
	g.m.disk.remove(journalPath(0))
	g.m.disk.remove(journalPath(1))
	g.check()
	g.write("two")
	g.want("events", g.kinds(), "journal damaged")
	g.restart()
	g.want("table", fmt.Sprint(g.s.Runs()["r"].Last), "2")
	g.want("file", g.text("app.log"), "one\ntwo\n")
	g.want("events", g.kinds(), "")
}

// TestDiskFull: nothing torn, nothing acknowledged, and it goes on by itself when
// there is room; said once.
func TestDiskFull(t *testing.T) {
	g := newStage(t, FileOptions{})
	g.write("one")
	for room := range int64(400) {
		g.m.disk.room = room
		err := g.try(strings.Repeat("x", 100))
		if err == nil {
			if room < 200 {
				t.Fatalf("committed with %d bytes of room", room)
			}
			break
		}
		if !isFull(err) && !errors.Is(err, ErrRolledBack) {
			t.Fatalf("room %d: %v", room, err)
		}
		table, err := g.s.Resume()
		if err != nil || table["r"].Last != 1 {
			t.Fatalf("room %d: %v, %v", room, table, err)
		}
		g.seq = 1
		g.want("file", g.text("app.log"), "one\n")
	}
	g.m.disk.room = -1
	g.write("three")
	g.check()
	g.want("file", g.text("app.log"), "one\n"+strings.Repeat("x", 100)+"\nthree\n")
	g.want("events", g.kinds(), "disk full, writing again")
	g.restart()
	g.want("events", g.kinds(), "")
}

// TestRestartOnFullDisk: a start needs no room as long as nothing is damaged.
func TestRestartOnFullDisk(t *testing.T) {
	g := newStage(t, FileOptions{})
	g.write("one")
	g.m.disk.room = 0
	g.restart()
	if err := g.try("two"); !isFull(err) {
		t.Fatal(err)
	}
	g.m.disk.room = -1
	if _, err := g.s.Resume(); err != nil {
		t.Fatal(err)
	}
	g.write("two")
	g.want("file", g.text("app.log"), "one\ntwo\n")
}

// TestReservedNames: no handler may write into what rotation gives out.
func TestReservedNames(t *testing.T) {
	g := newStage(t, FileOptions{})
	for _, name := range []string{"app.log.000001", "app.log.000001.gz", "app.log.1234567.zst.tmp", "app.log.damaged-3", ".logbraid"} {
		if _, err := g.s.File(name, FileOptions{}); !errors.Is(err, ErrReservedName) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"app.log.gz", "app.0001", "app.log.1", "app.damaged", "app.0000001"} {
		if _, err := g.s.File(name, FileOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f, err := g.s.File(logDir+"/./app.log", FileOptions{}); f != g.f || err != nil {
		t.Error("the same path gave another file", err)
	}
	if _, err := g.s.File("app.log", FileOptions{Rotate: 1}); err == nil {
		t.Error("other options were taken")
	}
	if _, err := g.s.File("sub/../../x/y.log", FileOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := g.m.Lstat("/srv/x/.logbraid/lock"); errors.Is(err, fs.ErrNotExist) {
		t.Error("directory outside is not locked")
	}
}
