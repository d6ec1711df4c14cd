package collector

import (
	"math"
	"runtime/debug"
	"sync"
)

// heapRoom is how much more garbage a process with a collector may gather before Go collects it, in bytes.
const heapRoom = 32 << 20

// reserveHeap makes the garbage collector of this process run less often, once for all collectors in it.
//
// Each message makes garbage of its size in the broker, where no buffer can be reused, and once more in its client where it does not
// go around that (docs/adr/0019), while little stays alive: with Go's smallest heap of 4 MiB a busy collector would collect garbage
// for every dozen messages, at a quarter of its processor time (docs/adr/0010). Go paces collections by the size of the heap only, so the heap is made to look larger:
// a block that nobody ever touches takes room in the address space and no memory. Unlike a higher GOGC it adds a constant, also to a
// heap that is large already.
//
// A memory limit (GOMEMLIMIT) would count the block as used, so with one there is none.
var reserveHeap = sync.OnceValue(func() []byte {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return nil
	}
	return make([]byte, heapRoom)
})
