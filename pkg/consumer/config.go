package consumer

import (
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/pkg/record"
)

// Config says what to read. The zero value of every field but the connection works: everything,
// from now on, in direct delivery.
type Config struct {
	// NATS says where the broker is. The consumer has a connection of its own: one that is slow is cut off
	// by the broker, and nothing else must be on it.
	NATS natsconn.Config

	// Prefix is the first part of the subjects; "" means "logs".
	Prefix string

	// Filter and Fields say which records are yielded. A filter that names one app or worker, without * and ?,
	// also keeps the others' records from being sent here at all (and with them foreign
	// records on subjects that are not PREFIX.app.worker).
	Filter record.Filter
	// Fields are keys and the values that they must have: a string's text, or any other value's JSON. Numbers
	// are compared as numbers. Dots lead into objects, as in [Record.Get].
	Fields map[string]string

	// Group shares the work among all consumers that name the same group: each message goes to one of them. A
	// member cannot know what is missing, so it is told no gap between batches; a batch that is sent
	// again can go to another member, so it may be yielded twice; and a run's records come to several
	// members, each with a part of them in order. In stream delivery the group's place is kept by the
	// broker, and what a member had not finished goes to another.
	Group string

	// Buffer is how many bytes may wait to be read, in direct delivery; 0 means 64 MiB. When it is full,
	// what arrives is left out, and counted by a Gap where it would have stood.
	Buffer int

	// Stream is the stream to read; "" reads what is published now (direct delivery).
	Stream string
	// Since begins with the records at that time, by their own clocks; it finds them as long as these are no
	// more than a minute ahead of the broker's. Stream delivery only, as what follows.
	Since time.Time
	// Sequence begins with that message of the stream (Record.Sequence): 1 is everything that there is.
	Sequence uint64
	// Durable has the broker keep the place under this name: reading goes on where it stopped, at the first
	// message of which not every record had been taken out of the iterator, so that records may come
	// again after the end of a process. One process at a time may use a name. Since and Sequence
	// then count for the first time only. What the stream removes while nobody reads is not told: the
	// broker moves the place along.
	Durable string

	// Diagnostics takes what is said about the connection; nil: nobody is told.
	Diagnostics *slog.Logger
}

const (
	defaultPrefix = "logs"
	defaultBuffer = 64 << 20

	settingURL    = "LOGBRAID_NATS_URL"
	settingPrefix = "LOGBRAID_PREFIX"
)

func (c Config) withDefaults() Config {
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	if c.Buffer <= 0 {
		c.Buffer = defaultBuffer
	}
	if c.NATS.Name == "" {
		c.NATS.Name = "logbraid consumer"
	}
	if c.Diagnostics == nil {
		c.Diagnostics = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return c
}

// Validate finds everything that is wrong, without connecting.
func (c Config) Validate() error { return c.withDefaults().problems().Err() }

func (c Config) problems() problem.List {
	var l problem.List
	if !c.NATS.Configured() {
		l.Add(settingURL, "", "is not set, so there is nothing to read from", "nats://127.0.0.1:4222")
	}
	l = append(l, c.NATS.Problems()...)
	for token := range strings.SplitSeq(c.Prefix, ".") {
		if token == "" || strings.ContainsAny(token, " \t\r\n*>") {
			l.Add(settingPrefix, c.Prefix, "is not the beginning of a NATS subject", "logs")
			break
		}
	}
	for name, patterns := range map[string][]string{"Loggers": c.Filter.Loggers, "Apps": c.Filter.Apps, "Workers": c.Filter.Workers} {
		if slices.Contains(patterns, "") || slices.Contains(patterns, "!") {
			l.Add("Filter."+name, "", "has an empty pattern", "etl.*")
		}
	}
	for _, n := range []struct{ name, value string }{{"Group", c.Group}, {"Stream", c.Stream}, {"Durable", c.Durable}} {
		if n.value != "" && record.Token(n.value) != n.value {
			l.Add(n.name, n.value, "is no name: letters, digits, - and _", "errors")
		}
	}
	if c.Stream == "" {
		switch {
		case !c.Since.IsZero():
			l.Add("Since", "", "needs stream delivery: in direct delivery nothing is stored", "")
		case c.Sequence != 0:
			l.Add("Sequence", "", "needs stream delivery: in direct delivery nothing is stored", "")
		case c.Durable != "":
			l.Add("Durable", c.Durable, "needs stream delivery: in direct delivery nothing is stored", "")
		}
	}
	if c.Group != "" && c.Durable != "" {
		l.Add("Durable", c.Durable, "set together with Group, which has a place of its own: keep one", "")
	}
	if !c.Since.IsZero() && c.Sequence != 0 {
		l.Add("Since", "", "set together with Sequence: keep one", "")
	}
	return l
}

// subject is the narrowest that brings everything the filter lets pass.
func (c Config) subject() string {
	app, worker := only(c.Filter.Apps), only(c.Filter.Workers)
	switch {
	case worker != "":
		if app == "" {
			app = "*"
		}
		return c.Prefix + "." + app + "." + worker
	case app != "":
		return c.Prefix + "." + app + ".>"
	}
	return c.Prefix + ".>"
}

// only returns the one name that the patterns let pass, "" if there may be others, or it cannot stand in a subject
// as it is.
func only(patterns []string) string {
	if len(patterns) != 1 || record.Token(patterns[0]) != patterns[0] {
		return ""
	}
	return patterns[0]
}
