package collector

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

var (
	sequences    = flag.Int("sequences", 60, "random sequences that TestSequences goes through")
	sequenceSeed = flag.Uint64("sequences.seed", 1, "seed of the first of them")
)

// TestSequences puts the real writer, on real files, through random sequences of everything that happens to it:
// batches, resends, batches ahead, lost answers, drops, losses, foreign messages, lies, writes that fail, rotations,
// restarts. A model that knows only what was logged, dropped and lost says what must be in the files.
func TestSequences(t *testing.T) {
	for i := range *sequences {
		seed := *sequenceSeed + uint64(i)
		if t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { newSequence(t, seed).run() }); t.Failed() {
			t.Fatalf("to repeat it: go test ./pkg/collector -run TestSequences -sequences 1 -sequences.seed %d", seed)
		}
	}
}

// sequence is one of them.
type sequence struct {
	t    *testing.T
	rand *rand.Rand
	*rig
	fs      *faultFS
	cfg     Config
	workers []*sender
	taken   []string // what was done, for messages
	foreign []foreignMessage
	lies    int // messages that must be rejected, at least: they may come again
}

// sender is a publisher with what the model knows of it.
type sender struct {
	*publisher
	lost      map[uint64]bool // its own copy is gone
	committed uint64          // the highest that was ever acknowledged, whether it learned of it or not
}

type foreignMessage struct {
	text   string
	unsure bool // the process died before it was committed, perhaps
}

func newSequence(t *testing.T, seed uint64) *sequence {
	s := &sequence{t: t, rand: rand.New(rand.NewPCG(seed, 7)), fs: newFaultFS()}
	s.fs.lazy = true
	s.cfg = Config{Dir: t.TempDir(), Handlers: []string{"json://DIR/app.jsonl?rotate=20KiB", "file://DIR/app.log"},
		FSync: []string{"never", "1s", "always"}[s.rand.IntN(3)], fs: s.fs}
	s.rig = newRigWith(t, s.cfg)
	for i := range 1 + s.rand.IntN(3) {
		s.workers = append(s.workers, &sender{publisher: newPublisher("etl", fmt.Sprint("w", i)), lost: map[uint64]bool{}})
	}
	return s
}

func (s *sequence) run() {
	steps := []struct {
		weight int
		name   string
		do     func()
	}{
		{30, "log", s.log}, {8, "drop", s.drop}, {4, "lose", s.lose},
		{30, "send", s.send}, {10, "resend", s.resend}, {8, "ahead", s.ahead},
		{6, "foreign", s.sendForeign}, {4, "lie", s.lie},
		{30, "turn", s.turn}, {4, "look", s.look}, {3, "rotate", s.rotate},
		{5, "break", s.breakDisk}, {8, "mend", s.mend}, {4, "restart", s.restart},
	}
	total := 0
	for _, step := range steps {
		total += step.weight
	}
	for range 150 {
		n := s.rand.IntN(total)
		for _, step := range steps {
			if n -= step.weight; n < 0 {
				s.taken = append(s.taken, step.name)
				step.do()
				break
			}
		}
		if s.t.Failed() {
			s.t.FailNow()
		}
	}
	s.finish()
}

func (s *sequence) worker() *sender { return s.workers[s.rand.IntN(len(s.workers))] }

func (s *sequence) log() {
	s.worker().log(1+s.rand.IntN(5), record.Info, "l", strings.Repeat("x", s.rand.IntN(100)))
}

func (s *sequence) drop() { s.worker().publisher.drop(1 + s.rand.IntN(3)) }

// lose takes from a publisher its oldest records that were not acknowledged to it: its buffer was damaged.
func (s *sequence) lose() {
	w := s.worker()
	for range 1 + s.rand.IntN(3) {
		if first, _ := w.window(); first > 0 {
			w.lost[first] = true
		}
	}
}

// window is what the publisher can send and has no acknowledgement for; 0 if nothing.
func (w *sender) window() (first, last uint64) {
	for seq := w.acked + 1; seq <= uint64(len(w.lines)); seq++ {
		if w.lines[seq-1] != nil && !w.lost[seq] {
			if first == 0 {
				first = seq
			}
			last = seq
		}
	}
	return first, last
}

// push queues a batch that begins and ends with records that the publisher has, and says what is the oldest of them.
func (s *sequence) push(w *sender, first, last, oldest uint64) {
	b, payload := w.batch(first, last)
	b.Oldest = oldest
	if s.rand.IntN(4) == 0 {
		s.queue.push(asBlock(w.subject, b, payload))
		return
	}
	s.queue.push(incoming(w.subject, header(b), payload))
}

