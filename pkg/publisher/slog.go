package publisher

import (
	"context"
	"log/slog"
	"runtime"
	"slices"

	"github.com/logbraid/logbraid/pkg/record"
)

// loggerKey is the field by which a record of slog or logrus names its logger.
const loggerKey = "logger"

// SlogOptions adjusts a handler. The zero value works.
type SlogOptions struct {
	// Logger is the name of the logger. An attribute "logger" with a string, of slog.Logger.With
	// or of one call, outside any group, takes its place.
	Logger string
	// Level is the level from which on records are taken. Nil: the publisher's, by the logger's
	// name. A level that was set at the publisher applies in either case.
	Level slog.Leveler
	// AddSource adds the place of the call as caller.
	AddSource bool
	// Context adds fields from the context of a call. Nil: none.
	Context ContextFunc
}

// SlogHandler returns a handler for slog.New. o may be nil. Levels between those of slog count as
// the one below; below Debug is trace, and Error+4 or above is fatal, which flushes as a logrus
// Fatal does, without ending the process. A record without a time gets the time of the call.
// Handle never returns an error.
func (p *Publisher) SlogHandler(o *SlogOptions) slog.Handler {
	h := &slogHandler{pub: p}
	if o != nil {
		h.name, h.level, h.source, h.context = o.Logger, o.Level, o.AddSource, o.Context
	}
	return h
}

type slogHandler struct {
	pub     *Publisher
	name    string
	level   slog.Leveler
	source  bool
	context ContextFunc
	prefix  *record.Prefix
	groups  int // open in prefix
	levels  levelCache
}

func (h *slogHandler) derive() *slogHandler {
	return &slogHandler{pub: h.pub, name: h.name, level: h.level, source: h.source,
		context: h.context, prefix: h.prefix, groups: h.groups}
}

// fromSlog maps slog's open scale to ours.
func fromSlog(l slog.Level) record.Level {
	switch {
	case l < slog.LevelDebug:
		return record.Trace
	case l < slog.LevelInfo:
		return record.Debug
	case l < slog.LevelWarn:
		return record.Info
	case l < slog.LevelError:
		return record.Warn
	case l < slog.LevelError+4:
		return record.Error
	}
	return record.Fatal
}

func (h *slogHandler) Enabled(_ context.Context, level slog.Level) bool {
	if h.level != nil {
		return level >= h.level.Level() && h.pub.levels.admits(h.name, fromSlog(level))
	}
	return h.levels.enabled(&h.pub.levels, h.name, fromSlog(level))
}

func (h *slogHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Time.IsZero() {
		r.Time = h.pub.clock.now()
	}
	line := record.GetLine()
	name, named := h.encode(line, &r, h.name)
	if named {
		// The name stands before the attributes, one of which it was: once more, from the start.
		if !h.pub.levels.admits(name, line.Level()) {
			line.Free()
			return nil
		}
		h.encode(line, &r, name)
	}
	if h.context != nil && ctx != nil {
		for _, f := range h.context(ctx) {
			appendField(line, &f)
		}
	}
	if h.source && r.PC != 0 {
		f, _ := runtime.CallersFrames([]uintptr{r.PC}).Next()
		line.Caller(f.File, f.Line)
	}
	h.pub.submit(line)
	return nil
}

// encode starts line with what r says, and returns the name that r gives its logger, if it does:
// the last one counts.
func (h *slogHandler) encode(line *record.Line, r *slog.Record, logger string) (name string, named bool) {
	line.Start(r.Time, fromSlog(r.Level), logger, r.Message)
	line.Prefix(h.prefix)
	r.Attrs(func(a slog.Attr) bool {
		if h.groups == 0 && namesLogger(&a) {
			name, named = a.Value.String(), true
		} else {
			appendAttr(line, &a)
		}
		return true
	})
	return name, named
}

func namesLogger(a *slog.Attr) bool {
	return a.Key == loggerKey && a.Value.Kind() == slog.KindString
}

func (h *slogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	d := h.derive()
	attrs = slices.Clone(attrs)
	if h.groups == 0 {
		attrs = slices.DeleteFunc(attrs, func(a slog.Attr) bool {
			if !namesLogger(&a) {
				return false
			}
			d.name = a.Value.String()
			return true
		})
	}
	if len(attrs) == 0 {
		return d
	}
	d.prefix = record.NewPrefix(h.prefix, func(l *record.Line) {
		for _, a := range attrs {
			appendAttr(l, &a)
		}
	})
	return d
}

func (h *slogHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	d := h.derive()
	d.groups++
	d.prefix = record.NewPrefix(h.prefix, func(l *record.Line) { l.OpenGroup(name) })
	return d
}
