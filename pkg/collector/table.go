package collector

import (
	"sync"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/pkg/record"
)

// A run is what the collector has in memory of one run.
type run struct {
	id      record.Identity
	subject string // the only one that may use this run; "" for those whose seqs the collector gives

	// Owned by the writer.
	now     progress // with everything that was appended, committed or not
	routes  routeSet // the handlers that want this worker's records at all
	tail    []byte   // what every line of the run ends in, up to the seq
	touched *group   // the last group that changed now

	// Guarded by table.mu.
	done progress // as committed
}

// local reports whether the collector itself gives the run's seqs. Such a run ends with the
// collector, so no checkpoint needs it.
func (r *run) local() bool { return r.subject == "" }

// table holds every run: what I4 needs to know, and what Stats shows.
//
// The writer alone adds and removes runs, so it reads the map without the lock; everyone else takes it.
type table struct {
	mu        sync.Mutex
	runs      map[string]*run // by id
	forgotten Totals          // of the runs that are not kept any more
	gone      []string        // runs that are not in the checkpoint any more
	abandoned uint64          // of these, those that had not ended and have not been told of
	counts    tally           // since the start
}

func newTable() *table { return &table{runs: make(map[string]*run)} }

// recover takes over the table of the last checkpoint, before the writer begins.
func (t *table) recover(prefix string, routes int, committed map[string]logfile.Run) {
	t.counts.routes = make([]routeTally, routes)
	for id, r := range committed {
		// A subject under another prefix than today's leaves the names empty, and brings no messages.
		app, worker, _ := record.ParseSubject(prefix, r.Subject)
		p := progressOf(r)
		t.runs[id] = &run{id: record.Identity{App: app, Worker: worker, Run: id}, subject: r.Subject, now: p, done: p}
	}
}

// add puts a run into the table.
func (t *table) add(r *run) {
	t.mu.Lock()
	t.runs[r.id.Run] = r
	t.mu.Unlock()
}

// bind says whose a run is that was found without its subject.
func (t *table) bind(r *run, id record.Identity, subject string) {
	t.mu.Lock()
	r.id, r.subject = id, subject
	t.mu.Unlock()
}

// remove takes out runs of the collector's own that will not be used again.
func (t *table) remove(runs map[string]*run) {
	t.mu.Lock()
	for _, r := range runs {
		delete(t.runs, r.id.Run)
	}
	t.mu.Unlock()
}

// evicted is told of a run that the checkpoint no longer has room for; by whoever writes the checkpoint.
func (t *table) evicted(id string, r logfile.Run) {
	t.mu.Lock()
	t.gone = append(t.gone, id)
	if !r.Ended {
		t.abandoned++
	}
	t.mu.Unlock()
}

// sweep forgets the runs that were evicted, and returns how many of them had not ended. One that has gone on
// meanwhile stays: its next commit puts it into the checkpoint again.
func (t *table) sweep() (abandoned uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	abandoned, t.abandoned = t.abandoned, 0
	for _, id := range t.gone {
		if r := t.runs[id]; r != nil && r.now == r.done {
			t.forgotten.add(r.done)
			delete(t.runs, id)
		}
	}
	t.gone = nil
	return abandoned
}

// committed takes over what a group's commit has made true.
func (t *table) committed(g *group) {
	t.mu.Lock()
	for i, r := range g.runs {
		r.done = g.reached[i]
	}
	t.counts.add(&g.tally)
	t.mu.Unlock()
}

// restore goes back to what is committed (I6): the table and the files roll back together.
func (t *table) restore(committed map[string]logfile.Run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, r := range t.runs {
		r.touched = nil
		if r.local() {
			r.now = r.done
		} else if c, ok := committed[id]; ok {
			r.now = progressOf(c)
			r.done = r.now
		} else {
			delete(t.runs, id)
		}
	}
}

func progressOf(r logfile.Run) progress {
	return progress{last: r.Last, dropped: r.Dropped, lost: r.Lost, excess: r.Excess, ended: r.Ended, rebuilt: r.Rebuilt}
}

func (r *run) delta() logfile.RunDelta {
	p := r.now
	return logfile.RunDelta{ID: r.id.Run, Run: logfile.Run{
		Subject: r.subject,
		Last:    p.last, Dropped: p.dropped, Lost: p.lost, Excess: p.excess,
		Ended: p.ended, Rebuilt: p.rebuilt,
	}}
}
