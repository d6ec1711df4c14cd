package publisher

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/pkg/record"
)

// Connection says where the broker is and who we are to it.
type Connection = natsconn.Config

// The values that a zero field of [Config] stands for.
const (
	DefaultPrefix       = "logs"
	DefaultStream       = "LOGS"
	DefaultLevels       = "info"
	DefaultBuffer       = 16 << 20
	DefaultBatch        = 1 << 20
	DefaultMaxRecord    = 256 << 10
	DefaultBlockTimeout = 5 * time.Second
	DefaultCloseTimeout = 5 * time.Second
)

// The smallest sizes with which the rest still makes sense, and the largest.
const (
	minBuffer    = 64 << 10
	maxBuffer    = 1 << 30
	minMaxRecord = 1 << 10
	minBatch     = 1 << 10
	maxBatch     = 64 << 20 // nats-server's own limit of a message
)

// Overflow is what becomes of a record for which the buffer has no room.
type Overflow string

const (
	// Block waits for room, up to BlockTimeout once per outage, then sheds. A call that waits goes on when half of the buffer is
	// free, or after 50 ms at most when there is room for its record.
	Block Overflow = "block"
	// Shed never waits for room: trace and debug go first, then info; warn and above keep
	// the last part of the buffer.
	Shed Overflow = "shed"
)

// Config says what a publisher is called, where it sends, and how much it keeps.
// The zero value works: no broker, records go to standard error as text.
type Config struct {
	// App names the program, Worker this process of it; both stay the same over
	// restarts. Empty: the program's file name, the host's name.
	App    string
	Worker string
	// Prefix is the first part of the subject PREFIX.APP.WORKER. Empty: "logs".
	Prefix string

	// Conn is the broker. Its zero value means none: single-process mode, records
	// become text lines on Console.
	Conn Connection
	// Delivery is who acknowledges: "direct" (the collector, after its commit) or
	// "stream" (JetStream, once a batch is stored). Empty: direct.
	Delivery string
	// Stream is the name of the JetStream stream; the collector makes it. Empty: LOGS.
	// Unused in direct delivery.
	Stream string

	// Levels are the levels from which on records are taken, one for all and
	// others by logger name: "info,etl.load=debug". Empty: "info".
	Levels string

	// Buffer is how many bytes of records can await their acknowledgement. Zero:
	// 16 MiB.
	Buffer int
	// BufferDir is a directory for the buffer. With it, a record whose log call
	// has returned survives the death of the process, and the Go runtime's crash
	// output becomes a record; see [Drain]. Empty: the buffer is in memory.
	// Ignored in single-process mode.
	BufferDir string
	// NoCrashOutput leaves the runtime's crash output alone.
	NoCrashOutput bool
	// Overflow is what happens when the buffer is full. Empty: block.
	Overflow Overflow
	// BlockTimeout is the longest that a log call waits. Zero: 5 s. It is spent
	// once per outage, not once per call.
	BlockTimeout time.Duration

	// Batch is the size in bytes that a message may have. Zero: 1 MiB. Messages begin at 256 KiB
	// and grow while acknowledgements take less than 20 ms. The broker's own
	// limit holds as well.
	Batch int
	// BatchCompression is "s2" to compress batches of 1 KiB to 8 MiB where that makes them an eighth shorter at least: less
	// for the network, and for a stream to store. The price is processor time at both ends, memory for two batches, and
	// that what is on its way is no text. Empty, or "none": messages carry the lines themselves.
	BatchCompression string
	// MaxRecord is the size in bytes beyond which a record is cut. Zero: 256 KiB,
	// or half the buffer if that is less.
	MaxRecord int

	// CloseTimeout bounds a Close whose context has no deadline, and the flush that
	// a record of level fatal or panic does before the process ends. Zero: 5 s.
	CloseTimeout time.Duration

	// Diagnostics takes what the publisher has to say about itself: connection
	// lost, records dropped, buffer left behind. It must not lead back into this
	// publisher. Nil: nothing is said.
	Diagnostics *slog.Logger
	// Console takes the records in single-process mode, one Write for each. Nil:
	// standard error.
	Console io.Writer

	ackTimeout time.Duration // of tests; 0 is the courier's own
	probe      time.Duration // of tests; 0 is the prober's own
	promptAck  time.Duration // of tests; 0 is the window's own
	drain      time.Duration // of tests; 0 is drainPatience
}

