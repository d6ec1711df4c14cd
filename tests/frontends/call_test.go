package frontends

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/rs/zerolog"
	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/pkg/embedded"
	"github.com/logbraid/logbraid/pkg/publisher"
)

// The event of all benchmarks: 80 bytes of message, a logger's name, three fields.
const (
	benchLogger = "etl.load"
	benchMsg    = "loaded the rows of one file into the table of the day, checked and without error"
	benchFile   = "2026-11-21.csv"
	benchRows   = 120
)

// toNowhere is a publisher that encodes each record and throws it away.
func toNowhere(t testing.TB) *publisher.Publisher {
	t.Helper()
	p, err := publisher.New(publisher.Config{Console: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// toFile is a publisher of an embedded master, buffer file and all.
func toFile(t testing.TB) *publisher.Publisher {
	t.Helper()
	dir := t.TempDir()
	m, err := embedded.Start(context.Background(), embedded.Config{Dir: dir, Handlers: []string{"json://" + dir + "/app.jsonl"}, Buffer: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(context.Background()) })
	p, err := m.Publisher("w1")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func callNative(p *publisher.Publisher) func() {
	l := p.Named(benchLogger)
	return func() {
		l.Info(benchMsg, publisher.String("file", benchFile), publisher.Int("rows", benchRows), publisher.Bool("ok", true))
	}
}

func callZerolog() func() {
	l := zerolog.New(io.Discard).With().Timestamp().Str("logger", benchLogger).Logger()
	return func() {
		l.Info().Str("file", benchFile).Int("rows", benchRows).Bool("ok", true).Msg(benchMsg)
	}
}

func callSlog(h slog.Handler) func() {
	l := slog.New(h).With("logger", benchLogger)
	ctx := context.Background()
	return func() {
		l.LogAttrs(ctx, slog.LevelInfo, benchMsg, slog.String("file", benchFile), slog.Int("rows", benchRows), slog.Bool("ok", true))
	}
}

func callLogrus(l *logrus.Logger) func() {
	return func() {
		l.WithFields(logrus.Fields{"file": benchFile, "rows": benchRows, "ok": true}).Info(benchMsg)
	}
}

func hookedLogrus(p *publisher.Publisher) *logrus.Logger {
	l := logrus.New()
	p.InstallLogrus(l)
	return l
}

func jsonLogrus() *logrus.Logger {
	l := logrus.New()
	l.SetOutput(io.Discard)
	l.SetFormatter(&logrus.JSONFormatter{})
	return l
}

func BenchmarkCall(b *testing.B) {
	for _, c := range []struct {
		name string
		call func(b *testing.B) func()
	}{
		{"native", func(b *testing.B) func() { return callNative(toNowhere(b)) }},
		{"native to a file", func(b *testing.B) func() { return callNative(toFile(b)) }},
		{"zerolog", func(*testing.B) func() { return callZerolog() }},
		{"slog handler", func(b *testing.B) func() { return callSlog(toNowhere(b).SlogHandler(nil)) }},
		{"slog handler to a file", func(b *testing.B) func() { return callSlog(toFile(b).SlogHandler(nil)) }},
		{"slog JSONHandler", func(*testing.B) func() { return callSlog(slog.NewJSONHandler(io.Discard, nil)) }},
		{"logrus hook", func(b *testing.B) func() { return callLogrus(hookedLogrus(toNowhere(b))) }},
		{"logrus hook to a file", func(b *testing.B) func() { return callLogrus(hookedLogrus(toFile(b))) }},
		{"logrus JSONFormatter", func(*testing.B) func() { return callLogrus(jsonLogrus()) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			call := c.call(b)
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}
