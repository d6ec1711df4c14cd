package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/internal/settings/flags"
	"github.com/logbraid/logbraid/pkg/consumer"
	"github.com/logbraid/logbraid/pkg/record"
)

// tailFlags are what is asked of the records, as it was given.
type tailFlags struct {
	level, since, grep             string
	loggers, apps, workers, fields []string
	dir                            string
	json                           bool
}

func newTailCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "tail",
		Short: "Show records as they are logged, from anywhere",
		Long: `Tail shows records over NATS, from any machine, while they are logged. It reads
beside the collector, which does not wait for it; records that did not reach it,
it counts on standard error.

With --dir it reads beside an embedded master of the same user on this machine, and
takes from its log directory where the server is, and a token.

In stream delivery --since shows older records first, as far as the stream still
has them.

It ends at Ctrl-C, and when nobody reads its output any more.`,
		Example: `  collector tail --level warn --worker 'w1,w2'
  collector tail --dir logs
  collector tail --logger 'etl.*' --grep 'timeout|refused'
  collector tail --delivery stream --since 15m --json | jq .msg`,
		Args: cobra.NoArgs,
	}
	var t tailFlags
	fs := c.Flags()
	fs.StringVar(&t.level, "level", "", "least level to show")
	fs.StringArrayVar(&t.loggers, "logger", nil, "loggers to show, patterns along the dots: etl.*, !etl.sql")
	fs.StringArrayVar(&t.apps, "app", nil, "applications to show, patterns")
	fs.StringArrayVar(&t.workers, "worker", nil, "workers to show, patterns")
	fs.StringArrayVar(&t.fields, "field", nil, "show records with this field: KEY=VALUE")
	fs.StringVar(&t.grep, "grep", "", "show records whose text this regular expression finds")
	fs.StringVar(&t.since, "since", "", "begin at a time, or so long ago (15m); stream delivery only")
	fs.StringVar(&t.dir, "dir", "", "log directory of an embedded master, to read beside it")
	fs.BoolVar(&t.json, "json", false, "write the records as they are")
	flags.Add(fs, new(settings.Reader))
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, grep, err := t.load(fs, time.Now())
		if err != nil {
			return err
		}
		out := &tailOutput{w: c.OutOrStdout(), json: t.json, grep: grep}
		if f, ok := out.w.(*os.File); ok {
			out.color = os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(f.Fd()))
		}
		cfg.Diagnostics = slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
		return tail(c.Context(), cfg, out, func(format string, args ...any) {
			fmt.Fprintf(c.ErrOrStderr(), "collector: "+format+"\n", args...)
		})
	}
	return c
}

// load reads everything that was given; the error lists all that is wrong with it.
func (t *tailFlags) load(fs *pflag.FlagSet, now time.Time) (consumer.Config, *regexp.Regexp, error) {
	var s settings.Reader
	var l problem.List
	environ := os.Environ()
	if t.dir != "" {
		handed, bad := settings.ReadEnv(settings.ReaderEnv(t.dir))
		if bad != nil {
			l.Add("--dir", t.dir, fmt.Sprintf("no embedded master of this user has written there: %v", bad), "logs")
		}
		for _, e := range handed {
			name, _, _ := strings.Cut(e, "=")
			environ = slices.DeleteFunc(environ, func(other string) bool { return strings.HasPrefix(other, name+"=") })
		}
		environ = append(environ, handed...)
	}
	values, err := settings.Loader{Environ: environ, Flag: flags.Given(fs)}.Load(&s)
	cfg := consumer.Config{NATS: s.Config, Prefix: s.Prefix}
	cfg.NATS.Name = "logbraid tail"
	if !cfg.NATS.Configured() {
		cfg.NATS.URL = settings.DefaultURL
	}
	if s.Delivery == "stream" {
		cfg.Stream = s.Stream
	}
	if t.level != "" {
		var bad error
		if cfg.Filter.Level, bad = record.ParseLevel(t.level); bad != nil {
			l.Add("--level", t.level, bad.Error(), "warn")
		}
	}
	for _, p := range []struct {
		flag  string
		given []string
		list  *[]string
	}{{"--logger", t.loggers, &cfg.Filter.Loggers}, {"--app", t.apps, &cfg.Filter.Apps}, {"--worker", t.workers, &cfg.Filter.Workers}} {
		for _, text := range p.given {
			patterns, err := record.ParsePatterns(text)
			if err != nil {
				l.Add(p.flag, text, err.Error(), "'etl*,!etl2'")
			}
			*p.list = append(*p.list, patterns...)
		}
	}
	for _, text := range t.fields {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			l.Add("--field", text, "is not KEY=VALUE", "table=orders")
			continue
		}
		if cfg.Fields == nil {
			cfg.Fields = make(map[string]string)
		}
		cfg.Fields[key] = value
	}
	var grep *regexp.Regexp
	if t.grep != "" {
		var bad error
		if grep, bad = regexp.Compile(t.grep); bad != nil {
			l.Add("--grep", t.grep, bad.Error(), "'timeout|refused'")
		}
	}
	if t.since != "" {
		at, ok := parseSince(t.since, now)
		switch {
		case !ok:
			l.Add("--since", t.since, "is neither a duration nor a time", "15m, or 2026-11-22T10:00:00Z, or '2026-11-22 10:00'")
		case cfg.Stream == "":
			l.Add("--since", t.since, "in direct delivery nothing is stored", "--delivery stream --since "+t.since)
		default:
			cfg.Since = at
		}
	}
	if len(l) == 0 {
		l = append(l, problem.In(cfg.Validate())...)
	}
	return cfg, grep, settings.Merge(err, values, l).Err()
}

// parseSince reads a duration before now, or a time; one without a zone is local.
func parseSince(text string, now time.Time) (time.Time, bool) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), true
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// tail shows records until there is nobody for whom.
//
//	consumer ──> tail: filter, text ──> output ──> standard output
//	  └── what is missing ──> standard error
func tail(ctx context.Context, cfg consumer.Config, out *tailOutput, say func(format string, args ...any)) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A reader who has enough is an error of the write, and no more.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out.start(ctx, cancel)
	defer out.stop()

	c, err := consumer.Start(ctx, cfg)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer c.Close()
	var missed, dropped uint64
	for rec, err := range c.Records(ctx) {
		if err == nil {
			out.show(rec)
			continue
		}
		if !consumer.Continues(err) {
			return err
		}
		var gap *consumer.Gap
		if errors.As(err, &gap) {
			missed += gap.Missed
			dropped += gap.Dropped
		}
		say("%v", err)
	}
	if missed+dropped > 0 {
		say("in all %d records did not reach this program, %d were dropped by their publishers", missed, dropped)
	}
	return nil
}
