package frontends

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	plog "github.com/phuslu/log"
	"github.com/rs/zerolog"
	"github.com/sirupsen/logrus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/logbraid/logbraid/pkg/embedded"
	"github.com/logbraid/logbraid/pkg/publisher"
)

const childEnv = "FRONTENDS_TEST_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		p, err := publisher.FromEnv()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(9)
		}
		lastWords[name](p)
		os.Exit(8) // it should have ended
	}
	os.Exit(m.Run())
}

// lastWords end the process in each library's way, and nobody closes the publisher.
var lastWords = map[string]func(p *publisher.Publisher){
	"zap": func(p *publisher.Publisher) {
		core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), p.Writer(publisher.WriterOptions{}), zap.DebugLevel)
		zap.New(core).Fatal("last words")
	},
	"zap panic": func(p *publisher.Publisher) {
		core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), p.Writer(publisher.WriterOptions{}), zap.DebugLevel)
		zap.New(core).Panic("last words")
	},
	"zerolog": func(p *publisher.Publisher) {
		l := zerolog.New(p.Writer(publisher.WriterOptions{}))
		l.Fatal().Msg("last words")
	},
	"phuslu": func(p *publisher.Publisher) {
		l := plog.Logger{Level: plog.DebugLevel, Writer: plog.IOWriter{Writer: p.Writer(publisher.WriterOptions{})}}
		l.Fatal().Msg("last words")
	},
	"logrus, written": func(p *publisher.Publisher) {
		l := logrus.New()
		l.SetFormatter(&logrus.JSONFormatter{})
		l.SetOutput(p.Writer(publisher.WriterOptions{}))
		l.Fatal("last words")
	},
	"logrus, hooked": func(p *publisher.Publisher) {
		p.InstallLogrus(logrus.StandardLogger())
		logrus.Fatal("last words")
	},
	"logrus panic": func(p *publisher.Publisher) {
		p.InstallLogrus(logrus.StandardLogger())
		logrus.Panic("last words")
	},
	"logrus exit": func(p *publisher.Publisher) {
		p.InstallLogrus(logrus.StandardLogger())
		logrus.Warn("last words")
		logrus.Exit(1)
	},
	"slog": func(p *publisher.Publisher) {
		slog.New(p.SlogHandler(nil)).Log(context.Background(), slog.LevelError+4, "last words")
		os.Exit(1)
	},
	"native":       func(p *publisher.Publisher) { p.Named("").Fatal("last words") },
	"native panic": func(p *publisher.Publisher) { p.Named("").Panic("last words") },
	"main":         func(p *publisher.Publisher) { publisher.Main(func() int { publisher.Info("last words"); return 1 }) },
	"main panics":  func(p *publisher.Publisher) { publisher.Main(func() int { panic("last words") }) },
}

// The children have no buffer file: what did not reach the collector before the end is gone.
func TestLastWordsArriveBeforeTheEnd(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "app.jsonl")
	ctx := context.Background()
	m, err := embedded.Start(ctx, embedded.Config{Dir: dir, Handlers: []string{"json://" + file}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(ctx)
	for name := range lastWords {
		t.Run(name, func(t *testing.T) {
			worker := strings.NewReplacer(" ", "-", ",", "").Replace(name)
			cmd := exec.Command(os.Args[0])
			cmd.Env = slices.DeleteFunc(append(os.Environ(), m.WorkerEnv(worker)...), func(v string) bool {
				return strings.HasPrefix(v, "LOGBRAID_BUFFER_DIR=")
			})
			cmd.Env = append(cmd.Env, childEnv+"="+name)
			out, err := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code == 0 || code == 8 || code == 9 {
				t.Errorf("%v\n%s", err, out)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			said := slices.ContainsFunc(slices.Collect(bytes.Lines(text)), func(line []byte) bool {
				return bytes.Contains(line, []byte("last words")) && bytes.Contains(line, []byte(`"worker":"`+worker+`"`))
			})
			if !said {
				t.Errorf("nothing in the file\n%s", out)
			}
		})
	}
}
