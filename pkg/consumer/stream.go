package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/internal/natsconn"
)

// stream reads what a stream holds. The reader pulls, so a slow one reads later and loses nothing, as long as the
// stream has not removed what it did not read yet.
type stream struct {
	cfg     Config
	nc      *nats.Conn
	js      jetstream.JetStream
	tracker *tracker

	messages jetstream.MessagesContext
	acks     bool
	ready    []part // of the current message, and news

	mu      sync.Mutex
	current jetstream.Msg // not every part of it has been taken
	closed  chan struct{}
	once    sync.Once
}

const (
	// clockSkew is how far a worker's clock may be ahead of the broker's, where reading begins at a time.
	clockSkew = time.Minute
	// ackWait is when the broker gives a message to another member of a group, or to the next process of a
	// durable consumer. While a reader takes its time, the message is kept in progress.
	ackWait = 6 * time.Second
	// prefetch is how many messages wait in this process; a message is a batch.
	prefetch = 16
	// retryAfter spaces the questions for a stream that is not there yet.
	retryAfter = time.Second
)

func newStream(ctx context.Context, cfg Config) (*stream, error) {
	s := &stream{cfg: cfg, closed: make(chan struct{})}
	s.tracker = newTracker(cfg.Prefix, cfg.Filter, cfg.Group != "", func(p part) { s.ready = append(s.ready, p) })
	var err error
	if s.nc, err = natsconn.Connect(cfg.NATS, natsconn.LogHooks(cfg.Diagnostics)); err != nil {
		return nil, err
	}
	if s.js, err = jetstream.New(s.nc); err == nil {
		err = s.start(ctx)
	}
	if err != nil {
		s.nc.Close()
		return nil, fmt.Errorf("read stream %s: %w", cfg.Stream, err)
	}
	if s.acks {
		go s.keep()
	}
	return s, nil
}

// start waits for broker and stream and begins reading.
func (s *stream) start(ctx context.Context) error {
	var told string
	for {
		err := s.open(ctx)
		if err == nil {
			return nil
		}
		wait := errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
			errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) || !s.nc.IsConnected()
		if !wait || ctx.Err() != nil || s.nc.IsClosed() {
			return errors.Join(err, ctx.Err())
		}
		if text := err.Error(); text != told {
			s.cfg.Diagnostics.Warn("the stream cannot be read yet", "stream", s.cfg.Stream, "error", err)
			told = text
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

func (s *stream) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	st, err := s.js.Stream(ctx, s.cfg.Stream)
	if err != nil {
		return err
	}
	state := st.CachedInfo().State
	policy := jetstream.DeliverByStartSequencePolicy
	first := state.LastSeq + 1 // of what is published from now on, also when the consumer is made again
	var at *time.Time
	switch {
	case s.cfg.Sequence > 0:
		first = s.cfg.Sequence
	case !s.cfg.Since.IsZero():
		policy, first = jetstream.DeliverByStartTimePolicy, 0
		t := s.cfg.Since.Add(-clockSkew)
		at = &t
	}
	var c jetstream.Consumer
	limit := jetstream.PullMaxMessages(prefetch)
	name := s.cfg.Durable + s.cfg.Group
	if name == "" {
		s.removed(state.FirstSeq)
		c, err = st.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
			FilterSubjects: []string{s.cfg.subject()}, DeliverPolicy: policy, OptStartSeq: first, OptStartTime: at,
		})
	} else {
		s.acks = true
		c, err = st.Consumer(ctx, name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			want := jetstream.ConsumerConfig{
				Durable: name, FilterSubject: s.cfg.subject(), DeliverPolicy: policy, OptStartSeq: first, OptStartTime: at,
				AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait,
			}
			if s.cfg.Durable != "" {
				// One at a time: what is unread when a process ends comes again before anything newer.
				want.MaxAckPending = 1
			}
			s.removed(state.FirstSeq)
			c, err = st.CreateConsumer(ctx, want)
		} else if err == nil {
			err = s.known(c.CachedInfo())
		}
		limit = 1 // what one member holds no other can have
	}
	if err != nil {
		return err
	}
	s.messages, err = c.Messages(limit)
	return err
}

// known checks a durable consumer that was there before. Whether messages were removed since it was read last
// cannot be told: the server moves its place along when it removes them.
func (s *stream) known(info *jetstream.ConsumerInfo) error {
	c := info.Config
	if c.AckPolicy != jetstream.AckExplicitPolicy || s.cfg.Durable != "" && c.MaxAckPending != 1 {
		return fmt.Errorf("consumer %s was not made by logbraid in this way: it acknowledges differently; take another name, or delete it", info.Name)
	}
	if want := s.cfg.subject(); c.FilterSubject != want {
		return fmt.Errorf("consumer %s reads %q, not %q: take another name, or delete it", info.Name, c.FilterSubject, want)
	}
	return nil
}

// removed tells when the stream begins behind the sequence from which to read.
func (s *stream) removed(first uint64) {
	if from := s.cfg.Sequence; from > 0 && first > from {
		s.ready = append(s.ready[:0], part{news: &Removed{from, first - 1}})
	}
}

// next returns the next part, of the next message where the last has been taken. Only the reader calls it.
func (s *stream) next(ctx context.Context) (part, error) {
	for len(s.ready) == 0 {
		if err := s.done(); err != nil {
			return part{}, err
		}
		m, err := s.messages.Next(jetstream.NextContext(ctx))
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return part{}, ctx.Err()
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return part{}, ErrClosed
		case errors.Is(err, jetstream.ErrNoHeartbeat):
			continue // the broker is away; the connection comes back by itself
		default:
			return part{}, fmt.Errorf("read stream %s: %w", s.cfg.Stream, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return part{}, fmt.Errorf("read stream %s: %w", s.cfg.Stream, err)
		}
		msg := messageOf(m.Subject(), m.Headers(), m.Data(), meta.Timestamp)
		msg.sequence = meta.Sequence.Stream
		s.mu.Lock()
		s.current = m
		s.mu.Unlock()
		s.tracker.take(msg)
		// In a stream nothing is refused and nothing sent again in front: what a batch overtook is not coming.
		s.tracker.releaseAll()
	}
	p := s.ready[0]
	s.ready = s.ready[1:]
	return p, nil
}

// done acknowledges the message of which everything has been taken.
func (s *stream) done() error {
	s.mu.Lock()
	m := s.current
	s.current = nil
	s.mu.Unlock()
	if m == nil || !s.acks {
		return nil
	}
	if err := m.Ack(); err != nil && s.nc.IsClosed() {
		return ErrClosed
	}
	return nil // an acknowledgement that gets lost brings the message again, which is dropped here
}

// keep tells the broker that a message is still being read.
func (s *stream) keep() {
	t := time.NewTicker(ackWait / 3)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.mu.Lock()
			if s.current != nil {
				_ = s.current.InProgress()
			}
			s.mu.Unlock()
		case <-s.closed:
			return
		}
	}
}

func (s *stream) close() {
	s.once.Do(func() {
		close(s.closed)
		s.mu.Lock()
		if m := s.current; m != nil && s.acks {
			_ = m.Nak() // the next process need not wait for it
		}
		s.current = nil
		s.mu.Unlock()
		s.messages.Stop()
		if s.nc.IsConnected() {
			_ = s.nc.FlushTimeout(time.Second)
		}
		s.nc.Close()
	})
}
