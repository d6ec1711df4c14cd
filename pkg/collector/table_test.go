package collector

import (
	"testing"

	"github.com/logbraid/logbraid/internal/logfile"
)

// A run that the checkpoint forgets leaves its numbers behind, and nothing else.
func TestRunsThatAreForgotten(t *testing.T) {
	tab := newTable()
	tab.recover("logs", 0, map[string]logfile.Run{
		"old": {Subject: "logs.etl.w1", Last: 10, Dropped: 2, Lost: 1, Ended: true},
		"new": {Subject: "logs.etl.w2", Last: 5, Ended: true},
		"odd": {Subject: "elsewhere.etl.w3", Last: 1},
	})
	var before Stats
	tab.stats(&before)
	want := Totals{Logged: 16, Written: 13, Dropped: 2, Lost: 1}
	if before.Totals != want || len(before.Runs) != 3 {
		t.Errorf("recovered: %+v", before)
	}
	for _, r := range before.Runs {
		if r.Run == "old" && (r.App != "etl" || r.Worker != "w1" || !r.Ended) || r.Run == "odd" && r.App != "" {
			t.Errorf("%+v", r)
		}
	}
	tab.runs["new"].now.last = 6 // a batch that is not committed yet
	tab.evicted("old", logfile.Run{Ended: false})
	tab.evicted("new", logfile.Run{Ended: true})
	tab.evicted("unheard of", logfile.Run{Ended: true})
	if len(tab.runs) != 3 {
		t.Error("removed by whoever wrote the checkpoint")
	}
	if n := tab.sweep(); n != 1 {
		t.Errorf("%d of them had not ended", n)
	}
	if n := tab.sweep(); n != 0 {
		t.Errorf("%d told again", n)
	}
	var after Stats
	tab.stats(&after)
	if after.Totals != want || len(after.Runs) != 2 || tab.runs["old"] != nil {
		t.Errorf("after: %+v", after)
	}
}
