package collector

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/compress"
	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/pkg/record"
)

// A source delivers messages into the collector's queue. Direct delivery (source_direct.go) is one
// subscription; stream delivery (source_stream.go) is a consumer of a JetStream stream.
//
// The order of calls: start once; then, for each group of messages that the writer took from the queue,
// either committed, once its commit stands, or rewind, when it does not. stop comes last.
type source interface {
	// start begins delivery into the queue, of a stream behind the position given, and returns when
	// everything published from then on will arrive. No message is delivered before start.
	start(ctx context.Context, q *queue, at logfile.Source) error

	// committed tells that everything the group holds is in the files and in the checkpoint (I5), in the
	// order of the groups. Here the answers leave. It is called by whoever completes the commit, one
	// call at a time; it must not block for long and may keep nothing of the group.
	committed(g *group)

	// rewind tells that nothing of these messages, the oldest first, counts (I7). The source sees to it that each
	// comes again; those of a stream as it holds them, from behind the position of the last commit that stands.
	// It is called by the writer, when no commit is under way.
	rewind(messages []message, at logfile.Source)

	// stop ends delivery. When it returns without an error, everything that had arrived is in the queue.
	stop(ctx context.Context) error

	// flush returns when the answers given by committed have left this process.
	flush(ctx context.Context) error

	connected() bool

	// stats fills in what the source knows. Any goroutine may call it.
	stats(s *Stats)
}

// A message is what a source delivers. Nothing but the payload's owner, the collector, refers to data.
type message struct {
	subject string
	reply   string // where to answer; "": nobody waits for one
	header  string // the Logbraid header's value
	batch   bool   // has that header; without it, it is foreign
	data    []byte
	pooled  bool // data goes back to the detour once the message is committed
	lines   int  // bytes that data is to be decoded to, as it says; 0: it is the lines

	at  logfile.Source // its place in the stream; zero in direct delivery
	era int            // of the stream's numbers
}

func newMessage(subject string, headers nats.Header, data []byte) message {
	values := headers[record.HeaderName]
	m := message{
		subject: subject,
		header:  strings.Join(values, "\n"), // two headers read like none that is valid
		batch:   len(values) > 0,
		data:    data,
	}
	if strings.Contains(m.header, " enc=") {
		m.lines, _ = compress.Size(data) // what cannot be decoded is rejected later
	}
	return m
}

// stored reports whether the message stands in a stream.
func (m *message) stored() bool { return m.at.Seq != 0 }

// resent reports whether the message comes again until it is committed: because somebody waits for the
// answer, or because the stream holds it.
func (m *message) resent() bool { return m.stored() || m.batch && m.reply != "" }

// size is about what the message takes in memory.
func (m *message) size() int {
	const itself = 384 // the struct, nats.go's message and its headers
	return itself + len(m.subject) + len(m.reply) + len(m.header) + cap(m.data)
}

// An answer goes to a publisher once what it says is true for ever.
type answer struct {
	to   string
	text []byte
}
