package logfile

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
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
				for n := 1; ; n++ {
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
