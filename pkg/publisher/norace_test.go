//go:build !race

package publisher

const raceDetector = false
