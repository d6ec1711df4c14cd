package collector

import (
	"cmp"
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/pkg/record"
)

// This file is I8: is the stream the one that the log knows, and does it still hold what comes next?

// A bearing is where the log left a stream and what is there now.
type bearing struct {
	at          logfile.Source // the last message that is known
	name        string
	created     time.Time
	first, last uint64    // that the stream holds; first is last+1 when it holds nothing
	stored      time.Time // when the message there was stored that has at's seq; zero: there is none
}

// A finding is what follows from it. An empty reason means that all is as it was left.
type finding struct {
	seq    uint64 // to read from
	reason string
	missed uint64 // messages that are gone and were never read
}

// orient decides. Where the stream is not the one, or not what it was, it is read from the start, and I4 drops
// what the log holds already: a batch is known by its run and seqs, whatever its place in the stream.
func orient(b bearing) finding {
	again := func(reason string) finding { return finding{seq: b.first, reason: reason} }
	switch {
	case b.at.Stream == "":
		return finding{seq: b.first} // the first time
	case b.at.Stream != b.name:
		return again("it is another stream than before")
	case !b.at.Created.Equal(b.created):
		return again("it was deleted and made anew")
	case b.last < b.at.Seq:
		return again("it has lost its end")
	case b.first > b.at.Seq+1:
		return finding{seq: b.first, reason: "messages were purged before they were read", missed: b.first - b.at.Seq - 1}
	case b.first == b.at.Seq+1 || b.at.Time.IsZero():
		return finding{seq: b.at.Seq + 1} // the last one known is purged: nothing to compare
	case b.stored.IsZero():
		return again("the last message known is gone from its middle")
	case !b.stored.Equal(b.at.Time):
		// Damage took its end, and new messages got the numbers of those that were lost.
		return again("it gives other messages the numbers of known ones")
	}
	return finding{seq: b.at.Seq + 1}
}

// A beginning is where to read from, and in which stream.
type beginning struct {
	seq     uint64
	created time.Time
	turn    int
}

// place finds out where to read on, and tells when that is not where the log left off.
func (s *stream) place(ctx context.Context) (beginning, error) {
	s.mu.Lock()
	at, turn, info := s.at, s.turn, s.info
	s.mu.Unlock()
	b := bearing{at: at, name: info.Config.Name, created: info.Created, first: info.State.FirstSeq, last: info.State.LastSeq}
	if info.State.Msgs == 0 {
		b.first = b.last + 1
	}
	if b.first <= at.Seq && at.Seq <= b.last {
		var err error
		if b.stored, err = s.storedAt(ctx, at.Seq); err != nil {
			return beginning{}, err
		}
	}
	f := orient(b)
	if f.reason == "" {
		s.mu.Lock()
		s.placed = s.turn == turn
		s.mu.Unlock()
		return beginning{f.seq, b.created, turn}, nil
	}
	fields := []any{"stream", b.name, "reason", f.reason, "first", b.first, "last", b.last, "log_at", at.Seq}
	if f.missed > 0 {
		fields = append(fields, "missed", f.missed)
	}
	s.log.log.Error("the stream is not as the log left it; reading what it holds", fields...)
	s.notes.say(record.Error, "the stream is not as the log left it; reading what it holds", func(l *record.Line) {
		l.Str("stream", b.name)
		l.Str("reason", f.reason)
		l.Uint("first", b.first)
		l.Uint("last", b.last)
		l.Uint("log_at", at.Seq)
		if f.missed > 0 {
			l.Uint("missed", f.missed)
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.turn == turn {
		// Told; what is read from here on is this stream's.
		s.at = logfile.Source{Stream: b.name, Created: b.created, Seq: f.seq - 1}
		s.done, s.placed = s.at, true
		s.era++
		s.marks.reset()
	}
	return beginning{f.seq, b.created, turn}, nil
}

// storedAt is when the message of a seq was stored; zero when there is none. The message itself, which may be long, stays where it is.
func (s *stream) storedAt(ctx context.Context, seq uint64) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	config := s.consumer(jetstream.DeliverByStartSequencePolicy, seq)
	config.FilterSubject = ""
	config.HeadersOnly = true
	c, err := s.js.CreateConsumer(ctx, s.config.Name, config)
	if err != nil {
		return time.Time{}, askError("look at the last message known", err)
	}
	info := c.CachedInfo()
	defer s.forget(info.Name)
	if info.NumPending == 0 {
		return time.Time{}, nil // and none behind it
	}
	batch, err := c.Fetch(1, jetstream.FetchContext(ctx))
	if err != nil {
		return time.Time{}, askError("look at the last message known", err)
	}
	m, ok := <-batch.Messages()
	if !ok {
		return time.Time{}, askError("look at the last message known", cmp.Or(batch.Error(), context.DeadlineExceeded))
	}
	meta, err := m.Metadata()
	if err != nil {
		return time.Time{}, askError("look at the last message known", err)
	}
	if meta.Sequence.Stream != seq {
		return time.Time{}, nil
	}
	return meta.Timestamp.UTC(), nil
}
