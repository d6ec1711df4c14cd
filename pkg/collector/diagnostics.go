package collector

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// diagnostics is what the collector says about itself, to the injected logger and never into its own
// pipeline. What happens again and again is said once in a while, with how often it happened.
type diagnostics struct {
	log *slog.Logger

	mu   sync.Mutex
	told map[string]told
}

type told struct {
	at    time.Time
	since int // times it was not told since
}

const tellEvery = 10 * time.Second

func newDiagnostics(log *slog.Logger) *diagnostics {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &diagnostics{log: log, told: make(map[string]told)}
}

// often tells of something that may happen for every message. about is told separately: what is said
// about one handler does not silence another.
func (d *diagnostics) often(level slog.Level, msg, about string, args ...any) {
	d.mu.Lock()
	key := msg + "\x00" + about
	last, now := d.told[key], time.Now()
	if !last.at.IsZero() && now.Sub(last.at) < tellEvery {
		last.since++
		d.told[key] = last
		d.mu.Unlock()
		return
	}
	d.told[key] = told{at: now}
	d.mu.Unlock()
	if about != "" {
		args = append(args, "about", about)
	}
	if last.since > 0 {
		args = append(args, "repeated", last.since)
	}
	d.log.Log(context.Background(), level, msg, args...)
}
