package logfile

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
)

// TestScript is the run that the tests below break at every point: it must do
// everything that there is to be broken.
func TestScript(t *testing.T) {
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			m := newDisk().mount()
			m.trace = true
			d, err := openDriver(t, m, Options{FSync: policy})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.script(); err != nil {
				t.Fatal(err)
			}
			st := d.store.Stats()
			if st.Rotations < 4 || st.Compactions < 2 || d.failures != 0 {
				t.Errorf("script does too little: %+v", st)
			}
			if err := d.store.Close(); err != nil {
				t.Fatal(err)
			}
			if err := m.disk.check(d.acked); err != nil {
				t.Errorf("%v; %s", err, m.disk.names())
			}
			t.Logf("%d calls; %s", m.calls, m.disk.names())
			if testing.Verbose() {
				for _, l := range m.log {
					t.Log(l)
				}
			}
		})
	}
}

var policies = []Policy{Never, Every(0), Always}

// faults are what can happen at a call.
var faults = []struct {
	name string
	outcome
}{
	{"EIO", outcome{err: syscall.EIO}},
	{"half a write, ENOSPC", outcome{err: syscall.ENOSPC, part: true}},
	{"half a write", outcome{part: true}},
}

// TestEveryCallFails makes each call of the script fail once. The store must get
// over it, and in the end every record is in its files once, in order.
func TestEveryCallFails(t *testing.T) {
	for _, policy := range policies {
		for _, fault := range faults {
			t.Run(fmt.Sprint(policy, "/", fault.name), func(t *testing.T) {
				failed := 0
				for n := 1; ; n += stride {
					m := newDisk().mount()
					m.plan = func(call int, _, _ string) outcome {
						if call == n {
							return fault.outcome
						}
						return outcome{}
					}
					d, err := openDriver(t, m, Options{FSync: policy})
					if err != nil {
						if d, err = openDriver(t, m, Options{FSync: policy}); err != nil {
							t.Fatalf("call %d: second open: %v", n, err)
						}
					}
					if err := d.script(); err != nil {
						t.Fatalf("call %d: %v", n, err)
					}
					if err := d.settleDown(); err != nil {
						t.Fatalf("call %d: %v", n, err)
					}
					failed += d.failures
					_ = d.store.Close()
					verifyEnd(t, n, m.disk, d, policy)
					if n > m.calls {
						if failed == 0 {
							t.Error("no commit failed")
						}
						return
					}
				}
			})
		}
	}
}

// verifyEnd opens the store once more, without faults, and checks everything.
func verifyEnd(t *testing.T, n int, disk *disk, d *driver, policy Policy) {
	t.Helper()
	var events []Event
	again, err := openDriver(t, disk.mount(), Options{FSync: policy, Report: func(e Event) { events = append(events, e) }})
	if err != nil {
		t.Fatalf("call %d: open afterwards: %v", n, err)
	}
	defer again.store.Close()
	if err := errors.Join(within(again.table, d.acked, d.acked), disk.check(again.table)); err != nil {
		t.Fatalf("call %d: after opening again: %v; %s; %v", n, err, disk.names(), events)
	}
	if len(events) > 0 {
		t.Fatalf("call %d: found after it was closed: %v", n, events)
	}
}

// TestEveryCallIsTheLast ends the process at each call of the script: before it,
// after it, and in the middle of a write. After recovery the files are exactly
// what a checkpoint says that is at least the acknowledged one, and the run goes
// on from there to its end.
func TestEveryCallIsTheLast(t *testing.T) {
	ends := []struct {
		name string
		outcome
	}{
		{"before", outcome{dies: true}},
		{"half a write", outcome{dies: true, part: true}},
		{"after", outcome{dies: true, after: true}},
	}
	for _, policy := range policies {
		for _, end := range ends {
			t.Run(fmt.Sprint(policy, "/", end.name), func(t *testing.T) {
				for n := 1; ; n += stride {
					disk := newDisk()
					m := disk.mount()
					m.plan = func(call int, _, _ string) outcome {
						if call == n {
							return end.outcome
						}
						return outcome{}
					}
					d, err := openDriver(t, m, Options{FSync: policy})
					if err == nil {
						err = d.script()
					}
					finished := !m.dead
					m.kill()
					if err != nil && finished {
						t.Fatalf("call %d: %v", n, err)
					}
					recoverAndGoOn(t, n, disk, d, policy)
					if finished {
						return
					}
				}
			})
		}
	}
}

func recoverAndGoOn(t *testing.T, n int, disk *disk, d *driver, policy Policy) {
	t.Helper()
	var events []Event
	if err := d.open(disk.mount(), Options{FSync: policy, Report: func(e Event) { events = append(events, e) }}); err != nil {
		t.Fatalf("call %d: recover: %v", n, err)
	}
	if err := errors.Join(within(d.table, d.acked, d.sent), disk.check(d.table), d.checkPosition()); err != nil {
		t.Fatalf("call %d: after recovery: %v; %s; %v", n, err, disk.names(), events)
	}
	for _, e := range events {
		if e.Kind != Truncated {
			t.Errorf("call %d: %v", n, e)
		}
	}
	if err := d.script(); err != nil {
		t.Fatalf("call %d: going on: %v", n, err)
	}
	if err := d.settleDown(); err != nil {
		t.Fatalf("call %d: going on: %v", n, err)
	}
	if err := d.store.Close(); err != nil {
		t.Fatalf("call %d: close: %v", n, err)
	}
	verifyEnd(t, n, disk, d, policy)
}
