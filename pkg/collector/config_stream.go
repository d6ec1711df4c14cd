package collector

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
)

// How batches come to the collector.
const (
	DeliveryDirect = "direct" // core NATS; the collector acknowledges, after its commit
	DeliveryStream = "stream" // JetStream stores and acknowledges; the collector reads
)

// StreamConfig says what the stream is like that the collector makes when there is none. One that an operator
// has made keeps its own room and compression; it is refused where its settings could lose records.
type StreamConfig struct {
	// Name of the stream; "" means LOGS.
	Name string
	// MaxBytes is the room in it; 0 means 1 GiB. When it is used up, publishers keep their records.
	MaxBytes int64
	// Keep is what stays in the stream for analysts once it is committed: a duration, a size, or both,
	// separated by a space or a comma, and then both are upper bounds. "" and "0" mean nothing.
	Keep string
	// Compression of the stream's files: "none" or "s2"; "" means none.
	Compression string
}

const (
	defaultStream   = "LOGS"
	defaultMaxBytes = 1 << 30
	minMaxBytes     = 1 << 20 // room for a few batches
)

// planStream fills in the stream's defaults and finds what is wrong with it.
func (p *plan) planStream(l *problem.List) {
	switch p.Delivery {
	case "":
		p.Delivery = DeliveryDirect
	case DeliveryDirect, DeliveryStream:
	default:
		l.Add(settingDelivery, p.Delivery, "neither direct nor stream", DeliveryDirect)
	}
	s := &p.Stream
	if s.Name == "" {
		s.Name = defaultStream
	} else if reason := settings.StreamName(s.Name); reason != "" {
		l.Add(settingStream, s.Name, reason, defaultStream)
	}
	switch {
	case s.MaxBytes == 0:
		s.MaxBytes = defaultMaxBytes
	case s.MaxBytes < minMaxBytes:
		l.Add(settingStream+"_MAX_BYTES", settings.Size(s.MaxBytes).String(), "less than "+settings.Size(minMaxBytes).String(), "1GiB")
	}
	switch s.Compression {
	case "":
		s.Compression = "none"
	case "none", "s2":
	default:
		l.Add(settingStream+"_COMPRESSION", s.Compression, "neither none nor s2", "s2")
	}
	var err error
	if p.keep, err = parseKeep(s.Keep); err != nil {
		l.Add(settingStream+"_KEEP", s.Keep, err.Error(), "24h 512MiB")
	} else if p.keep.bytes > s.MaxBytes/2 {
		l.Add(settingStream+"_KEEP", s.Keep, "more than half of "+settingStream+"_MAX_BYTES: there must be room for what is new", "512MiB")
	}
}

// kept is how much of what is committed stays in the stream; 0 sets no bound by age, or by size.
type kept struct {
	age   time.Duration
	bytes int64
}

func (k kept) nothing() bool { return k == kept{} }

var errKeep = errors.New("neither a duration nor a size")

func parseKeep(text string) (kept, error) {
	var k kept
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' }) {
		if n, err := strconv.ParseInt(word, 10, 64); err == nil && n == 0 {
			continue
		}
		if age, err := time.ParseDuration(word); err == nil && age > 0 && k.age == 0 {
			k.age = age
		} else if size, err := settings.ParseSize(word); err == nil && size > 0 && k.bytes == 0 {
			k.bytes = int64(size)
		} else {
			return kept{}, errKeep
		}
	}
	return k, nil
}
