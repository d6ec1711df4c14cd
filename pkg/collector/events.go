package collector

import (
	"log/slog"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/pkg/record"
)

// tell makes what the store reports about files a record in the log, so that who reads the log learns of
// it there, and a diagnostic. It is called by the writer and by goroutines of the store.
func tell(notes *notes, log *diagnostics, e logfile.Event) {
	level, severity := record.Warn, slog.LevelWarn
	switch e.Kind {
	case logfile.Full, logfile.Failed, logfile.Resumed:
		return // the writer tells, once for a whole stall
	case logfile.Damaged, logfile.JournalDamaged, logfile.PowerCut, logfile.Emptied, logfile.DirectoryLost:
		level, severity = record.Error, slog.LevelError
	case logfile.Truncated, logfile.Renamed, logfile.DirectoryBack:
		level, severity = record.Info, slog.LevelInfo
	}
	notes.say(level, e.Kind.String(), func(l *record.Line) {
		if e.Path != "" {
			l.Str("path", e.Path)
		}
		if e.Kept != "" {
			l.Str("kept", e.Kept)
		}
		if e.Expected != e.Found {
			l.Int("expected", e.Expected)
			l.Int("found", e.Found)
		}
		if e.Detail != "" {
			l.Str("detail", e.Detail)
		}
		if e.Err != nil {
			l.Err(e.Err)
		}
	})
	log.often(severity, e.Kind.String(), e.Path, "event", e.String())
}
