package publisher

import (
	"io"
	"slices"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/pkg/record"
)

// A LogrusOption adjusts [Publisher.InstallLogrus].
type LogrusOption func(*logrusOptions)

type logrusOptions struct {
	level        logrus.Level
	setLevel     bool
	keepOutput   bool
	replaceHooks bool
	context      ContextFunc
}

// WithLevel sets the logger's level, unless the publisher's own level was set: then that applies.
func WithLevel(level logrus.Level) LogrusOption {
	return func(o *logrusOptions) { o.level, o.setLevel = level, true }
}

// KeepOutput leaves the logger's output and formatter as they are, beside the publisher.
func KeepOutput() LogrusOption { return func(o *logrusOptions) { o.keepOutput = true } }

// ReplaceHooks takes the logger's other hooks away. Without it they stay, and are called before
// the publisher, so that it sees what they change.
func ReplaceHooks() LogrusOption { return func(o *logrusOptions) { o.replaceHooks = true } }

// WithContext adds fields from the context that an entry has by WithContext.
func WithContext(f ContextFunc) LogrusOption { return func(o *logrusOptions) { o.context = f } }

// InstallLogrus sends what l logs to the publisher, and silences its output and formatter. l may
// be in use by other goroutines, but must not be configured by them meanwhile. Nil stands for
// logrus.StandardLogger. Calling it twice adds nothing twice.
//
// A record's logger is the entry's field "logger" where that is a string. l keeps its level;
// but where the publisher's levels were set (LOGBRAID_LEVELS, SetLevel), l gets the root's level,
// and each record has to pass the level of its logger as well.
//
// Fatal and Panic return to logrus only after the record is acknowledged, or CloseTimeout is over.
// logrus.Exit flushes as well.
func (p *Publisher) InstallLogrus(l *logrus.Logger, opts ...LogrusOption) {
	if l == nil {
		l = logrus.StandardLogger()
	}
	var o logrusOptions
	for _, opt := range opts {
		opt(&o)
	}
	s := &p.logrus
	s.mu.Lock()
	defer s.mu.Unlock()

	switch root, given := p.levels.table().of(""); {
	case given:
		l.SetLevel(toLogrus(root))
	case o.setLevel:
		l.SetLevel(o.level)
	}
	switch hook := (&logrusHook{pub: p, context: o.context}); {
	case o.replaceHooks:
		l.ReplaceHooks(hooksWith(nil, hook))
	case !hooked(l.Hooks[logrus.PanicLevel], p):
		l.ReplaceHooks(hooksWith(l.Hooks, hook))
	}
	// Only now: a record that another goroutine logs meanwhile is shown or sent, or both.
	if !o.keepOutput {
		silence(l)
	}
	if !slices.Contains(s.installed, l) {
		s.installed = append(s.installed, l)
	}
	s.flushAtExit(p)
}

// LogrusHook returns the hook that InstallLogrus adds, for a logger that is set up by hand.
func (p *Publisher) LogrusHook() logrus.Hook { return &logrusHook{pub: p} }

// Logger returns a logrus entry whose records have a logger's name, and which has that logger's
// level: see [Publisher.SetLevel]. It writes nowhere but to the publisher. The underlying
// logrus.Logger is the same at each call with that name; the publisher remembers it, so a name is
// a place in the program, not a value.
func (p *Publisher) Logger(name string) *logrus.Entry {
	s := &p.logrus
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.named[name]
	if !ok {
		l = logrus.New()
		silence(l)
		l.SetLevel(toLogrus(p.Level(name)))
		l.AddHook(&logrusHook{pub: p, name: name})
		if s.named == nil {
			s.named = make(map[string]*logrus.Logger)
		}
		s.named[name] = l
		s.flushAtExit(p)
	}
	return logrus.NewEntry(l)
}

// logrusState is what a publisher remembers of the logrus loggers that lead to it.
type logrusState struct {
	mu        sync.Mutex
	named     map[string]*logrus.Logger
	installed []*logrus.Logger
	atExit    bool
}

// follow makes the loggers' levels those of the publisher, after a change.
func (s *logrusState) follow(p *Publisher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, l := range s.named {
		l.SetLevel(toLogrus(p.Level(name)))
	}
	if root, given := p.levels.table().of(""); given {
		for _, l := range s.installed {
			l.SetLevel(toLogrus(root))
		}
	}
}

// exitHandlers guards logrus's list of them, which it does not guard itself.
var exitHandlers sync.Mutex

// flushAtExit makes logrus.Exit flush p. s.mu is held.
func (s *logrusState) flushAtExit(p *Publisher) {
	if s.atExit {
		return
	}
	s.atExit = true
	exitHandlers.Lock()
	defer exitHandlers.Unlock()
	logrus.RegisterExitHandler(func() {
		if !p.closed.Load() {
			p.flushNow()
		}
	})
}

