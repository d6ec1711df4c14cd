package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/internal/settings/flags"
	"github.com/logbraid/logbraid/internal/version"
	"github.com/logbraid/logbraid/pkg/collector"
	"github.com/logbraid/logbraid/pkg/embedded"
)

// workers are settings of the workers that the master has a say in, because it
// publishes on behalf of a wrapped command. A worker reads the same variables.
type workers struct {
	App    string        `shown:"embedded, or the command's name" desc:"Name of the application, in every record" example:"etl"`
	Levels string        `flag:"level" shown:"debug, or with a command what it chooses" desc:"Least level that is logged, and exceptions by logger, inherited along the dots" example:"info,go=debug"`
	Buffer settings.Size `default:"16MiB" desc:"Room for records of one worker that are not acknowledged yet"`
}

// specs are everything that the program reads.
type specs struct {
	settings.Master
	workers workers
}

func (s *specs) list() []any { return []any{&s.Master, &s.workers} }

// help is the same in the order in which people look for it.
func (s *specs) help() []any {
	return []any{&s.Embedded, &s.Log, &s.workers, &s.Wire, &s.Flow, &s.Store}
}

// options are the settings, read and checked.
type options struct {
	specs
	json    bool
	command []string        // wrapped; empty: the main job
	config  embedded.Config // of the master
	level   slog.Level      // of the diagnostics
}

// loadOptions reads flags, environment and defaults. The error lists everything
// that is wrong with them; nothing has been started by then.
func loadOptions(ctx context.Context, fs *pflag.FlagSet, command []string) (*options, error) {
	o := &options{command: command}
	o.json, _ = fs.GetBool("json")
	loader := settings.Loader{Flag: flags.Given(fs)}
	values, err := loader.Load(o.list()...)
	// The workers read the rest from the same environment; better they are told of
	// what is wrong with it once, and before they are started.
	var workers settings.Publisher
	_, theirs := loader.Load(&workers)
	problems := problem.In(theirs)
	given := map[string]bool{}
	for _, v := range values {
		given[v.Variable] = v.Origin != "default"
	}
	o.defaults(given)

	if o.Workers < 1 {
		problems.Add("LOGBRAID_WORKERS", strconv.Itoa(o.Workers), "must be 1 at least", "4")
	}
	if len(command) == 0 {
		problems = append(problems, o.checkInput(ctx)...)
	}
	_ = o.level.UnmarshalText([]byte(o.Diagnostics)) // the loader has told what it is not
	port, _ := o.Embedded.Port()                     // likewise

	o.config = embedded.Config{
		Dir:      o.Dir,
		App:      o.workers.App,
		Handlers: o.HandlerURLs(),
		FSync:    o.FSync,
		Prefix:   o.Prefix,
		Delivery: o.Delivery,
		Stream: collector.StreamConfig{
			Name: o.Stream, MaxBytes: int64(o.StreamMaxBytes), Keep: o.StreamKeep, Compression: o.StreamCompression,
		},
		Port:             port,
		Buffer:           int(o.workers.Buffer),
		Levels:           o.workers.Levels,
		BatchCompression: workers.BatchCompression,
		CloseTimeout:     o.CloseTimeout,
		Version:          version.Get().String(),
		NoColor:          os.Getenv("NO_COLOR") != "",
	}
	problems = append(problems, problem.In(o.config.Validate())...)
	if err := settings.Merge(err, values, problems).Err(); err != nil {
		return nil, err
	}
	return o, nil
}

// defaults fills in what depends on whether a command is wrapped.
func (o *options) defaults(given map[string]bool) {
	wrapping := len(o.command) > 0
	if !given["LOGBRAID_WORKERS"] {
		if o.Workers = 4; wrapping {
			o.Workers = 1
		}
	}
	if o.workers.App == "" {
		o.workers.App = "embedded"
		if wrapping {
			o.workers.App = strings.TrimSuffix(filepath.Base(o.command[0]), ".exe")
		}
	}
	// What a command prints has passed that program's own levels already.
	if o.workers.Levels == "" && !wrapping {
		o.workers.Levels = "debug"
	}
	// The log's console shows what matters already.
	if !given["LOGBRAID_DIAGNOSTICS"] {
		o.Diagnostics = "warn"
	}
}

func (o *options) checkInput(ctx context.Context) (l problem.List) {
	if o.Input == "" {
		input, err := toolchainSource(ctx)
		if err != nil {
			l.Add("LOGBRAID_INPUT", "", err.Error(), "--input .")
			return l
		}
		o.Input = input
	}
	st, err := os.Stat(o.Input)
	switch {
	case err != nil:
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		l.Add("LOGBRAID_INPUT", o.Input, err.Error(), ".")
	case !st.IsDir():
		l.Add("LOGBRAID_INPUT", o.Input, "not a directory", ".")
	}
	return l
}
