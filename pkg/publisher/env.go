package publisher

import (
	"log/slog"

	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
)

// FromEnv starts a publisher with the settings of the environment: the LOGBRAID_
// variables, and NATS_URL and the like where those are not set. The error names
// everything that is wrong. Diagnostics from level warn on go to standard error.
//
// The first publisher that FromEnv makes becomes the [Default], unless SetDefault
// was called.
func FromEnv() (*Publisher, error) {
	cfg, err := ConfigFromEnv(nil)
	if err != nil {
		return nil, err
	}
	cfg.Diagnostics = slog.New(slog.NewTextHandler(stderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	p, err := New(cfg)
	if err == nil {
		defaultPublisher.CompareAndSwap(nil, p)
	}
	return p, err
}

// ConfigFromEnv returns the configuration with which [FromEnv] would start, for
// those who want to change something before they call [New]. environ is in the
// form of os.Environ, the last of several values counts; nil means the process's
// own. The error names everything that is wrong.
func ConfigFromEnv(environ []string) (Config, error) {
	var s settings.Worker
	values, err := settings.Loader{Environ: environ}.Load(&s)
	cfg := Config{
		App:              s.App,
		Worker:           s.Worker,
		Prefix:           s.Prefix,
		Conn:             s.Config,
		Delivery:         s.Delivery,
		Stream:           s.Stream,
		Levels:           s.Levels,
		Buffer:           int(s.Buffer),
		BufferDir:        s.BufferDir,
		Overflow:         Overflow(s.Overflow),
		BlockTimeout:     s.BlockTimeout,
		Batch:            int(s.Batch),
		BatchCompression: s.BatchCompression,
		MaxRecord:        int(s.MaxRecord),
		CloseTimeout:     s.CloseTimeout,
	}
	var more problem.List
	for _, v := range values {
		switch zero := v.Text == "0" || v.Text == "0s"; {
		case v.Origin == "default" && v.Variable == settings.Prefix+"MAX_RECORD":
			cfg.MaxRecord = 0 // follows the buffer's size
		case v.Origin == "default" && v.Variable == settings.Prefix+"LEVELS":
			cfg.Levels = "" // nobody set them: see levelSet
		case zero && v.Origin != "default":
			more.Add(v.Variable, v.Text, "must be more than nothing", v.Example)
		}
	}
	more = append(more, cfg.withDefaults().problems()...)
	return cfg, settings.Merge(err, values, more).Err()
}