// hooksWith returns hooks followed by h, at every level.
//
// logrus calls no more hooks after one that fails. A record must not get lost because somebody's
// hook could not reach its server, so ours takes those before it into its care: they are called as
// they were, and their error goes to logrus as it did.
func hooksWith(hooks logrus.LevelHooks, h *logrusHook) logrus.LevelHooks {
	all := make(logrus.LevelHooks, len(logrus.AllLevels))
	for _, level := range logrus.AllLevels {
		if before := hooks[level]; len(before) > 0 {
			all[level] = []logrus.Hook{&hookChain{level: level, before: slices.Clone(before), hook: h}}
		} else {
			all[level] = []logrus.Hook{h}
		}
	}
	return all
}

// hooked reports whether a hook that leads to p is among hooks.
func hooked(hooks []logrus.Hook, p *Publisher) bool {
	return slices.ContainsFunc(hooks, func(h logrus.Hook) bool {
		switch h := h.(type) {
		case *logrusHook:
			return h.pub == p
		case *hookChain:
			return h.hook.pub == p || hooked(h.before, p)
		}
		return false
	})
}

// A hookChain is the hooks of one level that were there first, and ours.
type hookChain struct {
	level  logrus.Level
	before []logrus.Hook
	hook   *logrusHook
}

func (c *hookChain) Levels() []logrus.Level { return []logrus.Level{c.level} }

func (c *hookChain) Fire(e *logrus.Entry) error {
	var err error
	for _, h := range c.before {
		if err = h.Fire(e); err != nil {
			break
		}
	}
	_ = c.hook.Fire(e) // never fails
	return err
}

// silence keeps a logger from formatting and writing.
func silence(l *logrus.Logger) {
	if _, ok := l.Formatter.(*silentFormatter); !ok {
		l.SetFormatter(&silentFormatter{l.Formatter})
	}
	l.SetOutput(io.Discard)
}

// A silentFormatter formats nothing for the logger's output. But a hook may ask for an entry's
// text, as logrus's own writer and syslog hooks do: that goes to the formatter that was there. The
// two differ in Entry.Buffer, which logrus sets for its output only.
type silentFormatter struct{ was logrus.Formatter }

func (f *silentFormatter) Format(e *logrus.Entry) ([]byte, error) {
	if e.Buffer != nil || f.was == nil {
		return nil, nil
	}
	return f.was.Format(e)
}

// A logrusHook makes a record of each entry. It never returns an error.
type logrusHook struct {
	pub     *Publisher
	name    string
	context ContextFunc
}

func (h *logrusHook) Levels() []logrus.Level { return logrus.AllLevels }

func (h *logrusHook) Fire(e *logrus.Entry) error {
	level, name := fromLogrus(e.Level), h.name
	own, named := "", false
	if len(e.Data) > 0 {
		if own, named = e.Data[loggerKey].(string); named {
			name = own
		}
	}
	if !h.pub.levels.admits(name, level) {
		return nil
	}
	line := record.GetLine()
	line.Start(e.Time, level, name, e.Message)
	appendData(line, e.Data, named)
	if h.context != nil && e.Context != nil {
		for _, f := range h.context(e.Context) {
			appendField(line, &f)
		}
	}
	if e.Caller != nil {
		line.Caller(e.Caller.File, e.Caller.Line)
	}
	h.pub.submit(line)
	return nil
}

// appendData adds the fields in the order of their keys, as logrus's formatters do.
func appendData(line *record.Line, data logrus.Fields, named bool) {
	var room [16]string
	keys := room[:0]
	for k := range data {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		v := data[k]
		if named && k == loggerKey {
			continue
		}
		if err, ok := v.(error); ok && k == logrus.ErrorKey {
			line.Err(err)
			continue
		}
		line.Any(k, v)
	}
}

var logrusLevels = [...]record.Level{
	logrus.PanicLevel: record.Panic,
	logrus.FatalLevel: record.Fatal,
	logrus.ErrorLevel: record.Error,
	logrus.WarnLevel:  record.Warn,
	logrus.InfoLevel:  record.Info,
	logrus.DebugLevel: record.Debug,
	logrus.TraceLevel: record.Trace,
}

func fromLogrus(l logrus.Level) record.Level {
	if int(l) < len(logrusLevels) {
		return logrusLevels[l]
	}
	return record.Trace
}

func toLogrus(l record.Level) logrus.Level {
	if i := slices.Index(logrusLevels[:], l); i >= 0 {
		return logrus.Level(i)
	}
	return logrus.InfoLevel
}
