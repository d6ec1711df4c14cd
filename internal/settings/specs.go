package settings

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/internal/problem"
)

// The settings of every program stand here together: each must know the others'
// variables, or a worker would refuse the environment that it shares with its
// collector.

// Worker is what a publisher reads (publisher.FromEnv).
type Worker struct {
	natsconn.Config
	Wire
	Flow
	Publisher
}

// Collector is what the collector program reads.
type Collector struct {
	natsconn.Config
	Wire
	Flow
	Store
	Log
	Service
}

// Master is what the embedded master program reads. Its workers read Worker
// from the same environment.
type Master struct {
	Wire
	Flow
	Store
	Log
	Embedded
}

// Reader is what an analyst reads (consumer.ConfigFromEnv), and collector tail.
type Reader struct {
	natsconn.Config
	Source
}

// Source is where a reader finds the records; it must be as the workers have it.
type Source struct {
	Subjects
	Delivery string `default:"direct" oneof:"direct,stream" desc:"Where records are read: as they are published (direct), or in the stream (stream)"`
	Stored
}

// Flow is how batches get from a publisher to the collector; it must be the same at both ends.
type Flow struct {
	Delivery string `default:"direct" oneof:"direct,stream" desc:"Who acknowledges a batch: the collector, after its commit (direct), or JetStream, which stores it until the collector has it (stream)"`
	Stored
}

// Stored says where stream delivery stores records.
type Stored struct {
	Stream string `default:"LOGS" desc:"Name of the JetStream stream; for stream delivery"`
}

// Problems implements the check that the loader looks for.
func (s Stored) Problems() problem.List {
	var l problem.List
	if reason := StreamName(s.Stream); reason != "" {
		l.Add(Prefix+"STREAM", s.Stream, reason, "LOGS")
	}
	return l
}

