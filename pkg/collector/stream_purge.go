package collector

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/logbraid/logbraid/internal/logfile"
)

// This file frees the room of what the log holds.

// tendEvery is how often at least. The stream holds what comes in this time, and until the next sync.
const tendEvery = time.Second

// crowd is how many bytes of records are committed before the log is synced and the stream freed without waiting for their
// time. The broker keeps in memory what it has stored in the last seconds, unless it is purged: left to the time alone, a
// second's worth and more of a full load, with as much garbage (docs/adr/0013).
const crowd = 32 << 20

// grewLocked is told of bytes committed. With a crowd of them neither the sync nor tend waits for its time.
func (s *stream) grewLocked(n uint64) {
	if s.held += n; s.held < s.crowd {
		return
	}
	s.held = 0
	s.hasten()
	select {
	case s.crowded <- struct{}{}:
	default:
	}
}

// short is how full the stream may be, in eighths, before what is kept for analysts makes room: the log comes
// first.
const short = 7

// tend purges and looks after the stream until ctx ends.
func (s *stream) tend(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	var aged time.Time // when the keeping by age was last looked after
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.crowded: // what was committed before the last token is synced, mostly
		}
		if !s.nc.IsConnected() {
			continue
		}
		if err := s.free(ctx, &aged); err != nil && ctx.Err() == nil && s.nc.IsConnected() {
			s.log.often(slog.LevelWarn, "cannot free room in the stream", "", "error", err)
		}
	}
}

// free does one round.
func (s *stream) free(ctx context.Context, aged *time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	st, err := s.js.Stream(ctx, s.config.Name)
	if err != nil {
		return askError("find stream "+s.config.Name, err)
	}
	info := st.CachedInfo()
	s.saw(info)
	s.object(refuse(info.Config, s.config))
	synced := s.synced()
	if synced.Stream != info.Config.Name || !synced.Created.Equal(info.Created) || synced.Seq <= info.State.FirstSeq || info.State.Msgs == 0 {
		return nil
	}
	until, err := s.purgeable(ctx, info, synced, aged)
	if err != nil || until <= info.State.FirstSeq {
		return err
	}
	// The stream's name and birth say nothing when damage made it give numbers twice. What stood before a
	// message stands before it still, so the last message that is synced vouches for all that goes.
	stored, err := s.storedAt(ctx, synced.Seq)
	if err != nil || !stored.Equal(synced.Time) {
		return err
	}
	// Up to but not with it: at the next start, that message tells the stream from another (I8).
	options := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSequence(until)}
	if s.wider() {
		options = append(options, jetstream.WithPurgeSubject(s.config.Subjects[0]))
	}
	return askPurge(st.Purge(ctx, options...))
}

func askPurge(err error) error {
	if err != nil {
		return askError("purge", err)
	}
	return nil
}

// purgeable is the seq before which everything may go. It is in the files, and they are forced to the disk as the
// settings ask: what is purged exists nowhere else.
func (s *stream) purgeable(ctx context.Context, info *jetstream.StreamInfo, synced logfile.Source, aged *time.Time) (uint64, error) {
	until := synced.Seq
	if s.keep.nothing() {
		return until, nil
	}
	state := info.State
	if room := info.Config.MaxBytes; room > 0 && state.Bytes > uint64(room)/8*short {
		s.log.often(slog.LevelWarn, "the stream runs short of room: what was kept for analysts makes place", "", "bytes", state.Bytes, "max_bytes", room)
		return state.FirstSeq + (until-state.FirstSeq+1)/2, nil
	}
	var kept uint64 // from here on it stays; 0: nothing is known of what may go
	if s.keep.bytes > 0 {
		s.mu.Lock()
		kept = s.marks.before(uint64(s.keep.bytes))
		s.mu.Unlock()
	}
	if s.keep.age > 0 && time.Since(*aged) >= min(s.keep.age/50, 30*time.Second) {
		*aged = time.Now()
		seq, err := s.firstSince(ctx, time.Now().Add(-s.keep.age))
		if err != nil {
			return 0, err
		}
		kept = max(kept, seq)
	}
	return min(until, kept), nil
}

// firstSince is the seq of the first message that was stored at a time or later. A consumer that would begin
// there says so, without a message being read.
func (s *stream) firstSince(ctx context.Context, t time.Time) (uint64, error) {
	config := s.consumer(jetstream.DeliverByStartTimePolicy, 0)
	config.OptStartTime = &t
	config.FilterSubject = ""
	c, err := s.js.CreateConsumer(ctx, s.config.Name, config)
	if err != nil {
		return 0, askError("look for the messages of a time", err)
	}
	info := c.CachedInfo()
	s.forget(info.Name)
	return info.Delivered.Stream + 1, nil
}

// marks know at which seqs so many bytes of the stream had been read, roughly.
type marks struct {
	read  uint64 // bytes
	every uint64 // between two marks; 0: none are wanted
	list  []mark
}

type mark struct{ seq, read uint64 }

// storedSize is what a message takes in the stream's accounts, by server/filestore.go: 22 bytes before it, the length of
// its headers, a checksum of 8; compression does not count.
func storedSize(m jetstream.Msg, payload int) uint64 {
	n := 22 + 4 + 8 + len("NATS/1.0\r\n\r\n") + len(m.Subject()) + payload
	for key, values := range m.Headers() {
		for _, value := range values {
			n += len(key) + len(": \r\n") + len(value)
		}
	}
	return uint64(n)
}

func (m *marks) add(seq, size uint64) {
	m.read += size
	if m.every > 0 && (len(m.list) == 0 || m.read-m.list[len(m.list)-1].read >= m.every) {
		m.list = append(m.list, mark{seq, m.read})
	}
}

// before is the last seq marked that has so many bytes or more behind it; it forgets those before.
func (m *marks) before(bytes uint64) uint64 {
	n := 0
	for n < len(m.list) && m.read-m.list[n].read >= bytes {
		n++
	}
	if n == 0 {
		return 0
	}
	m.list = m.list[n-1:]
	return m.list[0].seq
}

func (m *marks) reset() { m.list = nil }
