package embedded

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// superviseEvery is how often the store is looked at.
	superviseEvery = 500 * time.Millisecond

	// restartEvery bounds how often the server is started again.
	restartEvery = 2 * time.Second

	// enough is the room on the disk, in bytes, with which a server that had run out of it is started again: for
	// its own files, and some batches.
	enough = 1 << 20

	// rescue is how long the collector may take to read what a store held whose files are gone.
	rescue = 2 * time.Second
)

// supervisor looks after the broker's store, which the broker does not: a JetStream that ran out of room stays
// dead when there is room again, and one whose files were deleted goes on acknowledging into nowhere. In both
// cases the server is started again. Workers reconnect, and send again what was not acknowledged.
type supervisor struct {
	m    *Master
	stop chan struct{}
	done chan struct{}

	seen atomic.Pointer[time.Time] // when the stream was made whose directory is watched

	// Of the goroutine.
	root    fs.FileInfo // the store's directory, as it was made
	msgs    fs.FileInfo // the stream's, likewise; nil: not seen yet
	created time.Time   // of the stream that msgs is of
	last    time.Time   // the last restart
	told    string
}

func startSupervisor(m *Master) *supervisor {
	s := &supervisor{m: m, stop: make(chan struct{}), done: make(chan struct{})}
	s.root, _ = os.Stat(m.broker.store.dir)
	go s.run()
	return s
}

func (s *supervisor) finish() {
	if s != nil {
		close(s.stop)
		<-s.done
	}
}

func (s *supervisor) run() {
	defer close(s.done)
	tick := time.NewTicker(superviseEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.look()
		}
	}
}

// look does one round.
func (s *supervisor) look() {
	if s.deleted() {
		s.say("the stream's directory was deleted or replaced under the broker: what it held and was not in the log is lost; starting the broker with a new one")
		// What workers send from here on, they send to the new one.
		s.m.auth.shut(s.m.broker.server(), true)
		s.save()
		s.restart()
		s.m.auth.shut(nil, false)
		return
	}
	reason := sick(s.m.broker.server())
	if reason == "" {
		s.told = ""
		return
	}
	s.say(reason)
	if free, err := freeBytes(s.m.broker.store.dir); err == nil && free < enough {
		return // until there is room a new server would end like this one
	}
	s.restart()
}

// sick says what the server says is wrong with its JetStream, or "".
func sick(srv *server.Server) string {
	if !srv.JetStreamEnabled() {
		return "JetStream has stopped in the broker: most likely there is no room on the disk"
	}
	if h := srv.Healthz(&server.HealthzOptions{}); h.Error != "" {
		return "the broker is not well: " + h.Error
	}
	return ""
}

// deleted reports whether the store's directory, or the stream's in it, is no longer the one that the server
// opened. Their identity counts: a server whose files are gone says that all is well.
func (s *supervisor) deleted() bool {
	root, err := os.Stat(s.m.broker.store.dir)
	if err != nil || s.root == nil || !os.SameFile(root, s.root) {
		return true
	}
	stream := s.m.collector.Stats().Stream
	if stream == nil || stream.Created.IsZero() {
		return false
	}
	msgs, err := os.Stat(s.m.broker.store.stream(stream.Name))
	if !stream.Created.Equal(s.created) {
		// Another stream than we have seen; somebody deleted the last one through the broker.
		if err == nil {
			s.msgs, s.created = msgs, stream.Created
			s.seen.Store(&stream.Created)
			return false
		}
		return s.has(stream.Created) // deleted before we saw it
	}
	if err == nil && os.SameFile(msgs, s.msgs) {
		return false
	}
	// It may have been deleted through the broker just now: then the broker does not have it.
	return s.has(stream.Created)
}

// knows reports whether the stream that was made then is watched.
func (s *supervisor) knows(created time.Time) bool {
	seen := s.seen.Load()
	return seen != nil && seen.Equal(created)
}

// has asks the broker whether it still believes in a stream.
func (s *supervisor) has(created time.Time) bool {
	info, err := s.m.broker.server().Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		return false
	}
	for _, account := range info.AccountDetails {
		for _, st := range account.Streams {
			if st.Created.Equal(created) {
				return true
			}
		}
	}
	return false
}

// save lets the collector read what it can of a store that is going.
func (s *supervisor) save() {
	ctx, cancel := context.WithTimeout(context.Background(), rescue)
	defer cancel()
	_ = s.m.collector.CatchUp(ctx) // what cannot be read is told as a gap
}

// restart starts the server again.
func (s *supervisor) restart() {
	if time.Since(s.last) < restartEvery {
		return
	}
	s.last = time.Now()
	err := s.m.broker.store.create()
	if err == nil {
		err = s.m.broker.restart()
	}
	if err != nil {
		s.say(fmt.Sprintf("cannot start the broker again: %v", err))
		return
	}
	s.root, _ = os.Stat(s.m.broker.store.dir)
	s.msgs, s.created = nil, time.Time{}
	s.m.cfg.Diagnostics.Info("the broker was started again")
}

// say tells a reason once, until all is well again.
func (s *supervisor) say(reason string) {
	if s.told != reason {
		s.told = reason
		s.m.cfg.Diagnostics.Error("stream store", "reason", reason)
	}
}
