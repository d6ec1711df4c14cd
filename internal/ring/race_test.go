//go:build race

package ring

func init() { raceDetector = true }
