//go:build unix

package crash

import (
	"time"

	"github.com/logbraid/logbraid/tests/harness"
)

// recovery is a guard only: how long a collector may take to start after a crash, with other runs at the same time on the same
// processors. TestFault26TwoCollectors holds the figure that is promised.
var recovery = map[bool]time.Duration{false: 10 * time.Second, true: time.Minute}[harness.Race]
