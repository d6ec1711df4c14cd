package frontends

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	plog "github.com/phuslu/log"
	"github.com/rs/zerolog"
	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/logbraid/logbraid/pkg/embedded"
	"github.com/logbraid/logbraid/pkg/publisher"
)

// through runs use with a publisher of an embedded master and returns the lines of the file that
// come from it, decoded by encoding/json.
func through(t *testing.T, use func(p *publisher.Publisher)) []map[string]any {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "app.jsonl")
	ctx := context.Background()
	m, err := embedded.Start(ctx, embedded.Config{Dir: dir, App: "etl", Handlers: []string{"json://" + file}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(ctx)
	p, err := m.Publisher("w1")
	if err != nil {
		t.Fatal(err)
	}
	use(p)
	if err := m.Close(ctx); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range bytes.Lines(text) {
		r := make(map[string]any)
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r["app"] == "etl" && r["worker"] == "w1" {
			all = append(all, r)
		}
	}
	return all
}

func has(t *testing.T, r map[string]any, want map[string]any) {
	t.Helper()
	for k, v := range want {
		got, ok := r[k]
		if n, isNumber := got.(json.Number); isNumber {
			got = n.String()
		}
		if v == nil && ok || v != nil && got != v {
			t.Errorf("%s is %v, want %v\nin %v", k, got, v, r)
		}
	}
}

// The same event, said through each library, is the same record.
func TestOneEventThroughEachLibrary(t *testing.T) {
	failure := errors.New("timeout")
	tests := map[string]func(p *publisher.Publisher){
		"zap": func(p *publisher.Publisher) {
			core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), p.Writer(publisher.WriterOptions{}), zap.DebugLevel)
			zap.New(core).Named("db.query").Warn("slow query", zap.String("db", "main"), zap.Int("rows", 120), zap.Bool("ok", true), zap.Error(failure))
		},
		"zap, other keys": func(p *publisher.Publisher) {
			c := zap.NewDevelopmentEncoderConfig()
			c.TimeKey, c.LevelKey, c.MessageKey, c.NameKey = "@timestamp", "severity", "message", "logger"
			core := zapcore.NewCore(zapcore.NewJSONEncoder(c), p.Writer(publisher.WriterOptions{}), zap.DebugLevel)
			zap.New(core).Named("db.query").Sugar().Warnw("slow query", "db", "main", "rows", 120, "ok", true, "error", failure)
		},
		"zerolog": func(p *publisher.Publisher) {
			l := zerolog.New(p.Writer(publisher.WriterOptions{Logger: "db.query"})).With().Timestamp().Logger()
			l.Warn().Str("db", "main").Int("rows", 120).Bool("ok", true).Err(failure).Msg("slow query")
		},
		"phuslu": func(p *publisher.Publisher) {
			l := plog.Logger{Level: plog.DebugLevel, Writer: plog.IOWriter{Writer: p.Writer(publisher.WriterOptions{Logger: "db.query"})}}
			l.Warn().Str("db", "main").Int("rows", 120).Bool("ok", true).Err(failure).Msg("slow query")
		},
		"logrus, written": func(p *publisher.Publisher) {
			l := logrus.New()
			l.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
			l.SetOutput(p.Writer(publisher.WriterOptions{Logger: "db.query"}))
			l.WithFields(logrus.Fields{"db": "main", "rows": 120, "ok": true}).WithError(failure).Warn("slow query")
		},
		"logrus, hooked": func(p *publisher.Publisher) {
			l := logrus.New()
			p.InstallLogrus(l)
			l.WithFields(logrus.Fields{"db": "main", "rows": 120, "ok": true, "logger": "db.query"}).WithError(failure).Warn("slow query")
		},
		"logrus, named": func(p *publisher.Publisher) {
			p.Logger("db.query").WithFields(logrus.Fields{"db": "main", "rows": 120, "ok": true}).WithError(failure).Warn("slow query")
		},
		"slog, written": func(p *publisher.Publisher) {
			l := slog.New(slog.NewJSONHandler(p.Writer(publisher.WriterOptions{}), nil))
			l.Warn("slow query", "logger", "db.query", "db", "main", "rows", 120, "ok", true, "err", failure)
		},
		"slog, handled": func(p *publisher.Publisher) {
			slog.New(p.SlogHandler(nil)).Warn("slow query", "logger", "db.query", "db", "main", "rows", 120, "ok", true, "error", failure)
		},
		"native": func(p *publisher.Publisher) {
			p.Named("db.query").Warn("slow query", publisher.String("db", "main"), publisher.Int("rows", 120), publisher.Bool("ok", true), publisher.Err(failure))
		},
	}
	for name, use := range tests {
		t.Run(name, func(t *testing.T) {
			began := time.Now().Add(-1100 * time.Millisecond) // some write whole seconds
			got := through(t, use)
			if len(got) != 1 {
				t.Fatalf("records %v", got)
			}
			has(t, got[0], map[string]any{"level": "warn", "msg": "slow query", "logger": "db.query",
				"db": "main", "rows": "120", "ok": true, "error": "timeout", "seq": "1", "truncated": nil})
			at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(got[0]["time"]))
			if err != nil || at.Before(began) || at.After(time.Now()) {
				t.Errorf("time %v (%v)", got[0]["time"], err)
			}
			if len(got[0]) != 12 {
				t.Errorf("the record has %d keys, want 12: %v", len(got[0]), got[0])
			}
		})
	}
}

