//go:build unix

package harness

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

// A front end is a way into the publisher, as a worker uses it.
type frontEnd struct {
	// log logs one record: message "row", fields id and, unless it is empty, pad. It is for concurrent use.
	log func(level, logger, id, pad string)
	// finish is called after the last log and before Close, and returns when everything has reached the publisher.
	finish func() error
}

// FrontEnds names the front ends that a WorkerSpec can ask for, but for "wild clock": slog, in a program whose clock jumps.
func FrontEnds() []string { return []string{"native", "logrus", "slog", "writer", "lines"} }

func newFrontEnd(name string, p *publisher.Publisher) (frontEnd, error) {
	nothing := func() error { return nil }
	switch name {
	case "native", "":
		return frontEnd{native(p), nothing}, nil
	case "logrus":
		return frontEnd{throughLogrus(p), nothing}, nil
	case "slog":
		return frontEnd{throughSlog(p, time.Now), nothing}, nil
	case "wild clock":
		return frontEnd{throughSlog(p, wildClock()), nothing}, nil
	case "writer":
		w := p.Writer(publisher.WriterOptions{})
		return frontEnd{jsonLines(w), w.Close}, nil
	case "lines":
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() { done <- p.Lines(context.Background(), r, publisher.LinesOptions{}) }()
		return frontEnd{jsonLines(w), func() error { return errors.Join(w.Close(), <-done) }}, nil
	}
	return frontEnd{}, errors.New("no front end " + name)
}

func native(p *publisher.Publisher) func(level, logger, id, pad string) {
	loggers := perName(p.Named)
	return func(level, logger, id, pad string) {
		l, _ := record.ParseLevel(level)
		if pad == "" {
			loggers(logger).Log(l, "row", publisher.String("id", id))
			return
		}
		loggers(logger).Log(l, "row", publisher.String("id", id), publisher.String("pad", pad))
	}
}

func throughLogrus(p *publisher.Publisher) func(level, logger, id, pad string) {
	p.InstallLogrus(logrus.StandardLogger(), publisher.WithLevel(logrus.TraceLevel))
	loggers := perName(p.Logger)
	return func(level, logger, id, pad string) {
		l, _ := logrus.ParseLevel(level)
		fields := logrus.Fields{"id": id}
		if pad != "" {
			fields["pad"] = pad
		}
		loggers(logger).WithFields(fields).Log(l, "row")
	}
}

// wildClock stands still, jumps by years in both directions, and goes through the hour that comes twice a year.
func wildClock() func() time.Time {
	summer := time.Date(2026, 10, 25, 2, 59, 59, 0, time.FixedZone("CEST", 2*3600))
	winter := time.Date(2026, 10, 25, 2, 0, 0, 0, time.FixedZone("CET", 3600))
	times := []time.Time{
		time.Now(), time.Now(), time.Unix(0, 0), time.Now().AddDate(30, 0, 0), time.Now().AddDate(-30, 0, 0), summer, winter,
		winter.Add(-time.Nanosecond), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	var n atomic.Uint64
	return func() time.Time { return times[n.Add(1)%uint64(len(times))] }
}

func throughSlog(p *publisher.Publisher, now func() time.Time) func(level, logger, id, pad string) {
	levels := map[string]slog.Level{"trace": slog.LevelDebug - 4, "debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	handlers := perName(func(name string) slog.Handler { return p.SlogHandler(&publisher.SlogOptions{Logger: name}) })
	return func(level, logger, id, pad string) {
		// What slog.Logger does, with a clock of our own.
		h, ctx := handlers(logger), context.Background()
		if !h.Enabled(ctx, levels[level]) {
			return
		}
		r := slog.NewRecord(now(), levels[level], "row", 0)
		r.AddAttrs(slog.String("id", id))
		if pad != "" {
			r.AddAttrs(slog.String("pad", pad))
		}
		_ = h.Handle(ctx, r) // as slog.Logger does
	}
}

// jsonLines writes what zerolog would, one Write for each record.
func jsonLines(w io.Writer) func(level, logger, id, pad string) {
	return func(level, logger, id, pad string) {
		v := map[string]string{"level": level, "logger": logger, "message": "row", "id": id}
		if pad != "" {
			v["pad"] = pad
		}
		line, _ := json.Marshal(v)
		w.Write(append(line, '\n'))
	}
}

// perName makes a logger for each name once.
func perName[L any](make func(name string) L) func(name string) L {
	var known sync.Map
	return func(name string) L {
		if l, ok := known.Load(name); ok {
			return l.(L)
		}
		l, _ := known.LoadOrStore(name, make(name))
		return l.(L)
	}
}
