package ring

import "time"

// What several goroutines change in turns goes from one processor to the other with every turn, which may take longer than the
// append itself (BenchmarkHandOver). So where they append all the time, turns are long: whoever finds the lock taken and the
// ring busy stays away for a while, in which the others go on undisturbed. Where they do not, nobody stays away.
const (
	lookAgain = 2000                  // iterations of an empty loop, about 1 µs
	busy      = 3                     // records appended meanwhile
	turn      = 20 * time.Microsecond // at least; where a processor has nothing else to do, Go makes a millisecond of it
)

// lockToAppend is mu.Lock, with turns. One waits at the front, the others behind it, so that only one disturbs.
func (r *Ring) lockToAppend() {
	if r.mu.TryLock() {
		return
	}
	r.front <- struct{}{}
	if r.final == nil { // there is a tail
		before := r.tailCell.load()
		for range lookAgain {
		}
		if r.tailCell.load()-before >= busy {
			time.Sleep(turn)
		}
	}
	r.mu.Lock()
	<-r.front
}
