package publisher

import "time"

// SetAckTimeout makes lost answers cheap.
func SetAckTimeout(cfg *Config, d time.Duration) { cfg.ackTimeout = d }

// SetProbe makes a broker that hangs cheap.
func SetProbe(cfg *Config, d time.Duration) { cfg.probe = d }
