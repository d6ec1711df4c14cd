// Package record is the contract between the parts of logbraid: what one line of the log looks
// like, and what the messages that carry lines look like. It has no dependency, does no I/O, and
// keeps no state but pools.
package record

// What logbraid itself says in a log, so that those who read one can tell.
const (
	OwnLogger  = "logbraid"        // the logger of every such record
	MsgDropped = "records dropped" // by a publisher that shed records: fields count, first, last
	MsgLost    = "records lost"    // by the collector: fields count, first, last
)
