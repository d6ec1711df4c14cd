package publisher

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
)

// link is a connection with a place for answers. One goroutine uses it.
type link struct {
	nc      *nats.Conn
	inbox   string
	number  uint64 // of the last reply subject
	sub     *nats.Subscription
	answers chan *nats.Msg
	up      chan nats.Status // the connection is there (again)
	probe   prober
}

func newLink(nc *nats.Conn) (*link, error) {
	l := &link{
		nc: nc,
		// Every message has an answer of its own name, INBOX.N, so that an answer
		// to an older one is known for what it is.
		inbox: nc.NewInbox(),
		// One is expected at a time; the others are answers to what was sent again.
		answers: make(chan *nats.Msg, 64),
	}
	var err error
	if l.sub, err = nc.ChanSubscribe(l.inbox+".*", l.answers); err != nil {
		return nil, fmt.Errorf("subscribe to acknowledgements: %w", err)
	}
	l.up = nc.StatusChanged(nats.CONNECTED)
	l.probe.nc = nc
	l.probe.ctx, l.probe.stop = context.WithCancel(context.Background())
	return l, nil
}

// nextReply is a reply subject that was never used: several buffers may be drained
// over one link, and a PubAck does not say whose it is.
func (l *link) nextReply() string {
	l.number++
	return l.inbox + "." + strconv.FormatUint(l.number, 36)
}

// forgetUps takes away what is known: that the connection was there before now.
func (l *link) forgetUps() {
	for {
		select {
		case <-l.up:
		default:
			return
		}
	}
}

// limit is the longest payload that the broker takes, with a header of ours;
// want if that is less or nothing is known yet.
func (l *link) limit(want int) int {
	if most := int(l.nc.MaxPayload()); most > 0 {
		return min(want, max(most-headerRoom, minBatch))
	}
	return want
}

// headerRoom is more than our headers take: the broker counts them in.
const headerRoom = 1024

func (l *link) close() {
	l.probe.stop()
	_ = l.sub.Unsubscribe() // fails when the connection is closed, which does the same
	l.nc.RemoveStatusListener(l.up)
}
