package logfile

// buffers are the files' buffers while nothing is in them: a file that has
// nothing to write holds no memory.
type buffers struct {
	free  [][]byte
	bytes int
}

const (
	bufferSize = 4 << 10
	// Bytes kept: more than the largest group of a collector takes, because a buffer that does not come back is grown anew
	// from nothing, and copied at every step.
	buffersMax = 24 << 20
)

func (b *buffers) take() []byte {
	n := len(b.free)
	if n == 0 {
		return make([]byte, 0, bufferSize)
	}
	p := b.free[n-1]
	b.free = b.free[:n-1]
	b.bytes -= cap(p)
	return p
}

func (b *buffers) give(p []byte) {
	if p == nil || b.bytes+cap(p) > buffersMax {
		return
	}
	b.bytes += cap(p)
	b.free = append(b.free, p[:0])
}
