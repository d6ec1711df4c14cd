package embedded

import (
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/pkg/collector"
	"github.com/logbraid/logbraid/pkg/publisher"
)

// DefaultCloseTimeout is what a zero Config.CloseTimeout means.
const DefaultCloseTimeout = 10 * time.Second

// Config says where the log goes and what the workers are told. The zero value
// works: everything into ./logs.
type Config struct {
	// Dir is the log directory; "" means "logs". It is made when it is not there.
	// One master or collector at a time may use it.
	Dir string
	// App is the name under which the workers log; "" means the program's name.
	App string
	// Handlers are handler URLs; see [collector.HandlerSpec]. Empty means
	// json://DIR/app.jsonl, file://DIR/app.log and console://stderr?level=warn.
	Handlers []string
	// Extra are handlers of the caller's own types.
	Extra []collector.UserHandler
	// Formats can be named by a handler URL's format option.
	Formats map[string]logrus.Formatter
	// FSync is "never", "always" or a duration; "" means "1s".
	FSync string
	// Prefix is the first part of the subjects; "" means "logs".
	Prefix string
	// Delivery is how batches get from the workers to the files: "direct", or "stream" through a stream that the
	// broker keeps on the disk, under Dir; see docs/how-to/stream-delivery.md. "" means direct.
	Delivery string
	// Stream is the stream, in stream delivery.
	Stream collector.StreamConfig
	// Port is the broker's port on 127.0.0.1. 0 means the port of the last master
	// on Dir, or a free one if there was none or somebody else has taken it.
	Port int

	// Buffer is the size in bytes of each worker's buffer file; 0 leaves it to
	// the worker (LOGBRAID_BUFFER, 16 MiB).
	Buffer int
	// Levels is the workers' LOGBRAID_LEVELS; "" leaves it to the worker.
	Levels string
	// BatchCompression is how batches are compressed, of workers, of publishers in this process, and of those that are gone:
	// "none" or "s2", which takes less room in a stream; "" leaves it to the worker, and is none otherwise.
	BatchCompression string

	// CloseTimeout bounds a Close whose context has no deadline; 0 means 10 s, less
	// than 0 means no bound.
	CloseTimeout time.Duration
	// Version is told in the record that the collector writes when it starts.
	Version string
	// Diagnostics gets what the master has to say about itself; nil: nothing.
	Diagnostics *slog.Logger
	// ConsoleOut and ConsoleErr are where console://stdout and console://stderr
	// write; nil: os.Stdout, os.Stderr.
	ConsoleOut, ConsoleErr io.Writer
	// NoColor makes color=auto mean never.
	NoColor bool

	fs logfile.FS // by which the stream is forced to the disk; nil: the operating system's; tests see what is forced
}

// withDefaults fills in what the zero values stand for.
func (c Config) withDefaults() Config {
	if c.Dir == "" {
		c.Dir = "logs"
	}
	if c.App == "" {
		c.App = strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	}
	if len(c.Handlers) == 0 {
		c.Handlers = settings.Log{Place: settings.Place{Dir: c.Dir}}.HandlerURLs()
	}
	if c.Prefix == "" {
		c.Prefix = "logs"
	}
	if c.Delivery == "" {
		c.Delivery = collector.DeliveryDirect
	}
	if c.Stream.Name == "" {
		c.Stream.Name = publisher.DefaultStream
	}
	if c.CloseTimeout == 0 {
		c.CloseTimeout = DefaultCloseTimeout
	}
	if c.Diagnostics == nil {
		c.Diagnostics = slog.New(slog.DiscardHandler)
	}
	if c.fs == nil {
		c.fs = logfile.OS()
	}
	return c
}

// Validate finds everything that is wrong, without starting anything. The error
// lists the problems, each named by the variable that a program's user sets.
func (c Config) Validate() error {
	c = c.withDefaults()
	var l problem.List
	if c.Port < 0 || c.Port > 65535 {
		l.Add("LOGBRAID_LISTEN", strconv.Itoa(c.Port), "not a TCP port", "127.0.0.1:4222")
	}
	nats := natsconn.Config{InProcess: nowhere{}}
	known := map[string]bool{} // both have a prefix
	for _, err := range []error{c.collector(nats).Validate(), c.publisher("w1", nats).Validate()} {
		for _, p := range problem.In(err) {
			if key := p.Setting + "=" + p.Value; !known[key] {
				known[key] = true
				l = append(l, p)
			}
		}
	}
	return l.Err()
}

// nowhere stands for the broker, for those who validate before there is one.
type nowhere struct{}

func (nowhere) InProcessConn() (net.Conn, error) { return nil, net.ErrClosed }

// collector is the part of the configuration that is the collector's.
func (c Config) collector(nats natsconn.Config) collector.Config {
	return collector.Config{
		Dir:         c.Dir,
		Handlers:    c.Handlers,
		Extra:       c.Extra,
		Formats:     c.Formats,
		Prefix:      c.Prefix,
		Delivery:    c.Delivery,
		Stream:      c.Stream,
		NATS:        nats,
		FSync:       c.FSync,
		Version:     c.Version,
		Diagnostics: c.Diagnostics,
		ConsoleOut:  c.ConsoleOut,
		ConsoleErr:  c.ConsoleErr,
		NoColor:     c.NoColor,
	}
}

// publisher is how a publisher of this process is configured.
func (c Config) publisher(name string, nats natsconn.Config) publisher.Config {
	return publisher.Config{
		App:              c.App,
		Worker:           name,
		Prefix:           c.Prefix,
		Delivery:         c.Delivery,
		Stream:           c.Stream.Name,
		Conn:             nats,
		Levels:           c.Levels,
		Buffer:           c.Buffer,
		BatchCompression: c.BatchCompression,
		NoCrashOutput:    true, // the process is the master's, not this worker's
		Diagnostics:      c.Diagnostics,
	}
}
