//go:build !linux

package logfile

// Medium is not known here: after every start it is looked at whether anything
// was lost.
func (d *osDir) Medium() string { return "" }
