package collector

import (
	"encoding/json"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/pkg/record"
)

// A renderer appends to dst what a handler writes for one record; line is without its newline. nil stands
// for "as it is". Each handler has its own, and one goroutine at a time calls it: the writer, but for what is rendered aside.
type renderer func(dst, line []byte) []byte

// newRenderer returns the renderer of a format that the plan has found to exist. failed counts the records that
// a formatter could not format; they are written as text lines instead, since no handler leaves a record out.
func newRenderer(format string, formats map[string]logrus.Formatter, failed *atomic.Uint64) renderer {
	switch format {
	case "json":
		return nil
	case "text":
		var text record.TextAppender
		return func(dst, line []byte) []byte { return text.Append(dst, line, record.TextOptions{}) }
	}
	f := formats[format]
	return func(dst, line []byte) []byte {
		out, err := formatLogrus(f, line)
		if err != nil {
			failed.Add(1)
			return appendPlainText(dst, line)
		}
		if dst = append(dst, out...); len(out) > 0 && out[len(out)-1] != '\n' {
			dst = append(dst, '\n')
		}
		return dst
	}
}

func appendPlainText(dst, line []byte) []byte {
	return record.AppendText(dst, line, record.TextOptions{})
}

// entryLogger is what formatters find in entry.Logger; some look at its output.
var entryLogger = &logrus.Logger{Out: io.Discard, Formatter: &logrus.TextFormatter{}, Level: logrus.TraceLevel}

var logrusLevels = [...]logrus.Level{
	0:            logrus.InfoLevel,
	record.Trace: logrus.TraceLevel,
	record.Debug: logrus.DebugLevel,
	record.Info:  logrus.InfoLevel,
	record.Warn:  logrus.WarnLevel,
	record.Error: logrus.ErrorLevel,
	record.Fatal: logrus.FatalLevel,
	record.Panic: logrus.PanicLevel,
}

// formatLogrus shows a record to a logrus formatter as the entry that it may once have been. What
// logbraid adds is among the data: logger, app, worker, run and seq.
func formatLogrus(f logrus.Formatter, line []byte) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("format record: panic: %v", p)
		}
	}()
	r, err := record.Parse(line)
	if err != nil {
		return nil, fmt.Errorf("format record: %w", err)
	}
	data := make(logrus.Fields, 8)
	for key, raw := range r.Fields() {
		var v any
		if json.Unmarshal(raw, &v) != nil {
			v = string(raw)
		}
		data[key] = v
	}
	for key, v := range map[string]string{
		logrus.ErrorKey: r.Error, "stack": r.Stack, "caller": r.Caller,
		"logger": r.Logger, "app": r.App, "worker": r.Worker, "run": r.Run,
	} {
		if v != "" {
			data[key] = v
		}
	}
	data["seq"] = r.Seq
	return f.Format(&logrus.Entry{
		Logger: entryLogger, Data: data, Time: r.Time, Level: logrusLevels[r.Level], Message: r.Msg,
	})
}
