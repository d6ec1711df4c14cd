package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/internal/settings/flags"
	"github.com/logbraid/logbraid/internal/version"
	"github.com/logbraid/logbraid/pkg/collector"
)

// program is a collector's configuration, read and checked.
type program struct {
	settings.Collector
	values []settings.Value // in order, with their origins
	cfg    collector.Config
	level  slog.Level
}

// loadProgram reads flags, environment and defaults. The error lists everything
// that is wrong; what could be read is returned all the same.
func loadProgram(fs *pflag.FlagSet) (*program, error) {
	p := &program{}
	values, err := settings.Loader{Flag: flags.Given(fs)}.Load(&p.Collector)
	p.values = values
	var more problem.List

	if !p.Configured() {
		p.URL = settings.DefaultURL
		p.setDefault("LOGBRAID_NATS_URL", settings.DefaultURL)
	}
	if len(p.Handlers) == 0 {
		p.setDefault("LOGBRAID_HANDLERS", strings.Join(p.HandlerURLs(), " "))
	}
	if p.Metrics != "" {
		address, reason := listenAddress(p.Metrics)
		if reason != nil {
			more.Add("LOGBRAID_METRICS", p.Metrics, reason.Error(), "127.0.0.1:9464")
		}
		p.Metrics = address
	}
	// Whatever was refused above has been told; the level's default is info.
	_ = p.level.UnmarshalText([]byte(p.Diagnostics))

	p.Name = "logbraid collector"
	p.cfg = collector.Config{
		Dir:      p.Dir,
		Handlers: p.HandlerURLs(),
		Prefix:   p.Prefix,
		NATS:     p.Config,
		Delivery: p.Delivery,
		Stream: collector.StreamConfig{
			Name: p.Stream, MaxBytes: int64(p.StreamMaxBytes), Keep: p.StreamKeep, Compression: p.StreamCompression,
		},
		FSync:   p.FSync,
		Version: version.Get().String(),
		NoColor: os.Getenv("NO_COLOR") != "",
	}
	more = append(more, problem.In(p.cfg.Validate())...)
	return p, settings.Merge(err, values, more).Err()
}

func (p *program) setDefault(variable, text string) {
	for i := range p.values {
		if v := &p.values[i]; v.Variable == variable {
			v.Text = text
		}
	}
}

// listenAddress completes an address: a port alone is on the loopback interface,
// so that nobody offers their numbers to the network by leaving something out.
func listenAddress(text string) (string, error) {
	if !strings.Contains(text, ":") {
		text = ":" + text
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		var ae *net.AddrError
		if errors.As(err, &ae) {
			return "", errors.New(ae.Err)
		}
		return "", err
	}
	if _, err := net.LookupPort("tcp", port); err != nil || port == "" {
		return "", fmt.Errorf("%q is not a port", port)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// query is what the commands need that ask a running collector.
type query struct {
	settings.Place
	settings.Service
}
