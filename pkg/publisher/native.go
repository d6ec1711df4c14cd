package publisher

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/pkg/record"
)

// A Logger is the shortest way into a publisher: a name and fields, encoded into the record by the
// calling goroutine without an allocation. It is for concurrent use, and cheap to make.
type Logger struct {
	pub    *Publisher
	name   string
	prefix *record.Prefix
	caller int // 0: off; otherwise 1 + the frames to skip
	levels levelCache
}

// A levelCache remembers a logger's level until the levels change.
type levelCache struct{ v atomic.Uint64 } // the table's gen << 8 | level

func (c *levelCache) enabled(s *levelSet, name string, level record.Level) bool {
	t := s.table()
	v := c.v.Load()
	if v>>8 != t.gen {
		threshold, _ := t.of(name)
		v = t.gen<<8 | uint64(threshold)
		c.v.Store(v)
	}
	return level >= record.Level(v&0xff)
}

// Named returns a logger. The name becomes the record's logger; its level is looked up along the
// dots, see [Publisher.SetLevel]. The empty name is the root.
func (p *Publisher) Named(name string) *Logger { return &Logger{pub: p, name: name} }

// Named returns a logger below l: "etl" and "load" make "etl.load".
func (l *Logger) Named(name string) *Logger {
	if l.name != "" && name != "" {
		name = l.name + "." + name
	} else if name == "" {
		name = l.name
	}
	return &Logger{pub: l.pub, name: name, prefix: l.prefix, caller: l.caller}
}

// With returns a logger whose records all have fields, which are encoded here, once.
func (l *Logger) With(fields ...Field) *Logger {
	fields = slices.Clone(fields)
	prefix := record.NewPrefix(l.prefix, func(line *record.Line) {
		for _, f := range fields {
			appendField(line, &f)
		}
	})
	return &Logger{pub: l.pub, name: l.name, prefix: prefix, caller: l.caller}
}

// WithCaller returns a logger whose records tell the place of the call. skip is the number of
// functions between that place and the logger's method: 0 unless there is a wrapper.
func (l *Logger) WithCaller(skip int) *Logger {
	return &Logger{pub: l.pub, name: l.name, prefix: l.prefix, caller: 1 + max(0, skip)}
}

// Name returns the logger's name.
func (l *Logger) Name() string { return l.name }

// Enabled reports whether records of a level are let through.
func (l *Logger) Enabled(level record.Level) bool {
	return l.levels.enabled(&l.pub.levels, l.name, level)
}

// Log logs at a level that is known only at run time. It neither panics nor exits; at level fatal
// or panic it waits, up to CloseTimeout, for the record to be acknowledged.
func (l *Logger) Log(level record.Level, msg string, fields ...Field) {
	if l.Enabled(level) {
		l.log(level, msg, fields)
	}
}

// Trace logs at level trace.
func (l *Logger) Trace(msg string, fields ...Field) {
	if l.Enabled(record.Trace) {
		l.log(record.Trace, msg, fields)
	}
}

// Debug logs at level debug.
func (l *Logger) Debug(msg string, fields ...Field) {
	if l.Enabled(record.Debug) {
		l.log(record.Debug, msg, fields)
	}
}

// Info logs at level info.
func (l *Logger) Info(msg string, fields ...Field) {
	if l.Enabled(record.Info) {
		l.log(record.Info, msg, fields)
	}
}

// Warn logs at level warn.
func (l *Logger) Warn(msg string, fields ...Field) {
	if l.Enabled(record.Warn) {
		l.log(record.Warn, msg, fields)
	}
}

// Error logs at level error.
func (l *Logger) Error(msg string, fields ...Field) {
	if l.Enabled(record.Error) {
		l.log(record.Error, msg, fields)
	}
}

// Critical logs at level fatal and waits, up to CloseTimeout, for the record to be acknowledged.
// The program goes on.
func (l *Logger) Critical(msg string, fields ...Field) {
	if l.Enabled(record.Fatal) {
		l.log(record.Fatal, msg, fields)
	}
}

// Fatal logs at level fatal, flushes, runs logrus's exit handlers and exits with code 1.
func (l *Logger) Fatal(msg string, fields ...Field) {
	if l.Enabled(record.Fatal) {
		l.log(record.Fatal, msg, fields)
	}
	logrus.Exit(1)
}

// Panic logs at level panic, flushes, and panics with msg.
func (l *Logger) Panic(msg string, fields ...Field) {
	if l.Enabled(record.Panic) {
		l.log(record.Panic, msg, fields)
	}
	panic(msg)
}

// Exception logs err at level error, with a stack: the error's own where it has one (an error
// that formats itself with %+v to several lines, as those of github.com/pkg/errors do), otherwise
// that of the call.
func (l *Logger) Exception(err error, msg string, fields ...Field) { l.exception(err, msg, fields) }

func (l *Logger) exception(err error, msg string, fields []Field) {
	if !l.Enabled(record.Error) {
		return
	}
	line := l.start(record.Error, msg)
	line.Err(err)
	line.Stack(errorStack(err, 1))
	l.finish(line, fields)
}

// Recover, deferred, ends a panic and logs it at level error, with the panic's value as the error
// and the stack of the place where it began. The function that deferred it returns as if it had
// ended there.
//
//	defer log.Recover("load failed", publisher.String("file", name))
func (l *Logger) Recover(msg string, fields ...Field) {
	if v := recover(); v != nil {
		l.recovered(record.Error, v, msg, fields)
	}
}

// Repanic, deferred, logs a panic as [Logger.Recover] does, but at level panic and flushed, and
// lets it go on. It belongs at the top of a goroutine whose panic ends the process.
func (l *Logger) Repanic(msg string, fields ...Field) {
	if v := recover(); v != nil {
		l.recovered(record.Panic, v, msg, fields)
		panic(v)
	}
}

func (l *Logger) recovered(level record.Level, v any, msg string, fields []Field) {
	if !l.Enabled(level) {
		return
	}
	line := l.start(level, msg)
	line.Err(panicError(v))
	line.Stack(panicStack())
	l.finish(line, fields)
}

// panicError returns what a panic's value says.
func panicError(v any) error {
	if err, ok := v.(error); ok {
		return err
	}
	return fmt.Errorf("%v", v)
}

// log is the hot path. Levels have been checked.
func (l *Logger) log(level record.Level, msg string, fields []Field) {
	line := l.start(level, msg)
	if l.caller > 0 {
		if _, file, n, ok := runtime.Caller(l.caller + 1); ok {
			line.Caller(file, n)
		}
	}
	l.finish(line, fields)
}

func (l *Logger) start(level record.Level, msg string) *record.Line {
	line := record.GetLine()
	line.Start(l.pub.clock.now(), level, l.name, msg)
	line.Prefix(l.prefix)
	return line
}

func (l *Logger) finish(line *record.Line, fields []Field) {
	for i := range fields {
		appendField(line, &fields[i])
	}
	l.pub.submit(line)
}

// submit emits a record of this process. After one of level fatal or panic the process may end
// without another chance.
func (p *Publisher) submit(line *record.Line) {
	level := line.Level()
	p.emit(line)
	if level >= record.Fatal {
		p.flushNow()
	}
}
