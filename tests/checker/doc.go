// Package checker says whether a log is what its workers were promised. It shares no code with what it checks: it reads the
// raw files with encoding/json, and it knows what was accepted from ledgers, which the tests' workers write themselves, one
// write(2) after each log call that has returned.
//
// Of every destination (a log file with its rotated and compressed generations) it checks
//
//	torn        each line ends in a newline, in its own generation, and holds no NUL
//	invalid     each line is one JSON object in valid UTF-8 without duplicate keys
//	keys        time, level, logger and msg open it, app, worker, run and seq close it, each of its type
//	unknown     nobody logged this record
//	altered     level, logger or payload are not what the worker logged
//	misrouted   the destination's filter keeps this record out
//	duplicate   a record, or a seq of a run, comes a second time
//	disorder    within a run seqs grow, within a goroutine its count grows
//	lost        accepted, absent, and not counted as dropped
//	accounting  holes in a run's seqs are exactly what its "records dropped" and "records lost" records tell (I9)
//
// A worker's record carries an id, source.goroutine.count, and a payload that follows from the id, so that the checker can tell
// a record that was changed from one that was kept.
package checker