// withDefaults fills in what the zero values stand for.
func (c Config) withDefaults() Config {
	if c.App == "" {
		c.App = programName()
	}
	if c.Worker == "" {
		c.Worker = hostName()
	}
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.Delivery == "" {
		c.Delivery = "direct"
	}
	if c.Stream == "" {
		c.Stream = DefaultStream
	}
	if c.Buffer == 0 {
		c.Buffer = DefaultBuffer
	}
	if c.Overflow == "" {
		c.Overflow = Block
	}
	if c.BlockTimeout == 0 {
		c.BlockTimeout = DefaultBlockTimeout
	}
	if c.Batch == 0 {
		c.Batch = DefaultBatch
	}
	if c.MaxRecord == 0 {
		c.MaxRecord = max(minMaxRecord, min(DefaultMaxRecord, c.Buffer/2))
	}
	if c.CloseTimeout == 0 {
		c.CloseTimeout = DefaultCloseTimeout
	}
	if c.Diagnostics == nil {
		c.Diagnostics = slog.New(slog.DiscardHandler)
	}
	if c.Console == nil {
		c.Console = os.Stderr
	}
	if c.Conn.Name == "" {
		c.Conn.Name = "logbraid " + c.App + "/" + c.Worker
	}
	return c
}

// Validate finds everything that is wrong, without starting anything. The error
// lists the problems, each named by its variable.
func (c Config) Validate() error { return c.withDefaults().problems().Err() }

// problems finds everything that is wrong, each named by its variable. The
// defaults have been filled in.
func (c Config) problems() problem.List {
	var l problem.List
	name := func(setting, v string) {
		// The subject carries both, with up to three bytes for one; nats-server
		// ends a connection whose control line passes 4 KiB.
		if len(v) > maxName {
			l.Add(setting, v, fmt.Sprintf("longer than %d bytes", maxName), "etl")
		}
	}
	name("LOGBRAID_APP", c.App)
	name("LOGBRAID_WORKER", c.Worker)
	if !validPrefix(c.Prefix) {
		l.Add("LOGBRAID_PREFIX", c.Prefix, "not a subject prefix: tokens of letters, digits, '-' and '_', separated by dots", "logs")
	}
	if c.Delivery != "direct" && c.Delivery != "stream" {
		l.Add("LOGBRAID_DELIVERY", c.Delivery, "neither direct nor stream", "direct")
	}
	if reason := settings.StreamName(c.Stream); reason != "" {
		l.Add("LOGBRAID_STREAM", c.Stream, reason, DefaultStream)
	}
	if _, err := parseLevels(c.Levels); err != nil {
		l.Add("LOGBRAID_LEVELS", c.Levels, err.Error(), "info,etl.load=debug")
	}
	size := func(setting string, v, low, high int, example string) {
		switch {
		case v < low:
			l.Add(setting, strconv.Itoa(v), fmt.Sprintf("less than %d bytes", low), example)
		case v > high:
			l.Add(setting, strconv.Itoa(v), fmt.Sprintf("more than %d bytes", high), example)
		}
	}
	size("LOGBRAID_BUFFER", c.Buffer, minBuffer, maxBuffer, "16MiB")
	size("LOGBRAID_BATCH", c.Batch, minBatch, maxBatch, "1MiB")
	size("LOGBRAID_MAX_RECORD", c.MaxRecord, minMaxRecord, maxBatch, "256KiB")
	if c.Buffer >= minBuffer && c.MaxRecord > c.Buffer/2 {
		l.Add("LOGBRAID_MAX_RECORD", strconv.Itoa(c.MaxRecord), "more than half of LOGBRAID_BUFFER", "256KiB")
	}
	addCompression(&l, c.BatchCompression)
	if c.Overflow != Block && c.Overflow != Shed {
		l.Add("LOGBRAID_OVERFLOW", string(c.Overflow), "neither block nor shed", "block")
	}
	duration := func(setting string, v time.Duration) {
		if v < 0 {
			l.Add(setting, v.String(), "less than nothing", "5s")
		}
	}
	duration("LOGBRAID_BLOCK_TIMEOUT", c.BlockTimeout)
	duration("LOGBRAID_CLOSE_TIMEOUT", c.CloseTimeout)
	if c.Conn.Configured() {
		l = append(l, c.Conn.Problems()...)
	}
	return l
}

func addCompression(l *problem.List, s string) {
	if s != "" && s != "none" && s != record.S2 {
		l.Add("LOGBRAID_BATCH_COMPRESSION", s, "neither none nor s2", record.S2)
	}
}

// maxName bounds an app's and a worker's name, in bytes.
const maxName = 255

func validPrefix(s string) bool {
	for token := range strings.SplitSeq(s, ".") {
		if token == "" {
			return false
		}
		for _, c := range []byte(token) {
			if !('0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return len(s) <= maxName
}

func programName() string {
	name := filepath.Base(os.Args[0])
	return strings.TrimSuffix(name, ".exe")
}

func hostName() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}
