package publisher

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// A publisher need not know that its broker hangs while it has nothing to say. So
// its connection pings so seldom that an idle worker sleeps, and the sender asks by
// itself when an answer does not come: then it knows sooner than by any ping. That
// the broker's host, or the way to it, is gone the kernel notices (natsconn).
const (
	idlePing      = 30 * time.Second
	probePatience = 5 * time.Second
)

// A prober asks whether the broker is there.
type prober struct {
	nc       *nats.Conn
	patience time.Duration // 0: probePatience
	running  atomic.Bool
	ctx      context.Context // until the link is closed
	stop     context.CancelFunc
}

// start asks, unless it does so already, and makes a new connection if there is no
// answer. It does not wait. That a collector is silent is no reason: it is the
// broker that must answer.
func (p *prober) start(diag *slog.Logger) {
	if p.nc.Status() != nats.CONNECTED || !p.running.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer p.running.Store(false)
		patience := cmp.Or(p.patience, probePatience)
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		defer cancel()
		// A connection that is lost meanwhile is another error, and another story.
		if err := p.nc.FlushWithContext(ctx); errors.Is(err, context.DeadlineExceeded) {
			diag.Warn("the broker does not answer: the connection is made anew", "waited", patience)
			_ = p.nc.ForceReconnect() // fails when it is closed
		}
	}()
}
