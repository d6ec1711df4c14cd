package consumer

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

var (
	// ErrClosed comes from Records after Close.
	ErrClosed = errors.New("consumer is closed")
	// ErrBusy comes from Records while another iteration is under way: records have one order.
	ErrBusy = errors.New("consumer is being read already")
)

// A Gap tells that records of a run do not arrive. It is yielded as an error, where the records
// would have been, and the iteration goes on.
//
// How many of them a filter would have let through nobody knows, except by [Config.Buffer]: what a
// Gap counts is seqs.
type Gap struct {
	record.Identity        // whose records; Run is "" for foreign ones, which have no seqs
	First, Last     uint64 // the seqs among which they are; both 0 for foreign records
	// Missed is how many were sent, as far as anybody knows, and did not reach this consumer: it was too
	// slow, or not connected, or the stream had removed them already. The log has them.
	Missed uint64
	// Dropped is how many the publisher says it dropped. No log has them.
	Dropped uint64
}

func (g *Gap) Error() string {
	who := g.App + "/" + g.Worker
	if g.Run != "" {
		who += " (run " + g.Run + ", seq " + strconv.FormatUint(g.First, 10) + " to " + strconv.FormatUint(g.Last, 10) + ")"
	}
	switch {
	case g.Dropped == 0:
		return fmt.Sprintf("%d records of %s did not reach this consumer", g.Missed, who)
	case g.Missed == 0:
		return fmt.Sprintf("%d records of %s were dropped by their publisher", g.Dropped, who)
	}
	return fmt.Sprintf("%d records of %s did not reach this consumer, %d more were dropped by their publisher", g.Missed, who, g.Dropped)
}

// An Interruption tells that messages may have gone by unseen, in direct delivery. What runs that
// speak again have said meanwhile, Gaps will tell exactly. Of runs that only spoke meanwhile, or
// ended, nothing is known. It is yielded as an error, and the iteration goes on.
type Interruption struct {
	From, To time.Time // when the connection was lost and was there again; zero when it was there all the time
	Messages int       // messages that this process had to leave unread, as far as known
}

func (i *Interruption) Error() string {
	if i.From.IsZero() {
		return fmt.Sprintf("%d messages were left unread", i.Messages)
	}
	return fmt.Sprintf("not connected for %s: what was published meanwhile was not seen", i.To.Sub(i.From).Round(time.Millisecond))
}

// A Rejected tells of a message that does not hold together (checksum, count, seqs, identity).
// Nothing of it is yielded; the collector does not write it either. It is yielded as an error, and
// the iteration goes on.
type Rejected struct {
	Subject string
	Reason  error
}

func (r *Rejected) Error() string {
	return fmt.Sprintf("message on %s rejected: %v", r.Subject, r.Reason)
}

// Unwrap gives the reason.
func (r *Rejected) Unwrap() error { return r.Reason }

// Removed tells that the stream no longer holds messages from where reading was to begin. It is yielded as
// an error, and the iteration goes on with what there is.
type Removed struct {
	First, Last uint64 // sequences of the stream, not of records
}

func (r *Removed) Error() string {
	return fmt.Sprintf("messages %d to %d of the stream were removed before they were read", r.First, r.Last)
}

// Continues reports whether the iteration goes on after an error that it yielded: a *[Gap], *[Interruption],
// *[Rejected] or *[Removed].
func Continues(err error) bool {
	switch err.(type) {
	case *Gap, *Interruption, *Rejected, *Removed:
		return true
	}
	return false
}
