//go:build unix

package harness

import (
	"time"
)

// T is what the harness needs of a test. *testing.T has it; so has the runner of the long proofs, which is no test.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	Failed() bool
	TempDir() string
}

// Guard is how long anything may take before the harness believes that it hangs. No test depends on it being short.
const Guard = 120 * time.Second

// Until polls until cond holds. what completes the sentence "waited in vain for ...".
func Until(t T, what string, cond func() bool) {
	t.Helper()
	if !within(Guard, cond) {
		t.Fatalf("waited %v in vain for %s", Guard, what)
	}
}

// Within is Until with a limit that is part of what the test shows ("recovers in less than a second").
func Within(t T, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	begin := time.Now()
	if !within(limit, cond) {
		t.Fatalf("waited %v in vain for %s", limit, what)
	}
	t.Logf("%s: after %v", what, time.Since(begin).Round(time.Millisecond))
}

func within(limit time.Duration, cond func() bool) bool {
	deadline := time.Now().Add(limit)
	for pause := time.Millisecond; !cond(); pause = min(2*pause, 20*time.Millisecond) {
		if time.Now().After(deadline) {
			return cond()
		}
		time.Sleep(pause)
	}
	return true
}
