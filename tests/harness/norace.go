//go:build unix && !race

package harness

// Race says that the race detector is on: what is measured in microseconds then means nothing.
const Race = false
