package collector

import (
	"bytes"
	"strings"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

// maxStrangers is how many foreign subjects the collector remembers the runs of.
const maxStrangers = 1024

// adopt writes a foreign message: one record, to which the collector adds what it lacks. The subject says
// who speaks. Each subject has a run of its own, with the collector's seqs, so that every line of the log
// has all keys and the seqs of a run have no gaps, for foreign records, too.
//
// A foreign message that arrives twice is two records: nothing in it says that it is the same.
func (w *writer) adopt(g *group, m *message) error {
	r := w.strangers[m.subject]
	if r == nil {
		if len(w.strangers) >= maxStrangers {
			w.table.remove(w.strangers) // they get new runs when they speak again
			clear(w.strangers)
		}
		app, worker := foreignIdentity(w.prefix, m.subject)
		r = w.newRun(app, worker)
		w.strangers[m.subject] = r
	}
	l := record.GetLine()
	defer l.Free()
	text := bytes.TrimRight(m.data, "\r\n")
	record.Adopt(l, text, record.Defaults{Time: time.Now(), Level: record.Info, Foreign: true})
	g.tally.foreign++
	return w.writeOwn(g, l.Finish(maxRecord), r)
}

// foreignIdentity makes the best of any subject: nats pub logs.etl.my:host is nobody's mistake.
func foreignIdentity(prefix, subject string) (app, worker string) {
	if app, worker, err := record.ParseSubject(prefix, subject); err == nil {
		return app, worker
	}
	app, worker, _ = strings.Cut(strings.TrimPrefix(subject, prefix+"."), ".")
	if name, err := record.Untoken(app); err == nil {
		app = name
	}
	return app, worker
}
