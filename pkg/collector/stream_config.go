package collector

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// A RefusedStreamError comes from Start when there is a stream of the name whose settings could lose records.
type RefusedStreamError struct {
	Stream string
	Reason string
}

func (e *RefusedStreamError) Error() string {
	return fmt.Sprintf("stream %s could lose records: %s; change it (nats stream edit %[1]s), or let the collector make one under another %[3]s", e.Stream, e.Reason, settingStream)
}

// made marks the streams that a collector made: those it may change when its settings change.
const made = "made-by"

// streamConfig is the stream that the collector makes: it never throws away what the log does not hold. When it
// is full it says so to the publisher, which keeps its records.
func streamConfig(p *plan) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:        p.Stream.Name,
		Description: "log records on their way to the collector",
		Subjects:    []string{p.Prefix + ".>"},
		Retention:   jetstream.LimitsPolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		MaxBytes:    p.Stream.MaxBytes,
		Metadata:    map[string]string{made: "logbraid"},
	}
	if p.Stream.Compression == "s2" {
		c.Compression = jetstream.S2Compression
	}
	return c
}

func ours(c jetstream.StreamConfig) bool { return c.Metadata[made] == "logbraid" }

// outdated reports whether a stream that a collector made was made with other settings.
func outdated(c, want jetstream.StreamConfig) bool {
	return c.MaxBytes != want.MaxBytes || c.Compression != want.Compression
}

// adjusted is c as want would have it.
func adjusted(c, want jetstream.StreamConfig) jetstream.StreamConfig {
	c.MaxBytes, c.Compression = want.MaxBytes, want.Compression
	return c
}

// refuse says which settings of a stream could lose a record that it has acknowledged, or keep it from being
// written: all of them at once.
func refuse(c, want jetstream.StreamConfig) error {
	var reasons []string
	object := func(wrong bool, reason string, args ...any) {
		if wrong {
			reasons = append(reasons, fmt.Sprintf(reason, args...))
		}
	}
	covered := false
	for _, subject := range c.Subjects {
		covered = covered || covers(subject, want.Subjects[0])
	}
	object(!covered, "its subjects %v do not cover %s", c.Subjects, want.Subjects[0])
	object(c.Discard != jetstream.DiscardNew, "it discards old messages when it is full (discard must be new)")
	object(c.Retention != jetstream.LimitsPolicy, "its retention is %s, not limits", strings.ToLower(c.Retention.String()))
	object(c.Storage != jetstream.FileStorage, "it is stored in memory")
	object(c.MaxAge > 0, "messages expire after %s (max age)", c.MaxAge)
	object(c.MaxMsgs > 0, "it is limited to %d messages, however small (bound its bytes instead)", c.MaxMsgs)
	object(c.MaxMsgsPerSubject > 0, "it is limited to %d messages of one worker", c.MaxMsgsPerSubject)
	object(c.MaxMsgSize > 0, "it takes no message above %d bytes, and a worker does not know that (bound the server's max_payload instead)", c.MaxMsgSize)
	object(c.PersistMode == jetstream.AsyncPersistMode, "it acknowledges before it has written (persist mode async)")
	object(c.AllowRollup, "a message may replace all others (rollup)")
	object(c.AllowMsgTTL, "a message may bring its own end (per-message TTL)")
	object(c.AllowMsgCounter, "its messages are counters")
	object(c.AllowMsgSchedules, "its messages are schedules")
	object(c.NoAck, "it does not acknowledge")
	object(c.Sealed, "it is sealed")
	object(c.DenyPurge, "it does not allow to be purged, so it runs full")
	object(c.Mirror != nil || len(c.Sources) > 0, "it takes its messages from other streams")
	object(c.SubjectTransform != nil, "it changes subjects")
	if len(reasons) == 0 {
		return nil
	}
	return &RefusedStreamError{Stream: c.Name, Reason: strings.Join(reasons, "; ")}
}

// covers reports whether a subject with wildcards takes in all that another one does.
func covers(wide, narrow string) bool {
	w, n := strings.Split(wide, "."), strings.Split(narrow, ".")
	for i, token := range w {
		switch {
		case i >= len(n):
			return false
		case token == ">":
			return true
		case n[i] == ">" || token != "*" && token != n[i]:
			return false
		}
	}
	return len(w) == len(n)
}
