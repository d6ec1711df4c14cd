package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/record"
)

// stream is delivery through a JetStream stream, which acknowledges to the publishers and holds what the collector
// has not taken yet (I8):
//
//	run: find the stream, place ourselves in it (stream_place.go), read until something is amiss, again (stream_read.go)
//	tend: free the room behind the synced commit (stream_purge.go), and see how the stream fares
//
// It is read as jetstream's ordered consumer does: a consumer without acknowledgements, held in memory, that is
// made anew where the last message left off whenever its numbers do not go on by one, it falls silent or the
// connection changes. Only that the one of the library goes on by number in whatever stream has the name by then,
// while we must look first whether it is the one we know.
type stream struct {
	nc     *nats.Conn
	detour *natsconn.Detour // of nc; nil when that is the caller's
	js     jetstream.JetStream
	config jetstream.StreamConfig // of the stream that we would make
	prefix string
	keep   kept
	notes  *notes
	log    *diagnostics
	synced func() logfile.Source
	hasten func() // the next sync
	crowd  uint64 // bytes committed after which the stream is freed before its time

	queue   *queue
	crowded chan struct{}      // holds a token when that many were
	end     context.CancelFunc // of the goroutines
	tasks   sync.WaitGroup

	mu        sync.Mutex
	at        logfile.Source     // behind it to be read on: the last message in the queue, or before it
	turn      int                // goes up when at goes back
	era       int                // goes up when the stream is not as it was left, so that its numbers mean something else
	placed    bool               // at and done are of the stream as it is; false until it has been looked at
	interrupt context.CancelFunc // ends the reading under way
	done      logfile.Source     // committed
	held      uint64             // bytes committed since the last token in crowded
	info      *jetstream.StreamInfo
	trouble   error
	objection string // to the stream's settings, as far as told
	marks     marks
}

const (
	// prefetchMessages and prefetchBytes bound what is on its way from the broker; queueBytes what waits for the
	// writer, which is more than a group, so that the writer never waits for the broker while there is something.
	prefetchMessages = 4096
	prefetchBytes    = 16 << 20
	queueBytes       = 24 << 20

	// heartbeat is how often an idle stream says that it is there. Silence of two means that the broker hangs,
	// or has forgotten the consumer.
	heartbeat = 2 * time.Second

	// inactive is how long the broker keeps a consumer that nobody asks for messages; longer than a writer
	// usually stalls, short enough that what a killed collector left is soon gone.
	inactive = time.Minute

	askTimeout = 5 * time.Second // for one answer of JetStream's API
)

func newStream(p *plan, nc *nats.Conn, w *writer) (*stream, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	if p.js != nil {
		js = p.js(js)
	}
	return &stream{
		nc: nc, detour: p.NATS.Detour, js: js, config: streamConfig(p), prefix: p.Prefix, keep: p.keep,
		notes: w.notes, log: w.log, synced: w.store.Synced, hasten: w.store.Hasten,
		crowd: crowd, crowded: make(chan struct{}, 1),
		marks: marks{every: uint64(p.keep.bytes) / 64},
	}, nil
}

