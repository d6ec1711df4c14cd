//go:build unix

package crash

import (
	"time"

	"github.com/logbraid/logbraid/tests/harness"
)

// recovery is how long a collector may take to start after a crash. Under the race detector, and with other runs at the same
// time on the same processors, the figure is a guard only.
var recovery = map[bool]time.Duration{false: time.Second, true: 10 * time.Second}[harness.Race]
