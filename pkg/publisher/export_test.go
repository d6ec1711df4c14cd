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

// SetDrainPatience is how long a drain may stand still while Close waits for it.
func SetDrainPatience(cfg *Config, d time.Duration) { cfg.drain = d }

// SenderEnded is closed when all that was logged is acknowledged, and the end of the run.
func (p *Publisher) SenderEnded() <-chan struct{} { return p.done }

// SetProbe makes a broker that hangs cheap.
func SetProbe(cfg *Config, d time.Duration) { cfg.probe = d }