func TestPlainTextOfEachLibrary(t *testing.T) {
	tests := map[string]struct {
		use  func(w io.Writer)
		want string
	}{
		"log":         {func(w io.Writer) { log.New(w, "etl: ", log.Lmsgprefix).Print("row loaded") }, "etl: row loaded"},
		"log, joined": {func(w io.Writer) { fmt.Fprint(w, "row "); fmt.Fprint(w, "loaded\n") }, "row loaded"},
		"slog": {func(w io.Writer) {
			h := slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			}})
			slog.New(h).Info("row loaded", "n", 1)
		}, `level=INFO msg="row loaded" n=1`},
		"zerolog": {func(w io.Writer) {
			l := zerolog.New(zerolog.ConsoleWriter{Out: w, NoColor: true, PartsExclude: []string{zerolog.TimestampFieldName}})
			l.Info().Int("n", 1).Msg("row loaded")
		}, "INF row loaded n=1"},
		"zap": {func(w io.Writer) {
			c := zap.NewDevelopmentEncoderConfig()
			c.TimeKey = ""
			zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(c), zapcore.AddSync(w), zap.InfoLevel)).Info("row loaded")
		}, "INFO\trow loaded"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := through(t, func(p *publisher.Publisher) {
				tt.use(p.Writer(publisher.WriterOptions{Logger: "legacy"}))
			})
			if len(got) != 1 {
				t.Fatalf("records %v", got)
			}
			has(t, got[0], map[string]any{"msg": tt.want, "logger": "legacy", "level": "info"})
		})
	}
}

func TestLevelsOfEachLibrary(t *testing.T) {
	got := through(t, func(p *publisher.Publisher) {
		w := p.Writer(publisher.WriterOptions{})
		z := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), w, zap.DebugLevel), zap.WithFatalHook(zapcore.WriteThenPanic))
		z.Debug("zap debug")
		z.Info("zap info")
		z.Warn("zap warn")
		z.Error("zap error")
		z.DPanic("zap panic")
		panics(t, func() { z.Panic("zap panic") })
		panics(t, func() { z.Fatal("zap fatal") })

		r := zerolog.New(w)
		r.Trace().Msg("zerolog trace")
		r.Debug().Msg("zerolog debug")
		r.Info().Msg("zerolog info")
		r.Warn().Msg("zerolog warn")
		r.Error().Msg("zerolog error")
		r.WithLevel(zerolog.FatalLevel).Msg("zerolog fatal")
		panics(t, func() { r.Panic().Msg("zerolog panic") })

		h := plog.Logger{Level: plog.TraceLevel, Writer: plog.IOWriter{Writer: w}}
		h.Trace().Msg("phuslu trace")
		h.Debug().Msg("phuslu debug")
		h.Info().Msg("phuslu info")
		h.Warn().Msg("phuslu warn")
		h.Error().Msg("phuslu error")

		l := logrus.New()
		l.SetFormatter(&logrus.JSONFormatter{})
		l.SetOutput(w)
		l.SetLevel(logrus.TraceLevel)
		l.Trace("logrus trace")
		l.Debug("logrus debug")
		l.Info("logrus info")
		l.Warn("logrus warn")
		l.Error("logrus error")
		l.Log(logrus.FatalLevel, "logrus fatal")
		panics(t, func() { l.Panic("logrus panic") })
	})
	if len(got) != 26 {
		t.Fatalf("%d records: %v", len(got), got)
	}
	for _, r := range got {
		var library, level string
		fmt.Sscan(fmt.Sprint(r["msg"]), &library, &level)
		has(t, r, map[string]any{"level": level})
	}
}