func (s *sequence) send() {
	w := s.worker()
	first, last := w.window()
	if first == 0 {
		return
	}
	for upTo := first + uint64(s.rand.IntN(8)); upTo < last; upTo++ {
		if w.lines[upTo-1] != nil {
			last = upTo
			break
		}
	}
	s.push(w, first, last, first)
}

// resend sends something that was acknowledged before, and what follows on it: a drainer that knows nothing.
func (s *sequence) resend() {
	w := s.worker()
	_, last := w.window()
	if last == 0 {
		last = w.acked
	}
	var first uint64
	for seq := last; seq > 0 && !w.lost[seq] && (last-seq < 10 || s.rand.IntN(3) > 0); seq-- {
		if w.lines[seq-1] != nil {
			first = seq
		}
	}
	if first == 0 || w.lines[last-1] == nil {
		return
	}
	oldest := first
	if window, _ := w.window(); window > 0 {
		oldest = min(first, window)
	}
	s.push(w, first, last, oldest)
}

// ahead sends a batch behind one that has not been sent, or got lost on its way.
func (s *sequence) ahead() {
	w := s.worker()
	first, last := w.window()
	if first == last {
		return
	}
	s.push(w, last, last, first)
}

func (s *sequence) sendForeign() {
	m := foreignMessage{text: fmt.Sprintf("foreign-%d-", len(s.foreign))}
	s.foreign = append(s.foreign, m)
	s.giveForeign("logs.etl.stranger", m.text)
}

// lie sends a batch whose checksum is wrong, or that is another's.
func (s *sequence) lie() {
	w := s.worker()
	if len(w.lines) == 0 || w.lines[len(w.lines)-1] == nil {
		return
	}
	last := uint64(len(w.lines))
	b, payload := w.batch(last, last)
	subject := w.subject
	if s.rand.IntN(2) == 0 {
		b.CRC++
	} else {
		subject = "logs.etl.liar"
	}
	s.queue.push(message{subject: subject, reply: "reply", header: header(b), batch: true, data: payload})
	s.lies++
}

// turn is one turn of the writer's loop.
func (s *sequence) turn() {
	if s.retry == nil {
		s.step()
		s.settled()
	}
	s.react()
	s.hear()
}

// react is what the loop does after each turn.
func (s *sequence) react() {
	if err := s.flight.broken(); err != nil && s.retry == nil {
		s.stall(err)
		_, _ = s.store.Resume()
	}
}

func (s *sequence) look() {
	s.writer.look()
	s.react()
}

func (s *sequence) rotate() {
	if s.retry == nil {
		s.distrust(s.store.Rotate())
	}
	s.react()
}

func (s *sequence) breakDisk() { s.fs.breakWith([]error{syscall.ENOSPC, syscall.EIO}[s.rand.IntN(2)]) }

// mend makes the disk work again, and the writer notice; sometimes it tries before.
func (s *sequence) mend() {
	if s.retry != nil && s.rand.IntN(2) == 0 {
		s.resume()
		s.settled()
		s.react()
	}
	s.fs.mend()
	for s.retry != nil {
		s.resume()
		s.settled()
		s.react()
	}
	s.hear()
}

// restart ends the process where it stands. Nobody sends again what was foreign and not yet committed.
func (s *sequence) restart() {
	s.close()
	for i := range s.foreign {
		s.foreign[i].unsure = true
	}
	s.fs.mend()
	cfg := s.cfg
	cfg.Handlers = slices.Clone(cfg.Handlers)
	s.rig = newRigWith(s.t, cfg)
	for _, w := range s.workers {
		got, want := uint64(0), w.committed
		if r := s.table.runs[w.id.Run]; r != nil {
			got = r.now.last
		}
		if got < want {
			s.fail("run of %s is at %d after a restart, %d was acknowledged", w.subject, got, want)
		}
	}
}

// hear gives the answers to the publishers, or loses them. An acknowledgement says that everything is in the files (I5).
func (s *sequence) hear() {
	for _, a := range s.answers() {
		for _, w := range s.workers {
			if a.Run != w.id.Run {
				continue
			}
			switch a.Kind {
			case record.AckCommitted:
				w.committed = max(w.committed, a.Seq)
				s.checkFiles()
				if s.rand.IntN(4) > 0 {
					w.acked = max(w.acked, a.Seq)
				}
			case record.AckWant:
				if a.Seq <= w.acked || a.Seq > uint64(len(w.lines)) {
					s.fail("wants %d of %s, which has %d acknowledged", a.Seq, w.subject, w.acked)
				}
			}
		}
	}
}