// start waits for the broker and the stream. What is refused, or not permitted, will not get better by waiting.
func (s *stream) start(ctx context.Context, q *queue, at logfile.Source) error {
	s.queue, s.at, s.done = q, at, at
	changed := s.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer s.nc.RemoveStatusListener(changed)
	for {
		err := s.find(ctx)
		var refused *RefusedStreamError
		switch last := s.nc.LastError(); {
		case err == nil:
			background, end := context.WithCancel(context.Background())
			s.end = end
			s.tasks.Go(func() { s.run(background) })
			s.tasks.Go(func() { s.tend(background) })
			return nil
		case errors.As(err, &refused):
			return err
		case errors.Is(last, nats.ErrPermissionViolation) && strings.Contains(last.Error(), "$JS.API."):
			return fmt.Errorf("use stream %s: %w", s.config.Name, last)
		case s.nc.IsClosed():
			return errors.Join(nats.ErrConnectionClosed, last)
		case ctx.Err() != nil:
			return errors.Join(ctx.Err(), err, last)
		}
		s.troubled(err)
		select {
		case <-changed:
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// find looks for the stream, makes it when there is none, and objects to settings that could lose records.
func (s *stream) find(ctx context.Context) error {
	if !s.nc.IsConnected() {
		return nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	st, err := s.js.Stream(ctx, s.config.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if st, err = s.js.CreateStream(ctx, s.config); err == nil {
			s.log.log.Info("made the stream", "stream", s.config.Name, "subjects", s.config.Subjects, "max_bytes", s.config.MaxBytes)
		}
	}
	if err != nil {
		return askError("find stream "+s.config.Name, err)
	}
	info := st.CachedInfo()
	s.saw(info)
	if err := refuse(info.Config, s.config); err != nil {
		return err
	}
	if ours(info.Config) && outdated(info.Config, s.config) {
		if st, err = s.js.UpdateStream(ctx, adjusted(info.Config, s.config)); err != nil {
			return askError("change stream "+s.config.Name, err)
		}
		info = st.CachedInfo()
	}
	s.saw(info)
	return nil
}

// askError says what was asked, and in JetStream's words why there is no answer.
func askError(what string, err error) error {
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		err = fmt.Errorf("%w: stream delivery needs a NATS server with JetStream (nats-server -js); or set %s=%s everywhere", err, settingDelivery, DeliveryDirect)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// committed frees nothing yet: that comes with the next sync, which comes earlier when much is committed.
func (s *stream) committed(g *group) {
	if g.source == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.messages[len(g.messages)-1].era == s.era {
		s.done = *g.source
	}
	s.grewLocked(g.tally.bytes)
	g.recycle(s.detour)
}

// rewind reads on behind the last commit that stands, which may be before all that is in memory.
func (s *stream) rewind(_ []message, at logfile.Source) {
	s.mu.Lock()
	s.turn++
	s.at, s.done, s.placed = at, at, false
	s.queue.empty()
	if s.interrupt != nil {
		s.interrupt()
	}
	s.mu.Unlock()
}

func (s *stream) stop(context.Context) error {
	s.end()
	s.tasks.Wait()
	return nil
}

// flush has nothing to wait for: the broker has answered the publishers.
func (s *stream) flush(context.Context) error { return nil }

func (s *stream) connected() bool { return s.nc.IsConnected() }

// catchUp waits until everything is committed that the stream holds now. Where the log left the stream says nothing before
// the stream has been looked at: one that has lost its end, and got a new one, ends before that.
func (s *stream) catchUp(ctx context.Context) error {
	var until jetstream.StreamInfo
	known, era := false, 0
	for {
		s.mu.Lock()
		done, placed, now := s.done, s.placed, s.era
		s.mu.Unlock()
		if !known || era != now {
			known, era = false, now
			if st, err := s.js.Stream(ctx, s.config.Name); err == nil {
				until, known = *st.CachedInfo(), true
			}
		}
		if known && (until.State.Msgs == 0 || placed && until.State.LastSeq <= done.Seq && until.Created.Equal(done.Created)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("read stream %s to its end: %w", s.config.Name, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// heldUntil is when the last message was stored that is on the disk in the log.
func (s *stream) heldUntil() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.synced(); s.info != nil && at.Stream == s.config.Name && at.Created.Equal(s.info.Created) {
		return at.Time
	}
	return time.Time{}
}

// saw notes how the stream fares.
func (s *stream) saw(info *jetstream.StreamInfo) {
	s.mu.Lock()
	s.info = info
	s.mu.Unlock()
}

// troubled notes why nothing can be read, nil when all is well, and says so once in a while.
func (s *stream) troubled(err error) {
	s.mu.Lock()
	before := s.trouble
	s.trouble = err
	s.mu.Unlock()
	switch {
	case err != nil && s.nc.IsConnected(): // the connection tells of itself
		s.log.often(slog.LevelWarn, "cannot read the stream", "", "error", err)
	case err == nil && before != nil:
		s.log.log.Info("reading the stream", "stream", s.config.Name)
	}
}

// object tells, once, that somebody gave the stream settings that could lose records; nil: nobody did.
func (s *stream) object(err error) {
	reason := ""
	var refused *RefusedStreamError
	if errors.As(err, &refused) {
		reason = refused.Reason
	}
	s.mu.Lock()
	known := s.objection == reason
	s.objection = reason
	s.mu.Unlock()
	if known || reason == "" {
		return
	}
	s.notes.say(record.Error, "the stream may lose records", func(l *record.Line) {
		l.Str("stream", s.config.Name)
		l.Str("reason", reason)
	})
	s.log.log.Error("the stream may lose records", "stream", s.config.Name, "reason", reason)
}

func (s *stream) stats(all *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &StreamStats{Name: s.config.Name, Committed: s.done.Seq, Trouble: s.trouble}
	all.Stream = t
	if s.info == nil {
		return
	}
	state := s.info.State
	t.Created, t.Last, t.Messages, t.Bytes = s.info.Created, max(state.LastSeq, s.done.Seq), state.Msgs, state.Bytes
	t.MaxBytes = uint64(max(0, s.info.Config.MaxBytes))
	if !s.info.Created.Equal(s.done.Created) {
		t.Committed, t.Last = 0, state.LastSeq
	}
	t.Pending = min(t.Last-min(t.Last, t.Committed), state.Msgs)
	if state.Msgs > 0 {
		t.PendingBytes = uint64(float64(state.Bytes) / float64(state.Msgs) * float64(t.Pending))
	}
}
