package publisher

import (
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

// MessageID is by what a stream knows a batch.
func MessageID(b record.Batch) string { return messageID(b) }

// SetAckTimeout makes lost answers cheap.
func SetAckTimeout(cfg *Config, d time.Duration) { cfg.ackTimeout = d }

// SetPromptAck lets messages grow whatever acknowledgements take.
func SetPromptAck(cfg *Config, d time.Duration) { cfg.promptAck = d }

// SetProbe makes a broker that hangs cheap.
func SetProbe(cfg *Config, d time.Duration) { cfg.probe = d }