// everything is the log, rotated files first.
func (s *sequence) everything() string {
	rotated, err := filepath.Glob(filepath.Join(s.dir, "app.jsonl.0*")) // sorted
	if err != nil {
		s.t.Fatal(err)
	}
	all := ""
	for _, path := range append(rotated, "app.jsonl") {
		all += s.read(filepath.Base(path))
	}
	return all
}

// checkFiles holds the files against the model: of each run what was committed, in order, once, byte for byte.
func (s *sequence) checkFiles() {
	byRun := map[string][]string{}
	for line := range strings.Lines(s.everything()) {
		tail, ok := record.ScanTail([]byte(line))
		if !ok {
			if !strings.HasSuffix(line, "\n") && s.retry != nil {
				break // half a line of a commit that failed, which Resume could not cut off yet
			}
			s.fail("no line of ours: %q", line)
			return
		}
		byRun[string(tail.Run)] = append(byRun[string(tail.Run)], line)
	}
	for _, w := range s.workers {
		s.checkRun(w, byRun[w.id.Run])
	}
}

func (s *sequence) checkRun(w *sender, lines []string) {
	last := uint64(0)
	for _, line := range lines {
		tail, _ := record.ScanTail([]byte(line))
		if tail.Seq <= last || tail.Seq > uint64(len(w.lines)) || line != string(w.lines[tail.Seq-1]) {
			s.fail("%s: after %d: %s", w.subject, last, line)
			return
		}
		for seq := last + 1; seq < tail.Seq; seq++ {
			if w.lines[seq-1] != nil && !w.lost[seq] {
				s.fail("%s: %d follows on %d, but %d was neither dropped nor lost", w.subject, tail.Seq, last, seq)
			}
		}
		last = tail.Seq
	}
	for seq := last + 1; seq <= w.committed; seq++ {
		if w.lines[seq-1] != nil && !w.lost[seq] {
			s.fail("%s: %d was acknowledged and is not in the file", w.subject, seq)
		}
	}
}

// finish lets everything get through, and checks the numbers as well (I9).
func (s *sequence) finish() {
	s.taken = append(s.taken, "finish")
	s.mend()
	for _, w := range s.workers {
		w.log(1, record.Info, "l", "the last")
	}
	for round := 0; ; round++ {
		s.mend() // of a sync that failed by itself before the disk was mended, the writer hears now
		s.turn()
		open := 0
		for _, w := range s.workers {
			if first, last := w.window(); first > 0 {
				s.push(w, first, last, first)
				open++
			}
		}
		if n, _, _ := s.queue.size(); open == 0 && n == 0 {
			break
		}
		if round > 100 {
			s.fail("does not come to an end")
			return
		}
	}
	s.checkFiles()
	stats := s.stats()
	for _, w := range s.workers {
		i := slices.IndexFunc(stats.Runs, func(r RunStats) bool { return r.Run == w.id.Run })
		if i < 0 {
			s.fail("no numbers of %s", w.subject)
			return
		}
		got := stats.Runs[i].Totals
		want := Totals{Logged: uint64(len(w.lines))}
		written := s.written(w)
		for seq, line := range w.lines {
			switch {
			case line == nil:
				want.Dropped++
			case written[uint64(seq)+1]:
				want.Written++
			default:
				want.Lost++
			}
		}
		if got != want {
			s.fail("numbers of %s: %+v, want %+v", w.subject, got, want)
		}
	}
	s.checkForeign()
}

// written is which seqs of a run are in the files.
func (s *sequence) written(w *sender) map[uint64]bool {
	out := map[uint64]bool{}
	for line := range strings.Lines(s.everything()) {
		if tail, ok := record.ScanTail([]byte(line)); ok && string(tail.Run) == w.id.Run {
			out[tail.Seq] = true
		}
	}
	return out
}

// checkForeign: each once, unless the process died; never twice.
func (s *sequence) checkForeign() {
	all := s.everything()
	for _, m := range s.foreign {
		if n := strings.Count(all, m.text); n > 1 || n == 0 && !m.unsure {
			s.fail("foreign message %s is in the file %d times", m.text, n)
		}
	}
	if n := strings.Count(s.read(rejectedName), "\n"); n > 0 && s.lies == 0 {
		s.fail("%d messages rejected:\n%s", n, s.read(rejectedName))
	}
}

func (s *sequence) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Errorf("%s\nFSYNC=%s; after %s", fmt.Sprintf(format, args...), s.cfg.FSync, strings.Join(s.taken, ", "))
}
