package embedded

import (
	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
)

// ConfigFromEnv is the configuration that the LOGBRAID_ variables make: DIR,
// HANDLERS, FSYNC, PREFIX, LISTEN, CLOSE_TIMEOUT, and APP, LEVELS, BUFFER and
// BATCH_COMPRESSION for the workers. Everything else is for the caller to fill in. The error lists
// everything that is wrong, each with the variable, its value and an example.
func ConfigFromEnv() (Config, error) { return configFromEnv(nil) }

// configFromEnv reads environ, in the form of os.Environ; nil means the process's own.
func configFromEnv(environ []string) (Config, error) {
	var master settings.Master
	var workers settings.Publisher
	values, err := settings.Loader{Environ: environ}.Load(&master)
	theirs, workersErr := settings.Loader{Environ: environ}.Load(&workers)
	port, _ := master.Port() // the loader has told what is wrong with it
	cfg := Config{
		Dir:          master.Dir,
		App:          workers.App,
		Handlers:     master.HandlerURLs(),
		FSync:        master.FSync,
		Prefix:       master.Prefix,
		Port:         port,
		CloseTimeout: master.CloseTimeout,
	}
	// What nobody has set, each worker decides.
	for _, v := range theirs {
		switch {
		case v.Origin == "default":
		case v.Variable == settings.Prefix+"LEVELS":
			cfg.Levels = workers.Levels
		case v.Variable == settings.Prefix+"BUFFER":
			cfg.Buffer = int(workers.Buffer)
		case v.Variable == settings.Prefix+"BATCH_COMPRESSION":
			cfg.BatchCompression = workers.BatchCompression
		}
	}
	more := append(problem.In(workersErr), problem.In(cfg.Validate())...)
	return cfg, settings.Merge(err, append(values, theirs...), more).Err()
}
