package collector

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/pkg/record"
)

// Config says what to collect and where to put it. The zero value of every field but the connection
// works.
type Config struct {
	// Dir is the log directory; "" means "logs". It holds the checkpoint journal and the lock
	// (Dir/.logbraid) and rejected.jsonl, and is made when it is not there. One collector at a time
	// may use it (I7). Where the files go is for Handlers to say.
	Dir string

	// Handlers are handler URLs; see [HandlerSpec]. A relative path is relative to the working directory,
	// wherever Dir is. Empty means json://DIR/app.jsonl.
	Handlers []string
	// Extra are handlers of the caller's own types.
	Extra []UserHandler
	// Formats can be named by a handler URL's format option. A formatter is called by one goroutine at
	// a time. What it returns for a record is written as it is, with a newline added when there is none.
	Formats map[string]logrus.Formatter

	// Prefix is the first part of the subjects: the collector subscribes to PREFIX.>. "" means "logs".
	Prefix string
	// Conn is a connection of the caller's, who also closes it, after Close. It must not buffer while it
	// is disconnected (nats.ReconnectBufSize(-1)) and must reconnect for ever. nil: Start makes one from NATS.
	Conn *nats.Conn
	// NATS is where to connect to when Conn is nil.
	NATS natsconn.Config

	// Delivery is how batches come: DeliveryDirect or DeliveryStream. "" means direct.
	Delivery string
	// Stream is the stream, in stream delivery.
	Stream StreamConfig

	// FSync is "never", "always" or a duration; "" means "1s". See I5 in the package comment.
	FSync string

	// Backlog is how many bytes of memory messages may take that wait for their commit; 0 means 256 MiB. It should be
	// more than the publishers' batches together. Beyond it, batches are left to be sent again.
	Backlog int

	// Clock is what rotation by time and retention by age go by; nil: time.Now. Nothing else depends on
	// what time it is. It is called by several goroutines.
	Clock func() time.Time

	// Version is told in the record that a collector writes when it starts.
	Version string
	// Diagnostics gets what the collector has to say about itself; nil: nothing. What concerns the log
	// itself (damage, lost records) is written into the log as well.
	Diagnostics *slog.Logger

	// ConsoleOut and ConsoleErr are where console://stdout and console://stderr write; nil: os.Stdout, os.Stderr.
	ConsoleOut, ConsoleErr io.Writer
	// NoColor makes color=auto mean never. Programs set it when the environment variable NO_COLOR is not
	// empty (https://no-color.org).
	NoColor bool

	fs logfile.FS                                    // nil: the operating system's; tests make it fail
	js func(jetstream.JetStream) jetstream.JetStream // nil: as it is; tests come between two questions to the broker
}

// What problems are named after: where a program's user gives the value.
const (
	settingDir      = "LOGBRAID_DIR"
	settingHandlers = "LOGBRAID_HANDLERS"
	settingPrefix   = "LOGBRAID_PREFIX"
	settingFSync    = "LOGBRAID_FSYNC"
	settingURL      = "LOGBRAID_NATS_URL"
	settingDelivery = "LOGBRAID_DELIVERY"
	settingStream   = "LOGBRAID_STREAM"
)

// A plan is a configuration that was found good, with everything that was left open filled in.
type plan struct {
	Config
	dir      string // absolute
	policy   logfile.Policy
	handlers []HandlerSpec
	filters  []record.Filter // of Extra
	keep     kept
}

// Validate finds everything that is wrong, without starting anything. The error is a list, each problem
// named by the variable that a program's user sets.
func (c Config) Validate() error {
	_, err := c.plan()
	return err
}

// plan fills in the defaults and finds everything that is wrong. It leaves nothing on the disk.
func (c Config) plan() (*plan, error) {
	var l problem.List
	p := &plan{Config: c}
	if p.Dir == "" {
		p.Dir = "logs"
	}
	var err error
	if p.dir, err = filepath.Abs(p.Dir); err != nil {
		l.Add(settingDir, p.Dir, err.Error(), "/var/log/etl")
	} else if reason := checkDir(p.dir); reason != "" {
		l.Add(settingDir, p.Dir, reason, "/var/log/etl")
	}
	if p.Prefix == "" {
		p.Prefix = "logs"
	} else if !validPrefix(p.Prefix) {
		l.Add(settingPrefix, p.Prefix, "is not the beginning of a NATS subject", "logs")
	}
	if p.policy, err = logfile.ParsePolicy(c.FSync); err != nil {
		l.Add(settingFSync, c.FSync, err.Error(), "1s")
	}
	p.planStream(&l)
	if p.Backlog <= 0 {
		p.Backlog = 256 << 20
	}
	if p.NATS.Name == "" {
		p.NATS.Name = "logbraid collector"
	}
	switch {
	case c.Conn != nil:
	case !c.NATS.Configured():
		l.Add(settingURL, "", "is not set, so there is nothing to collect from", "nats://127.0.0.1:4222")
	default:
		l = append(l, c.NATS.Problems()...)
	}
	p.planHandlers(&l)
	return p, l.Err()
}

func validPrefix(s string) bool {
	for token := range strings.SplitSeq(s, ".") {
		if token == "" || strings.ContainsAny(token, " \t\r\n*>") {
			return false
		}
	}
	return true
}

// checkDir says why a directory cannot be used, or "". One that does not exist is made later, so what
// counts is the nearest one above it that does.
func checkDir(dir string) string {
	for {
		fi, err := os.Stat(dir)
		switch {
		case err == nil && !fi.IsDir():
			return dir + " is not a directory"
		case err == nil:
			f, err := os.CreateTemp(dir, ".logbraid-*")
			if err != nil {
				return "cannot be written to: " + cause(err)
			}
			_ = f.Close()
			_ = os.Remove(f.Name())
			return ""
		case !os.IsNotExist(err) || filepath.Dir(dir) == dir:
			return "cannot be used: " + cause(err)
		}
		dir = filepath.Dir(dir)
	}
}

// cause leaves out of a file error what the problem says already.
func cause(err error) string {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
