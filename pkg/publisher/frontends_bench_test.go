package publisher

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
)

// BenchmarkFrontEnd is the cost of a call through each front end, encoded and thrown away, with
// what the libraries themselves do beside it. The module tests/frontends compares with others.
func BenchmarkFrontEnd(b *testing.B) {
	const msg = "loaded the rows of one file into the table of the day, checked and without error"
	ctx := context.Background()
	p, err := New(Config{Console: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	handled := func(h slog.Handler) func() {
		l := slog.New(h).With("logger", "etl.load")
		return func() {
			l.LogAttrs(ctx, slog.LevelInfo, msg, slog.String("file", "a.csv"), slog.Int("rows", 120), slog.Bool("ok", true))
		}
	}
	fielded := func(l *logrus.Logger) func() {
		return func() { l.WithFields(logrus.Fields{"file": "a.csv", "rows": 120, "ok": true}).Info(msg) }
	}
	formatted := logrus.New()
	formatted.SetOutput(io.Discard)
	formatted.SetFormatter(&logrus.JSONFormatter{})
	hooked := logrus.New()
	p.InstallLogrus(hooked)
	native := p.Named("etl.load")
	with := native.With(String("file", "a.csv"), Int("rows", 120), Bool("ok", true))
	w := p.Writer(WriterOptions{})
	text := []byte(msg + "\n")
	json := []byte(`{"level":"info","ts":1795255200.25,"logger":"etl.load","msg":"` + msg + `","file":"a.csv","rows":120,"ok":true}` + "\n")

	for _, c := range []struct {
		name string
		call func()
	}{
		{"native", func() { native.Info(msg, String("file", "a.csv"), Int("rows", 120), Bool("ok", true)) }},
		{"native/With", func() { with.Info(msg) }},
		{"native/off", func() { native.Debug(msg, String("file", "a.csv"), Int("rows", 120), Bool("ok", true)) }},
		{"slog", handled(p.SlogHandler(nil))},
		{"slog/JSONHandler", handled(slog.NewJSONHandler(io.Discard, nil))},
		{"logrus", fielded(hooked)},
		{"logrus/JSONFormatter", fielded(formatted)},
		{"Writer/text", func() { w.Write(text) }},
		{"Writer/JSON", func() { w.Write(json) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.call()
			}
		})
	}
	b.Run("Lines/text", func(b *testing.B) {
		b.ReportAllocs()
		if err := p.Lines(ctx, strings.NewReader(strings.Repeat(string(text), b.N)), LinesOptions{}); err != nil {
			b.Fatal(err)
		}
	})
}
