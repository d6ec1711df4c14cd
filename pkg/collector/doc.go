// Package collector is the master's side: it takes the batches that publishers send, checks them, brings them
// into order, writes them to files and consoles, and acknowledges them.
//
//	NATS subscription          one goroutine of nats.go; or
//	  | source_direct.go
//	JetStream stream           two goroutines: read (stream_place.go: from where) and purge (stream_purge.go)
//	  | source_stream.go
//	  v
//	queue.go                   bounded; nothing is looked at
//	  |
//	  v                        the writer: one goroutine that owns all files (I7)
//	writer.go    step          take what waits as one group
//	check.go     admit         does the message hold together, whose is it
//	order.go     judge         I4: write, duplicate, want, reject
//	foreign.go   adopt         a message without the header
//	rejected.go  reject        a message that lies
//	route.go     route         which handlers want which lines
//	handler_*.go take          append to a file's buffer; lend it what is long (ADR 19)
//	  |
//	  v
//	internal/logfile Commit    a write per file, or a few where pieces are lent; rotation, fsync by policy, one checkpoint entry
//	  |
//	  v                        the writer, or with FSYNC=always the goroutine that syncs
//	writer.go    settle        only now: numbers, console, user handlers, acknowledgements (I5)
//
// When a commit fails, nothing of it counts: files and table go back to the last checkpoint together (I6), nothing
// is acknowledged, publishers send again, and I4 fits it in. What nobody sends again (foreign messages, the
// collector's own records) the collector keeps until it is written.
//
// Nothing that a message holds is parsed further than its way demands: a JSON file without filters gets a
// batch as it came, filters by level and logger look at fixed offsets of each line's head, and only text and
// other formats read the record.
package collector
