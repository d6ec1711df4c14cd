package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/logbraid/logbraid/internal/child"
	"github.com/logbraid/logbraid/internal/status"
	"github.com/logbraid/logbraid/pkg/embedded"
	"github.com/logbraid/logbraid/pkg/publisher"
)

const (
	// samePress is how soon a second signal still counts as the first: a terminal
	// sends Ctrl-C to a whole process group, whose leader may pass it on.
	samePress = 300 * time.Millisecond

	// quitTimeout is what is left for the files after a second signal.
	quitTimeout = time.Second
)

// session is one run of the program: a master and its workers.
type session struct {
	*options
	master   *embedded.Master
	progress *progress // everything that goes to standard error passes through it
	log      *slog.Logger
	members  []*member
	began    time.Time

	sig  os.Signal // the first that asked to end
	quit bool      // there was a second

	mu    sync.Mutex
	first int // the first exit code that is not 0
}

// member is a worker of the session. Its fields are constant once it has started,
// but for those at the end, which its goroutines fill in and which are read when
// they have ended.
type member struct {
	name  string
	child *child.Child
	pub   *publisher.Publisher // what the master logs for it; nil in the main job

	told  notice // the last one; main job only
	state *os.ProcessState
	took  time.Duration // of its life
}

// run is the program.
func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	// Before anything is started: there is nothing to undo.
	path, err := o.lookUp()
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, child.StopSignals...)
	// For good: one more signal behind the end must not turn the exit code into a death.
	child.SurvivePipe()

	s := &session{options: o, progress: newProgress(stderr), began: time.Now()}
	s.log = slog.New(slog.NewTextHandler(s.progress, &slog.HandlerOptions{Level: o.level}))
	cfg := o.config
	cfg.ConsoleOut, cfg.ConsoleErr, cfg.Diagnostics = stdout, s.progress, s.log
	if s.master, err = embedded.Start(ctx, cfg); err != nil {
		return err
	}
	if l, err := status.Listen(o.Dir); err != nil {
		s.log.Warn("collector stats will not find this master", "error", err)
	} else {
		defer status.Serve(l, status.Mux(s.status)).Close()
	}
	fmt.Fprintln(s.progress, s.intro())

	if err := s.startAll(path); err != nil {
		s.signal(os.Kill)
		s.awaitAll()
		return errors.Join(err, s.master.Close(ctx))
	}
	stop, drawn := make(chan struct{}), make(chan struct{})
	go func() { s.progress.run(stop, s.tally); close(drawn) }()
	closeErr := s.seeThrough(ctx, signals)
	close(stop)
	<-drawn
	return s.tell(stdout, closeErr)
}

// seeThrough waits for the workers to end, then for the master to close. The
// first signal is passed on to the workers; the second kills them, and leaves
// little time for the rest.
func (s *session) seeThrough(ctx context.Context, signals <-chan os.Signal) error {
	closing, abandon := context.WithCancel(ctx)
	defer abandon()
	ended, closed := make(chan struct{}), make(chan error, 1)
	go func() {
		s.awaitAll()
		close(ended)
		closed <- s.master.Close(closing) // without a deadline of its own it takes CloseTimeout
	}()
	done := ctx.Done()
	var at time.Time
	for {
		select {
		case err := <-closed:
			return err
		case <-done:
			done = nil
			s.quit = true
			s.signal(os.Kill)
		case sig := <-signals:
			switch {
			case s.sig == nil:
				s.sig, at = sig, time.Now()
				fmt.Fprintf(s.progress, "embedded: %s: waiting for %s (again: quit at once)\n", child.SignalName(sig), s.awaited(ended))
				s.signal(sig)
			case time.Since(at) < samePress || s.quit:
			default:
				s.quit = true
				fmt.Fprintln(s.progress, "embedded: quitting at once; what is not in the log yet stays in the buffers for the next start")
				s.signal(os.Kill)
				time.AfterFunc(quitTimeout, abandon)
			}
		}
	}
}

// awaited is what is still waited for.
func (s *session) awaited(ended <-chan struct{}) string {
	select {
	case <-ended:
		return "the workers' records"
	default:
		return "the workers to end, then for their records"
	}
}

func newProgress(stderr io.Writer) *progress {
	p := &progress{out: stderr}
	if f, ok := stderr.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.width = func() int {
			w, _, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 80
			}
			return w
		}
	}
	return p
}

func (s *session) intro() string {
	what := fmt.Sprintf("%d workers parse %s", s.Workers, s.Input)
	if s.Workers == 1 {
		what = "1 worker parses " + s.Input
	}
	if len(s.command) > 0 {
		what = fmt.Sprintf("%d x %s", s.Workers, s.command[0])
	}
	return fmt.Sprintf("embedded: %s; the log is in %s", what, s.Dir)
}

// startAll starts the workers.
func (s *session) startAll(path string) error {
	for i := range s.Workers {
		m := &member{name: fmt.Sprintf("w%d", i+1)}
		how := s.parserSpec
		if len(s.command) > 0 {
			how = s.wrappedSpec
		}
		sp, err := how(m, i, path)
		if err != nil {
			return err
		}
		if m.child, err = sp.Start(); err != nil {
			return err
		}
		s.members = append(s.members, m)
	}
	return nil
}

