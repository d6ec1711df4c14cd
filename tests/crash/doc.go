//go:build unix

// Package crash kills the product's processes with kill -9 at random moments under load, again and again, and then has the
// independent checker say what became of every record whose log call had returned: none lost, none twice, none out of order
// within its run, no line torn.
//
//	go test ./tests/crash/                                  a few dozen cycles
//	go run ./tests/crash/cmd --cycles 1000 --seed 7         the long run
//	go run ./tests/crash/cmd --delivery stream --cycles 500 --seed 7
//
// One cycle: every worker logs its share; at a moment that the seed chooses within it, a victim that the seed chooses (a worker,
// the collector, the broker, the master, or all of them at once, as a process group) is killed, sometimes once more while it
// starts again. The next cycle begins when the log calls have returned, not when their records are safe, so that kills also hit
// the resending and draining of what earlier kills left behind.
package crash