// StreamName says what is wrong with the name of a stream, or "". The server takes longer ones; the bound keeps
// the headers of a batch short.
func StreamName(s string) string {
	switch {
	case s == "" || len(s) > 64:
		return "must have 1 to 64 characters"
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`.*>/\`, r) }):
		return `no spaces, dots, wildcards or slashes, and ASCII only`
	}
	return ""
}

// Wire is what both ends have.
type Wire struct {
	Subjects
	CloseTimeout time.Duration `split_words:"true" default:"5s" desc:"How long the end of a program waits: a worker for acknowledgements, a collector for its last commit"`
}

// Subjects are what records are published to; they must be the same at both ends, and for readers.
type Subjects struct {
	Prefix string `default:"logs" desc:"First part of the subjects that records travel on: PREFIX.app.worker"`
}

// Problems implements the check that the loader looks for.
func (s Subjects) Problems() problem.List {
	var l problem.List
	for token := range strings.SplitSeq(s.Prefix, ".") {
		if token == "" || strings.ContainsAny(token, " \t\r\n*>") || strings.HasPrefix(s.Prefix, "$") {
			l.Add(Prefix+"PREFIX", s.Prefix, "not a subject: no spaces, wildcards, empty tokens, or $ at the beginning", "logs")
			break
		}
	}
	return l
}

// Publisher is the worker's side.
type Publisher struct {
	App          string        `shown:"the program's name" desc:"Name of the application, in every record" example:"etl"`
	Worker       string        `shown:"the host's name" desc:"Name of the worker; stays the same when it is started again" example:"w3"`
	Levels       string        `default:"info" desc:"Least level that is logged, and exceptions by logger, inherited along the dots" example:"info,etl.load=debug"`
	Buffer       Size          `default:"16MiB" desc:"Room for records that are not acknowledged yet"`
	BufferDir    string        `split_words:"true" shown:"in memory" desc:"Directory for the buffer as a memory-mapped file, which survives the worker" example:"/var/lib/etl/buffer"`
	Overflow     string        `default:"block" oneof:"block,shed" desc:"When the buffer is full: block waits for BLOCK_TIMEOUT once per outage and then sheds; shed drops at once, least severe records first, counted and told"`
	BlockTimeout time.Duration `split_words:"true" default:"5s" desc:"How long a log call waits for room"`
	Batch        Size          `default:"1MiB" desc:"Most bytes sent in one message"`
	MaxRecord    Size          `split_words:"true" default:"256KiB" desc:"Longest record; a longer one is cut and says so"`
	Compression
}

// Compression is how a batch goes into a message. Collectors and consumers understand both, without a setting.
type Compression struct {
	BatchCompression string `split_words:"true" default:"none" oneof:"none,s2" desc:"How a worker compresses what a message carries: s2 takes less of the network and of a stream, and is no plain text on its way"`
}

// Store is the stream, which the collector makes if it is not there.
type Store struct {
	StreamMaxBytes    Size   `split_words:"true" default:"1GiB" desc:"Room in the stream; when it is full, workers keep their records until there is room again"`
	StreamKeep        string `split_words:"true" default:"0" desc:"What stays in the stream for analysts once it is in the log: a duration, a size, or both, which are then both upper bounds; 0 keeps nothing" example:"24h 512MiB"`
	StreamCompression string `split_words:"true" default:"none" oneof:"none,s2" desc:"How JetStream compresses the stream's files"`
}

// Place is where a collector is found.
type Place struct {
	Dir string `default:"logs" desc:"The log directory; also holds the collector's state"`
}

// Log is what becomes of the records.
type Log struct {
	Place
	Handlers    Words  `flag:"handler" shown:"json://DIR/app.jsonl, file://DIR/app.log and console://stderr?level=warn" desc:"Where records go, as URLs separated by spaces or newlines; as a flag, repeated" example:"json://logs/app.jsonl console://stderr?level=warn"`
	FSync       string `default:"1s" desc:"When files are forced to disk: never, always (before each acknowledgement), or an interval" example:"1s"`
	Diagnostics string `default:"info" oneof:"debug,info,warn,error" desc:"Least level of the program's own messages on standard error"`
}

// HandlerURLs are the handlers, or those that stand for none: everything as JSON
// and as text in the log directory, warnings on the console.
func (l Log) HandlerURLs() []string {
	if len(l.Handlers) > 0 {
		return l.Handlers
	}
	dir := (&url.URL{Path: filepath.ToSlash(l.Dir)}).EscapedPath()
	return []string{"json://" + dir + "/app.jsonl", "file://" + dir + "/app.log", "console://stderr?level=warn"}
}

// Service is what a collector offers beside its work.
type Service struct {
	Metrics string `shown:"off" desc:"Address for Prometheus metrics and /healthz; a port alone is on the loopback interface" example:"127.0.0.1:9464"`
}

// Embedded is what only the embedded master has.
type Embedded struct {
	Workers int    `short:"n" shown:"4, or 1 with a command" desc:"How many worker processes to start" example:"4"`
	Input   string `shown:"the source of the installed Go toolchain" desc:"Tree of Go files that the workers of the main job parse" example:"."`
	Seed    uint64 `shown:"as they are listed" desc:"Has the workers of the main job go through the files in another order" example:"42"`
	Listen  string `default:"127.0.0.1:0" desc:"Address of the embedded NATS server, on this machine; port 0 takes a free one and keeps it"`
}

// Port is the one to listen on; 0 leaves it to the master.
func (e Embedded) Port() (int, error) {
	host, text, err := net.SplitHostPort(e.Listen)
	if err != nil {
		var ae *net.AddrError
		if errors.As(err, &ae) {
			return 0, errors.New(ae.Err)
		}
		return 0, err
	}
	if host != "127.0.0.1" && host != "localhost" {
		return 0, errors.New("the embedded server is for this machine only and listens on 127.0.0.1; for workers elsewhere run a NATS server, and the collector program")
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a port", text)
	}
	return int(port), nil
}

// Problems implements the check that the loader looks for.
func (e Embedded) Problems() problem.List {
	var l problem.List
	if _, err := e.Port(); err != nil {
		l.Add(Prefix+"LISTEN", e.Listen, err.Error(), "127.0.0.1:4222")
	}
	return l
}

func allSpecs() []any { return []any{new(Worker), new(Collector), new(Master), new(Reader)} }

// DefaultURL is where a collector looks for its server when none is set.
const DefaultURL = "nats://127.0.0.1:4222"