// signal reaches every worker and what it started in turn.
func (s *session) signal(sig os.Signal) {
	for _, m := range s.members {
		if err := m.child.Signal(sig); err != nil {
			s.log.Error("signal worker", "worker", m.name, "signal", child.SignalName(sig), "error", err)
		}
	}
}

// awaitAll returns when every worker has ended.
func (s *session) awaitAll() {
	var all sync.WaitGroup
	for _, m := range s.members {
		all.Go(func() { s.await(m) })
	}
	all.Wait()
}

func (s *session) await(m *member) {
	st, err := m.child.Wait()
	if err != nil {
		s.log.Error("await worker", "worker", m.name, "error", err)
	}
	m.state, m.took = st, time.Since(m.child.Began)
	if code := child.ExitCode(st); code != 0 {
		s.mu.Lock()
		if s.first == 0 {
			s.first = code
		}
		s.mu.Unlock()
	}
	s.master.Exited(m.name, st)
}

// tell reports, and decides on the exit code.
func (s *session) tell(stdout io.Writer, closeErr error) error {
	r := s.report(closeErr)
	r.Interrupted = s.sig != nil
	r.Exit = s.code(r)
	write := r.write
	if s.json {
		write = r.writeJSON
	}
	if err := write(stdout); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if r.Exit == exitOK {
		return nil
	}
	return &exitError{code: r.Exit}
}

func (s *session) code(r *report) int {
	wrapping := len(s.command) > 0
	switch {
	case s.quit && s.sig != nil:
		return child.SignalCode(s.sig)
	case wrapping && s.first != 0:
		return s.first
	case !r.Accounted:
		return exitLoss
	case len(r.Problems) > 0:
		return exitFailure
	case !wrapping && s.sig != nil:
		// Also when it was the end of a worker that was not up yet.
		return child.SignalCode(s.sig)
	case s.first != 0:
		return exitFailure
	}
	return exitOK
}

// status is what "collector stats" is told about this master.
func (s *session) status() (status.Report, bool) {
	r := status.NewReport(s.master.Stats().Collector)
	r.PID, r.Version, r.Dir = os.Getpid(), s.config.Version, s.Dir
	return r, true
}

// tally is what the progress line shows: what is in the log of this session.
func (s *session) tally() tally {
	var t tally
	at := map[string]int{}
	for i, m := range s.members {
		at[m.name] = i
		t.workers = append(t.workers, namedCount{name: m.name})
	}
	stats := s.master.Stats()
	for _, run := range stats.Collector.Runs {
		i, ours := at[run.Worker]
		if _, earlier := stats.Earlier[run.Run]; earlier || !ours {
			continue
		}
		t.written += run.Written
		t.dropped += run.Dropped
		t.lost += run.Lost
		t.workers[i].n += run.Written
	}
	return t
}

// report puts together what the workers said and what the collector has.
func (s *session) report(closeErr error) *report {
	r := &report{Directory: s.Dir, Workers: make([]row, len(s.members))}
	rows := map[string]*row{}
	said := map[string]bool{} // runs whose publisher has told what it accepted
	for i, m := range s.members {
		w := &r.Workers[i]
		*w = row{Worker: m.name, Seconds: m.took.Seconds()}
		if !m.state.Success() {
			w.Ended = m.state.String()
		}
		rows[m.name] = w
		if m.pub != nil {
			said[m.pub.Identity().Run] = true
			w.Accepted += m.pub.Stats().Logged
		}
		if m.told.Done {
			said[m.told.Run] = true
			w.Accepted += m.told.Logged
			if r.Work == nil {
				r.Work = &work{}
			}
			r.Work.add(m.told.Work)
		}
	}
	stats := s.master.Stats()
	for _, h := range stats.Collector.Handlers {
		r.Handlers = append(r.Handlers, destination{Handler: h.Name, Records: h.Records, Bytes: h.Bytes, Skipped: h.Skipped})
	}
	for _, run := range stats.Collector.Runs {
		if before, earlier := stats.Earlier[run.Run]; earlier {
			r.Earlier += run.Written - before
			continue
		}
		w, ours := rows[run.Worker]
		if !ours {
			continue
		}
		w.Written += run.Written
		w.Dropped += run.Dropped - run.Excess // given up by the publisher, but written all the same
		w.Lost += run.Lost
		if !said[run.Run] {
			// A worker that was killed could not say, but its buffer did; and a
			// command that publishes by itself says it with the end of its run.
			w.Accepted += run.Logged
		}
	}
	var undelivered *embedded.UndeliveredError
	if errors.As(closeErr, &undelivered) {
		r.Undelivered = undelivered.Records
		for _, m := range s.members {
			// What a worker that could not say has left was accepted, too.
			if m.pub == nil && !m.told.Done {
				rows[m.name].Accepted += undelivered.Workers[m.name]
			}
		}
	}
	if closeErr != nil {
		r.Problems = append(r.Problems, closeErr.Error())
	}
	r.finish(time.Since(s.began))
	return r
}
