package logfile

import (
	"hash/crc32"

	"github.com/logbraid/logbraid/pkg/record"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkpoint is one entry of the journal in memory.
type checkpoint struct {
	number   uint64
	previous uint64
	durable  uint64
	snapshot bool
	// awaited: nobody is told of it before it is on the disk, and what it states.
	awaited bool
	runs    []runState
	evicted []string
	files   []fileState
	medium  string // see Dir.Medium; empty: as before
	source  *Source
	days    []day
}

// runState is a run and the entry that changed it last, which is what ended
// runs are forgotten by.
type runState struct {
	id string
	Run
	changed uint64
}

// fileState is what a checkpoint says of one generation of a log file.
type fileState struct {
	path       string // relative to the store's directory, with slashes; or absolute
	generation uint64 // the number that it gets when it is rotated
	length     int64
	id         FileID // zero: the file system does not say
	tail       tail
	born       int64 // Unix seconds: where rotation by time counts from
	// absent: there is no such file (any more). The state forgets it.
	absent bool
	// unsynced: FSYNC never; whether it is on the disk is never known.
	unsynced bool
	// retired: rotated, and committed bytes of it may not be on the disk yet.
	// since is the entry that says so first.
	retired bool
	since   uint64
}

// tail is the checksum of the last bytes of a generation: by it a file is known
// again. Unless FSYNC is never they are all the bytes that the commit wrote, so
// that after a power cut it can be seen whether everything since the last sync is
// there.
type tail struct {
	length uint32
	crc    uint32
}

// shortTail is how many bytes are enough where only the file is to be known
// again.
const shortTail = 4096

// tailOf is the tail of a file that ends in p.
func tailOf(p []byte) tail {
	return tail{length: uint32(len(p)), crc: record.Checksum(p)}
}

// add makes c say what a later checkpoint says as well.
func (c *checkpoint) add(later *checkpoint) {
	c.runs = append(c.runs, later.runs...)
	c.files = append(c.files, later.files...)
	if later.source != nil {
		c.source = later.source
	}
	c.days = append(c.days, later.days...)
}