func panics(t *testing.T, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f()
}

func TestZapInFull(t *testing.T) {
	got := through(t, func(p *publisher.Publisher) {
		w := p.Writer(publisher.WriterOptions{})
		core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), w, zap.DebugLevel)
		l := zap.New(core, zap.AddCaller(), zap.AddStacktrace(zap.ErrorLevel)).Named("etl").Named("load")
		l.With(zap.Int("job", 7)).Error("failed", zap.Duration("took", 1500*time.Millisecond), zap.Strings("files", []string{"a", "b"}),
			zap.Namespace("inner"), zap.String("level", "nested"), zap.Binary("bin", []byte{0xff}))
		if err := l.Sync(); err != nil {
			t.Error("Sync:", err)
		}
		buffered := &zapcore.BufferedWriteSyncer{WS: w}
		b := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), buffered, zap.DebugLevel))
		b.Info("buffered")
		if err := buffered.Stop(); err != nil {
			t.Error("Stop:", err)
		}
	})
	if len(got) != 2 {
		t.Fatalf("records %v", got)
	}
	has(t, got[0], map[string]any{"level": "error", "logger": "etl.load", "job": "7", "took": "1.5"})
	if s := fmt.Sprint(got[0]["inner"]); s != "map[bin:/w== level:nested]" {
		t.Errorf("inner is %s", s)
	}
	if s, _ := got[0]["stack"].(string); !bytes.Contains([]byte(s), []byte("frontends.TestZapInFull")) {
		t.Errorf("stack is %q", s)
	}
	if s, _ := got[0]["caller"].(string); !bytes.Contains([]byte(s), []byte("frontends/frontends_test.go:")) {
		t.Errorf("caller is %q", s)
	}
	has(t, got[1], map[string]any{"msg": "buffered"})
}

// Libraries write a line with one Write, from any goroutine: none is torn, and each goroutine's
// records stay in order.
func TestManyGoroutinesThroughOneWriter(t *testing.T) {
	const goroutines, each = 8, 250
	got := through(t, func(p *publisher.Publisher) {
		w := p.Writer(publisher.WriterOptions{})
		z := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), w, zap.DebugLevel))
		r := zerolog.New(w)
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				for i := range each {
					if g%2 == 0 {
						z.Info("m", zap.Int("g", g), zap.Int("i", i))
					} else {
						r.Info().Int("g", g).Int("i", i).Msg("m")
					}
				}
			})
		}
		wg.Wait()
	})
	next := make([]int, goroutines)
	for n, r := range got {
		var g, i int
		fmt.Sscan(fmt.Sprintf("%v %v", r["g"], r["i"]), &g, &i)
		if i != next[g] {
			t.Fatalf("goroutine %d: record %d, want %d", g, i, next[g])
		}
		next[g]++
		has(t, r, map[string]any{"seq": fmt.Sprint(n + 1)})
	}
	if len(got) != goroutines*each {
		t.Errorf("%d records, want %d", len(got), goroutines*each)
	}
}
