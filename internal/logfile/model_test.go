package logfile

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestModel runs any sequence of commits, rotations, faults, crashes and power
// cuts against what must hold after each restart: the files are exactly what the
// table says, and the table is at least what was acknowledged.
func TestModel(t *testing.T) {
	for _, policy := range policies {
		t.Run(policy.String(), func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) { runModel(t, r, policy) })
		})
	}
}

func runModel(t *testing.T, r *rapid.T, policy Policy) {
	disk := newDisk()
	m := disk.mount()
	d, err := openDriver(t, m, Options{FSync: policy})
	if err != nil {
		r.Fatal(err)
	}
	// restart opens the store on what is left, and checks it.
	restart := func(lost, lossy bool) {
		m = disk.mount()
		var events []Event
		if err := d.open(m, Options{FSync: policy, Report: func(e Event) { events = append(events, e) }}); err != nil {
			r.Fatal("recover: ", err)
		}
		for _, e := range events {
			if e.Kind != Truncated && !(lossy && (e.Kind == PowerCut || e.Kind == PassedOver || e.Kind == JournalDamaged)) || e.isCut() {
				r.Fatal("after restart: ", e, " ", disk.names())
			}
		}
		if lost {
			d.acked = map[string]Run{}
			d.sent = d.table
		}
		if err := errors.Join(within(d.table, d.acked, d.sent), disk.check(d.table), d.checkPosition()); err != nil {
			r.Fatal("after restart: ", err, " ", disk.names())
		}
	}
	// settle makes the store usable again after errors.
	settle := func() {
		m.set(nil)
		if m.dead {
			restart(false, false)
			return
		}
		if err := d.resume(); err != nil {
			r.Fatal("resume: ", err)
		}
	}
	r.Repeat(map[string]func(*rapid.T){
		"commit": func(r *rapid.T) {
			d.rand = rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 0))
			if err := d.commit(); err != nil {
				r.Fatal("commit: ", err)
			}
		},
		"rotate": func(r *rapid.T) {
			if err := d.store.Rotate(); err != nil {
				r.Fatal("rotate: ", err)
			}
		},
		"check": func(r *rapid.T) {
			m.advance(time.Duration(rapid.IntRange(0, 7200).Draw(r, "seconds")) * time.Second)
			if err := d.store.Check(); err != nil {
				r.Fatal("check: ", err)
			}
		},
		"reopen": func(r *rapid.T) {
			if err := d.store.Reopen(); err != nil {
				r.Fatal("reopen: ", err)
			}
		},
		"close": func(r *rapid.T) {
			if err := d.store.Close(); err != nil {
				r.Fatal("close: ", err)
			}
			restart(false, false)
		},
		"kill": func(r *rapid.T) {
			m.kill()
			restart(false, false)
		},
		"power cut": func(r *rapid.T) {
			m.kill()
			if policy == Never {
				restart(false, false)
				return
			}
			disk.losePower(rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 1)))
			restart(policy != Always, true)
		},
		"fault": func(r *rapid.T) {
			first := m.calls + rapid.IntRange(1, 40).Draw(r, "in")
			last := first + rapid.SampledFrom([]int{0, 0, 1, 20}).Draw(r, "for")
			o := rapid.SampledFrom([]outcome{
				{err: syscall.EIO}, {err: syscall.ENOSPC, part: true}, {part: true},
				{dies: true}, {dies: true, after: true}, {dies: true, part: true},
			}).Draw(r, "outcome")
			m.set(func(n int, _, _ string) outcome {
				if n >= first && n <= last {
					return o
				}
				return outcome{}
			})
			d.rand = rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 2))
			for range 4 {
				if d.commit() != nil {
					settle()
				}
				if d.store.Check() != nil {
					settle()
				}
			}
			m.set(nil)
		},
		"full": func(r *rapid.T) {
			disk.room = rapid.Int64Range(0, 2000).Draw(r, "room")
			d.rand = rand.New(rand.NewPCG(rapid.Uint64().Draw(r, "seed"), 3))
			for range 5 {
				if d.commit() == nil {
					continue
				}
				if err := d.resume(); err != nil {
					break
				}
			}
			disk.room = -1
			settle()
		},
	})
	m.set(nil)
	if m.dead {
		restart(false, false)
	}
	if err := d.settleDown(); err != nil {
		r.Fatal("at the end: ", err)
	}
	if err := d.store.Close(); err != nil {
		r.Fatal("at the end: ", err)
	}
	restart(false, false)
	if err := within(d.table, d.acked, d.acked); err != nil {
		r.Fatal("at the end: ", err)
	}
	_ = d.store.Close()
}
