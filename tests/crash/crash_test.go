//go:build unix

package crash

import (
	"flag"
	"testing"

	"github.com/logbraid/logbraid/tests/harness"
)

func TestMain(m *testing.M) {
	harness.Main(func() int {
		// The runs of the collector under the tracer mostly wait, for a disk or for an acknowledgement that does not come.
		if err := flag.Set("test.parallel", "6"); err != nil {
			panic(err)
		}
		return m.Run()
	}, nil)
}

// Sixty kills over both layouts, at least 300,000 accepted records: 0 lost, 0 duplicated, 0 out of order, 0 torn.
func TestKill9(t *testing.T) {
	sixty(t, 300_000, []Options{
		{Seed: 1, Cycles: 15, Layout: "embedded", FSync: "1s"},
		{Seed: 2, Cycles: 15, Layout: "external", FSync: "1s"},
		{Seed: 3, Cycles: 15, Layout: "embedded", FSync: "always"},
		{Seed: 4, Cycles: 15, Layout: "external", FSync: "never"},
	})
}

// The same in stream delivery; once with a stream that is full again and again.
func TestKill9Stream(t *testing.T) {
	sixty(t, 100_000, []Options{
		{Delivery: "stream", Seed: 5, Cycles: 20, Records: 800, Layout: "embedded", FSync: "1s"},
		{Delivery: "stream", Seed: 6, Cycles: 20, Records: 800, Layout: "external", FSync: "1s", MaxBytes: 2 << 20},
		{Delivery: "stream", Seed: 7, Cycles: 20, Records: 800, Layout: "external", FSync: "never"},
	})
}

func sixty(t *testing.T, least int, runs []Options) {
	t.Helper()
	accepted, kills := 0, 0
	for _, o := range runs {
		t.Run(o.Layout+" fsync="+o.FSync, func(t *testing.T) {
			r := Run(t, o)
			t.Log(r)
			accepted += r.Accepted
			for _, n := range r.Kills {
				kills += n
			}
		})
	}
	if !t.Failed() && (kills < 60 || accepted < least) {
		t.Errorf("only %d kills and %d accepted records", kills, accepted)
	}
	t.Logf("%d kills, %d records accepted", kills, accepted)
}
