//go:build race

package publisher

// Under the race detector sync.Pool drops what it is given now and then, on purpose.
const raceDetector = true
