package consumer

import (
	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
)

// ConfigFromEnv returns the configuration that the environment describes: the LOGBRAID_ variables, those of
// NATS where they are not set, and nats://127.0.0.1:4222 where no server is named. What to filter
// and where to begin is the program's to say. environ is in the form of os.Environ; nil means the process's own.
// The error names everything that is wrong.
func ConfigFromEnv(environ []string) (Config, error) {
	var s settings.Reader
	values, err := settings.Loader{Environ: environ}.Load(&s)
	cfg := Config{NATS: s.Config, Prefix: s.Prefix}
	if s.Delivery == "stream" {
		cfg.Stream = s.Stream
	}
	if !cfg.NATS.Configured() {
		cfg.NATS.URL = settings.DefaultURL
	}
	return cfg, settings.Merge(err, values, problem.In(cfg.Validate())).Err()
}
