package publisher

import "time"

// SetAckTimeout makes lost answers cheap.
func SetAckTimeout(cfg *Config, d time.Duration) { cfg.ackTimeout = d }
