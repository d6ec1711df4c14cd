package logfile

import (
	"fmt"
	"strings"
	"time"
)

// Options say how a Store works. The zero value is usable.
type Options struct {
	// FSync says when written bytes are forced to the disk. Zero: once a second.
	FSync Policy
	// FS is the file system. Nil: the operating system's.
	FS FS
	// Clock gives the time for rotation and retention by age. Nil: time.Now.
	Clock func() time.Time
	// Report is told what was found or done that a person should know: damage,
	// rotation by someone else, a full disk. It is called from the writer's
	// goroutine and from background goroutines, so it must be safe for that,
	// must not block and must not call the Store. Nil: not told.
	Report func(Event)
	// Evicted is told of each run that left the table because the table was full
	// (MaxRuns), with what was known of it. It is called from within Commit, or
	// from a goroutine of the store, and must not call the store. Nil: not told.
	Evicted func(id string, r Run)
	// LockWait is how long Open waits for a lock that another holds. Zero: it
	// does not wait.
	LockWait time.Duration
	// MaxOpen bounds the file descriptors that are kept open for log files; the
	// least recently written are closed first. Zero: 256.
	MaxOpen int
	// MaxRuns is the number of runs above which some are forgotten: first those that
	// have ended, the longest committed first; then those of which nothing came in
	// the last 30 days on which the store was open. Zero: 65,536.
	MaxRuns int
}

// complete fills in what is zero.
func (o Options) complete() Options {
	if o.FS == nil {
		o.FS = osFS{}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Report == nil {
		o.Report = func(Event) {}
	}
	if o.Evicted == nil {
		o.Evicted = func(string, Run) {}
	}
	if o.MaxOpen <= 0 {
		o.MaxOpen = 256
	}
	if o.MaxRuns <= 0 {
		o.MaxRuns = 65536
	}
	return o
}

// FileOptions say how one file is rotated, kept and written. The zero value
// never rotates and keeps everything.
type FileOptions struct {
	// Rotate is the size in bytes that a file may not exceed, unless one
	// commit alone is larger. Zero: no rotation by size.
	Rotate int64
	// Every rotates at multiples of this duration in UTC (24h: at midnight
	// UTC), provided that the file is not empty. Zero: no rotation by time.
	Every time.Duration
	// Keep is how many rotated files stay. Zero: all.
	Keep int
	// MaxAge removes rotated files last written longer ago than this. Zero: none.
	MaxAge time.Duration
	// MaxTotal bounds the bytes of the file and its rotated ones together; the
	// oldest rotated ones go first. Zero: no bound.
	MaxTotal int64
	// Compress is what happens to a rotated file, in the background.
	Compress Compression
	// FSync is the file's own policy. A commit that touches several files follows
	// the strictest of theirs. Nil: the store's.
	FSync *Policy
}

func (o *FileOptions) equal(p *FileOptions) bool {
	a, b := *o, *p
	if (a.FSync == nil) != (b.FSync == nil) || a.FSync != nil && *a.FSync != *b.FSync {
		return false
	}
	a.FSync, b.FSync = nil, nil
	return a == b
}

// Compression is the form of rotated files.
type Compression uint8

// The forms of rotated files.
const (
	NoCompression Compression = iota
	Gzip
	Zstd
)

// ParseCompression reads none, gzip or zstd.
func ParseCompression(s string) (Compression, error) {
	switch strings.ToLower(s) {
	case "", "none", "off":
		return NoCompression, nil
	case "gzip", "gz":
		return Gzip, nil
	case "zstd", "zst":
		return Zstd, nil
	}
	return NoCompression, fmt.Errorf("unknown compression %q (none, gzip or zstd)", s)
}

func (c Compression) String() string {
	switch c {
	case Gzip:
		return "gzip"
	case Zstd:
		return "zstd"
	}
	return "none"
}

// extension is what the compressed file's name ends in.
func (c Compression) extension() string {
	switch c {
	case Gzip:
		return ".gz"
	case Zstd:
		return ".zst"
	}
	return ""
}

// Policy says when written bytes are forced to the disk. The zero value is
// Every(time.Second).
//
// Whatever it is, a commit survives the death of the process. The policy is
// about power cuts and crashes of the operating system only.
type Policy struct {
	mode  policyMode
	every time.Duration
}

type policyMode uint8

const (
	modeEvery policyMode = iota
	modeNever
	modeAlways
)

var (
	// Never leaves it to the operating system.
	Never = Policy{mode: modeNever}
	// Always forces every commit to the disk before it is acknowledged. The
	// commits that wait while one is being forced share the next one.
	Always = Policy{mode: modeAlways}
)

// Every forces to the disk what was committed, at most d after the commit,
// without making the writer wait. d must be positive; otherwise it is a second.
func Every(d time.Duration) Policy {
	if d <= 0 {
		d = time.Second
	}
	return Policy{every: d}
}

// ParsePolicy reads never, always, or a duration such as 1s.
func ParsePolicy(s string) (Policy, error) {
	switch strings.ToLower(s) {
	case "never":
		return Never, nil
	case "always":
		return Always, nil
	case "":
		return Policy{}, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return Policy{}, fmt.Errorf("unknown fsync policy %q (never, always, or a duration such as 1s)", s)
	}
	return Every(d), nil
}

func (p Policy) String() string {
	switch p.mode {
	case modeNever:
		return "never"
	case modeAlways:
		return "always"
	}
	return p.interval().String()
}

func (p Policy) interval() time.Duration {
	if p.every <= 0 {
		return time.Second
	}
	return p.every
}
