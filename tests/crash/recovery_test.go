//go:build unix

package crash

import "time"

// recovery is a guard only: how long a collector may take to start after a crash, with other runs at the same time on the same
// processors. TestFault26TwoCollectors tells how long it takes.
const recovery = time.Minute
