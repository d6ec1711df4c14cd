package collector

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/internal/logfile"
)

// run reads until ctx ends.
func (s *stream) run(ctx context.Context) {
	changed := s.nc.StatusChanged(nats.CONNECTED, nats.RECONNECTING, nats.DISCONNECTED, nats.CLOSED)
	defer s.nc.RemoveStatusListener(changed)
	const first, most = 20 * time.Millisecond, time.Second
	pause := first
	for ctx.Err() == nil {
		for len(changed) > 0 {
			<-changed
		}
		reading, interrupt := context.WithCancel(ctx)
		s.mu.Lock()
		s.interrupt = interrupt
		s.mu.Unlock()
		go func() { // a consumer does not outlive its connection
			select {
			case <-changed:
				interrupt()
			case <-reading.Done():
			}
		}()
		read, err := s.read(reading)
		interrupted := reading.Err() != nil
		interrupt()
		if ctx.Err() != nil {
			return
		}
		if read {
			pause = first
		}
		switch {
		case interrupted && s.nc.IsConnected():
			continue
		case interrupted:
			err = nats.ErrDisconnected
		}
		s.troubled(err)
		select {
		case <-changed:
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
		}
		pause = min(2*pause, most)
	}
}

// errReplaced is why nothing is read of a stream that is not the one that was looked at.
var errReplaced = errors.New("the stream was made anew meanwhile")

// errOrder is what an ordered consumer begins again for.
var errOrder = errors.New("messages are missing between the broker and us")

// read places itself in the stream and reads until something is amiss. It reports whether it got as far as
// reading.
func (s *stream) read(ctx context.Context) (bool, error) {
	if err := s.find(ctx); err != nil {
		var refused *RefusedStreamError
		if !errors.As(err, &refused) {
			return false, err
		}
		s.object(err) // somebody changed the stream: what it holds is read all the same
	}
	from, err := s.place(ctx)
	if err != nil {
		return false, err
	}
	defer s.unplaced()
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	c, err := s.js.CreateConsumer(asking, s.config.Name, s.consumer(jetstream.DeliverByStartSequencePolicy, from.seq))
	if err != nil {
		return false, askError("read stream "+s.config.Name, err)
	}
	defer s.forget(c.CachedInfo().Name)
	// The consumer goes away with its stream. But it may be of one that was made since we looked; that has to be looked at first.
	if created, err := s.created(ctx); err != nil {
		return false, err
	} else if !created.Equal(from.created) {
		return false, errReplaced
	}
	messages, err := c.Messages(
		jetstream.PullMaxMessagesWithBytesLimit(prefetchMessages, max(prefetchBytes, 2*int(s.nc.MaxPayload()))),
		jetstream.PullHeartbeat(heartbeat), jetstream.PullExpiry(30*time.Second),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return false, fmt.Errorf("read stream %s: %w", s.config.Name, err)
	}
	defer messages.Stop()
	s.troubled(nil)
	for number := uint64(1); ; number++ {
		s.queue.room(queueBytes, ctx.Done())
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return true, fmt.Errorf("read stream %s: %w", s.config.Name, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return true, fmt.Errorf("read stream %s: %w", s.config.Name, err)
		}
		data, pooled, ok := s.detour.Payload(m.Data())
		if !ok || meta.Sequence.Consumer != number {
			return true, errOrder
		}
		next := newMessage(m.Subject(), m.Headers(), data)
		next.pooled = pooled
		next.at = logfile.Source{Stream: s.config.Name, Created: from.created, Seq: meta.Sequence.Stream, Time: meta.Timestamp.UTC()}
		if !s.deliver(from.turn, next, m) {
			return true, errTurned
		}
	}
}

// created is when the stream was made that has the name now.
func (s *stream) created(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	st, err := s.js.Stream(ctx, s.config.Name)
	if err != nil {
		return time.Time{}, askError("find stream "+s.config.Name, err)
	}
	return st.CachedInfo().Created, nil
}

var errTurned = errors.New("the writer has gone back")

// deliver puts a message into the queue, unless the writer has gone back meanwhile.
func (s *stream) deliver(turn int, m message, stored jetstream.Msg) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn != turn {
		return false
	}
	s.at = m.at
	if s.marks.every > 0 {
		s.marks.add(m.at.Seq, storedSize(stored, len(m.data)))
	}
	m.era = s.era
	s.queue.add(m)
	return true
}

// unplaced is for when reading ends: what becomes of the stream until it is read again, nobody sees.
func (s *stream) unplaced() {
	s.mu.Lock()
	s.placed = false
	s.mu.Unlock()
}

// consumer is one that keeps nothing on the disk and gives every message once.
func (s *stream) consumer(policy jetstream.DeliverPolicy, from uint64) jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{
		Description:       "logbraid collector",
		DeliverPolicy:     policy,
		OptStartSeq:       from,
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: inactive,
	}
	if filter := s.config.Subjects[0]; s.wider() {
		c.FilterSubject = filter
	}
	return c
}

// wider reports whether the stream takes subjects beside ours.
func (s *stream) wider() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.info.Config.Subjects) != 1 || s.info.Config.Subjects[0] != s.config.Subjects[0]
}

// forget takes a consumer away. Nobody waits for the answer: without it, the broker does it by itself in a while.
func (s *stream) forget(name string) {
	if s.nc.IsConnected() {
		_ = s.nc.Publish("$JS.API.CONSUMER.DELETE."+s.config.Name+"."+name, nil)
	}
}
