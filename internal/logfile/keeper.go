package logfile

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// keeper compresses rotated files and removes what retention says, in a
// goroutine of its own. It touches rotated files only, looks at the directory
// afresh each time, and can be interrupted anywhere:
//
//  1. compress app.log.000007 into app.log.000007.gz.tmp
//  2. fsync it, read it back and compare
//  3. rename it to app.log.000007.gz, fsync of the directory
//  4. remove app.log.000007
//
// While the plain file is there, it is the truth, and what is beside it is
// removed at the next start.
type keeper struct {
	inline bool
	report func(Event)
	clock  func() time.Time

	mu      sync.Mutex
	waiting []job
	wake    chan struct{}
	stop    chan struct{}
	ended   chan struct{}
	failing map[string]bool // path: has been reported

	// Of the goroutine, while there is work.
	buf  []byte
	gzip *gzip.Writer
}

// job is a file whose rotated generations are to be looked after.
type job struct {
	dir    Dir
	path   string
	name   string
	opts   FileOptions
	below  uint64 // generations from here on are not touched
	active int64  // bytes of the file itself
}

var errStopped = errors.New("stopped")

func newKeeper(o Options, inline bool) *keeper {
	k := &keeper{
		inline:  inline,
		report:  o.Report,
		clock:   o.Clock,
		wake:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		ended:   make(chan struct{}),
		failing: map[string]bool{},
	}
	if inline {
		close(k.ended)
	} else {
		go k.run()
	}
	return k
}

// tidy has the keeper look after a file's rotated generations, once they are on
// the disk.
func (s *Store) tidy(f *File) {
	o := &f.opts
	if o.Compress == NoCompression && o.Keep <= 0 && o.MaxAge <= 0 && o.MaxTotal <= 0 {
		return
	}
	if !f.known {
		return // the journal still calls the last rotated one the one being written
	}
	s.syncer.after(job{dir: f.folder.dir, path: f.path, name: f.name, opts: *o, below: f.st.generation, active: f.st.length})
}

// post takes a job; one for the same file that has not begun is replaced.
func (k *keeper) post(j job) {
	if k.inline {
		k.do(j)
		return
	}
	k.mu.Lock()
	i := slices.IndexFunc(k.waiting, func(w job) bool { return w.path == j.path })
	if i >= 0 {
		k.waiting[i] = j
	} else {
		k.waiting = append(k.waiting, j)
	}
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) run() {
	defer close(k.ended)
	for {
		select {
		case <-k.wake:
		case <-k.stop:
			return
		}
		for {
			k.mu.Lock()
			if len(k.waiting) == 0 {
				k.mu.Unlock()
				k.buf, k.gzip = nil, nil
				break
			}
			j := k.waiting[0]
			k.waiting = slices.Delete(k.waiting, 0, 1)
			k.mu.Unlock()
			k.do(j)
			if k.stopped() {
				return
			}
		}
	}
}

func (k *keeper) stopped() bool {
	select {
	case <-k.stop:
		return true
	default:
		return false
	}
}

// close ends the work at the next step.
func (k *keeper) close() {
	close(k.stop)
	<-k.ended
}

func (k *keeper) do(j job) {
	err := k.tend(&j)
	if errors.Is(err, errStopped) {
		return
	}
	if err != nil && !k.failing[j.path] {
		k.report(Event{Kind: HousekeepingFailed, Path: j.path, Err: err})
	}
	k.failing[j.path] = err != nil
}

// tend prunes, compresses what is left, and prunes again by what that takes.
func (k *keeper) tend(j *job) error {
	old, err := k.prune(j)
	if err != nil || j.opts.Compress == NoCompression {
		return err
	}
	compressed := false
	for _, g := range old {
		if g.extension != "" {
			continue
		}
		if err := k.compress(j, g); err != nil {
			return fmt.Errorf("compress %s: %w", g.name, err)
		}
		compressed = true
	}
	if compressed && j.opts.MaxTotal > 0 {
		_, err = k.prune(j)
	}
	return err
}

// generation is a rotated file.
type generation struct {
	rotated
	name string
	size int64
	time time.Time
}

