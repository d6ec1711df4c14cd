// Package logfile is the end of the pipeline: append files, their rotation, the
// checkpoint journal that makes a commit survive a crash, recovery, and the
// lock on the log directory.
package logfile
