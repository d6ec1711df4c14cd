package logfile

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var rounds = flag.Int("rounds", 1, "how often the random tests go through all their points")

// TestPowerCut cuts the power at each call of the script and lets what was not
// synced survive or not, at random. With FSYNC always nothing that was
// acknowledged may be missing. With FSYNC by interval the store goes back to a
// checkpoint at which all files agree: what is missing is missing everywhere, at
// the end of each run, and the table says so.
func TestPowerCut(t *testing.T) {
	for _, policy := range []Policy{Always, Every(0)} {
		t.Run(policy.String(), func(t *testing.T) {
			wentBack := 0
			for round := range *rounds {
				for n := 1; ; n += stride {
					disk := newDisk()
					m := disk.mount()
					m.plan = func(call int, _, _ string) outcome { return outcome{dies: call == n} }
					d, err := openDriver(t, m, Options{FSync: policy})
					if err == nil {
						err = d.script()
					}
					finished := !m.dead
					m.kill()
					if err != nil && finished {
						t.Fatal(err)
					}
					disk.losePower(rand.New(rand.NewPCG(uint64(n), uint64(round))))
					wentBack += recoverFromPowerCut(t, fmt.Sprintf("round %d, call %d", round, n), disk, d, policy)
					if finished {
						break
					}
				}
			}
			if policy == Always && wentBack > 0 || policy != Always && wentBack == 0 {
				t.Errorf("went back to an older checkpoint %d times", wentBack)
			}
		})
	}
}

func recoverFromPowerCut(t *testing.T, at string, disk *disk, d *driver, policy Policy) (wentBack int) {
	t.Helper()
	var events []Event
	if err := d.open(disk.mount(), Options{FSync: policy, Report: func(e Event) { events = append(events, e) }}); err != nil {
		t.Fatalf("%s: recover: %v", at, err)
	}
	for _, e := range events {
		switch e.Kind {
		case JournalDamaged:
			if e.isCut() {
				t.Fatalf("%s: a power cut passes for damage: %v", at, e)
			}
		case Truncated:
		case PassedOver:
			if policy != Always {
				t.Fatalf("%s: %v; %v", at, e, events)
			}
		case PowerCut:
			wentBack = 1
		default:
			t.Fatalf("%s: %v; %v", at, e, events)
		}
	}
	if policy != Always {
		// What was acknowledged may be gone. The publishers no longer have it;
		// what they go on with is not what this test looks at.
		d.acked = map[string]Run{}
	}
	if err := errors.Join(within(d.table, d.acked, d.sent), disk.check(d.table), d.checkPosition()); err != nil {
		t.Fatalf("%s: after recovery: %v; %s; %v", at, err, disk.names(), events)
	}
	if err := d.script(); err != nil {
		t.Fatalf("%s: going on: %v", at, err)
	}
	if err := d.settleDown(); err != nil {
		t.Fatalf("%s: going on: %v", at, err)
	}
	if err := d.store.Close(); err != nil {
		t.Fatalf("%s: close: %v", at, err)
	}
	if err := disk.check(d.acked); err != nil {
		t.Fatalf("%s: at the end: %v; %s; %v", at, err, disk.names(), events)
	}
	return wentBack
}

// TestAnotherDeviceNumber: after a power cut the disk has another number. A file
// whose end is gone is that file still, and not one that somebody deleted and
// replaced: so it goes back, the table with the files, and what was begun since is
// taken back too.
func TestAnotherDeviceNumber(t *testing.T) {
	for _, c := range []struct {
		name string
		// steps: a and b are records of these runs, those of b in all.jsonl alone;
		// s is a sync, r a rotation.
		steps      string
		torn       string // loses what was not synced; everything else is there
		lastA      uint64
		lastB      uint64
		wantEvents string
	}{
		{"nothing is lost", "abs ab", "", 2, 2, ""},
		{"the end of a file", "abs ab", "all.jsonl", 1, 1, "went back to an older checkpoint"},
		{"the end of another", "abs ab", "a.log", 1, 1, "went back to an older checkpoint"},
		{"a whole generation", "abs r ab", "a.log", 1, 1, "went back to an older checkpoint"},
		{"the end of one that was rotated", "abs ab r ab", "all.jsonl.000001", 1, 1, "went back to an older checkpoint"},
		{"and again since", "abs ab r ab r ab", "all.jsonl.000001", 1, 1,
			"went back to an older checkpoint, went back to an older checkpoint, went back to an older checkpoint"},
		{"before another was begun", "bs b a", "all.jsonl", 0, 1, "went back to an older checkpoint"},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := newDisk()
			m := disk.mount()
			d, err := openDriver(t, m, Options{FSync: Every(0)})
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range c.steps {
				switch step {
				case 'a', 'b':
					run := string(step)
					d.sent[run] = Run{Last: d.table[run].Last + 1, Subject: "logs.x." + run}
					err = d.settleDown()
				case 's':
					err = d.store.Check()
				case 'r':
					err = d.store.Rotate()
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			m.kill()
			if c.torn != "" {
				disk.file(logDir + "/" + c.torn).loseChanges()
			}
			disk.cuts++
			disk.device++

			var events []string
			report := func(e Event) {
				if e.Kind != Truncated {
					events = append(events, e.Kind.String())
				}
			}
			if err := d.open(disk.mount(), Options{FSync: Every(0), Report: report}); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(events, ", "); got != c.wantEvents {
				t.Errorf("told %q, should %q", got, c.wantEvents)
			}
			if a, b := d.table["a"].Last, d.table["b"].Last; a != c.lastA || b != c.lastB {
				t.Errorf("the runs end at %d and %d, should at %d and %d", a, b, c.lastA, c.lastB)
			}
			if err := errors.Join(disk.check(d.table), d.checkPosition()); err != nil {
				t.Error(err)
			}
			if err := errors.Join(d.settleDown(), d.store.Close(), disk.check(d.sent)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRenamedOnAnotherDevice: somebody renamed the file while the collector was
// down, and the disk has another number since.
func TestRenamedOnAnotherDevice(t *testing.T) {
	g := newStage(t, FileOptions{})
	g.write("one")
	g.m.kill()
	g.m.disk.rename(logDir+"/app.log", logDir+"/old.log")
	g.m.disk.device++
	g.restart()
	if len(g.events) != 1 || g.events[0].Kind != Renamed || g.events[0].Kept != logDir+"/old.log" {
		t.Error(g.events)
	}
}

// loseChanges takes from a file what is not synced.
func (n *node) loseChanges() { n.data, n.changes = slices.Clone(n.stable), nil }