// prune removes what retention says, the oldest first, and returns what is left.
func (k *keeper) prune(j *job) ([]generation, error) {
	old, err := j.list()
	if err != nil {
		return nil, err
	}
	total := j.active
	for _, g := range old {
		total += g.size
	}
	removed := false
	for len(old) > 0 {
		g := old[0]
		o := &j.opts
		if !(o.Keep > 0 && len(old) > o.Keep ||
			o.MaxTotal > 0 && total > o.MaxTotal ||
			o.MaxAge > 0 && k.clock().Sub(g.time) > o.MaxAge) {
			break
		}
		if err := j.dir.Remove(g.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return old, fmt.Errorf("remove %s: %w", g.name, err)
		}
		removed = true
		total -= g.size
		old = old[1:]
	}
	if removed {
		if err := j.dir.Sync(); err != nil {
			return old, fmt.Errorf("sync directory: %w", err)
		}
	}
	return old, nil
}

// list is the rotated generations, the oldest first.
func (j *job) list() ([]generation, error) {
	names, err := j.dir.List()
	if err != nil {
		return nil, fmt.Errorf("list rotated files: %w", err)
	}
	var out []generation
	for _, name := range names {
		r, ok := parseRotated(name)
		if !ok || r.base != j.name || r.temporary || r.number >= j.below {
			continue
		}
		info, err := j.dir.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", name, err)
		}
		if info.Mode.IsRegular() {
			out = append(out, generation{r, name, info.Size, info.ModTime})
		}
	}
	slices.SortFunc(out, func(a, b generation) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.name, b.name))
	})
	return out, nil
}

func (k *keeper) compress(j *job, g generation) (err error) {
	in, err := j.dir.Open(g.name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	final := g.name + j.opts.Compress.extension()
	tmp := final + ".tmp"
	out, err := j.dir.Open(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	defer func() {
		if out != nil {
			_ = out.Close()
		}
		if err != nil {
			_ = j.dir.Remove(tmp)
		}
	}()
	sum, err := k.pack(out, io.NewSectionReader(in, 0, g.size), j.opts.Compress)
	if err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	info, err := out.Stat()
	if err != nil {
		return err
	}
	back, err := k.unpack(io.NewSectionReader(out, 0, info.Size), j.opts.Compress)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if sum != back {
		return fmt.Errorf("read back: %d bytes with checksum %08x, should be %d with %08x", back.length, back.crc, sum.length, sum.crc)
	}
	err = out.Close()
	out = nil
	if err != nil {
		return err
	}
	if err := j.dir.SetTime(tmp, g.time); err != nil {
		return err
	}
	if err := j.dir.Rename(tmp, final); err != nil {
		return err
	}
	if err := j.dir.Sync(); err != nil {
		_ = j.dir.Remove(final) // a generation is never left in two files
		return err
	}
	if err := j.dir.Remove(g.name); err != nil {
		_ = j.dir.Remove(final)
		return err
	}
	return j.dir.Sync()
}

// content is what must be the same before and after.
type content struct {
	length int64
	crc    uint32
}

func (k *keeper) pack(w io.Writer, r io.Reader, c Compression) (content, error) {
	var z io.WriteCloser
	switch c {
	case Gzip:
		if k.gzip == nil {
			k.gzip = gzip.NewWriter(w)
		}
		k.gzip.Reset(w)
		z = k.gzip
	case Zstd:
		var err error
		if z, err = zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)); err != nil {
			return content{}, err
		}
	}
	sum, err := k.copy(z, r)
	if e := z.Close(); err == nil {
		err = e
	}
	return sum, err
}

func (k *keeper) unpack(r io.Reader, c Compression) (content, error) {
	switch c {
	case Gzip:
		z, err := gzip.NewReader(r)
		if err != nil {
			return content{}, err
		}
		return k.copy(io.Discard, z)
	default:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return content{}, err
		}
		defer z.Close()
		return k.copy(io.Discard, z)
	}
}

// copy is io.Copy with a checksum that ends early when the store closes.
func (k *keeper) copy(w io.Writer, r io.Reader) (content, error) {
	var c content
	if k.buf == nil {
		k.buf = make([]byte, 256<<10)
	}
	p := k.buf
	for {
		if k.stopped() {
			return c, errStopped
		}
		n, err := r.Read(p)
		if n > 0 {
			c.length += int64(n)
			c.crc = crc32.Update(c.crc, castagnoli, p[:n])
			if _, err := w.Write(p[:n]); err != nil {
				return c, err
			}
		}
		if err == io.EOF {
			return c, nil
		}
		if err != nil {
			return c, err
		}
	}
}
