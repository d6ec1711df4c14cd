package embedded

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/logfile"
	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/collector"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

// A Master runs from Start to Close. Its methods may be called by any goroutine.
//
//	workers --TCP, token--> broker --in process--> collector --> files
//	                          ^
//	buffer/ of the dead --> orphans (a goroutine, every 250 ms)
//	Publisher(name)     --in process
type Master struct {
	cfg       Config
	state     state
	auth      *auth
	broker    *broker
	collector *collector.Collector
	conn      *nats.Conn // the orphans'
	orphans   *orphans
	watch     *supervisor       // of the store; nil in direct delivery
	forcer    *forcer           // of the store; nil when the broker forces each message
	earlier   map[string]uint64 // runs that began before Start; constant after it

	mu         sync.Mutex
	closing    bool
	publishers map[string]*publisher.Publisher

	closeOnce sync.Once
	closeErr  error
}

// Start returns a master that is ready: what a worker publishes from then on is
// taken. It fails, with everything undone, when the configuration is wrong (a
// list of all problems), when the directory is in use (a *[RunningError]), or
// with the server's own reason. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (_ *Master, err error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("start master: %w", err)
	}
	// A worker may have another working directory.
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start master: %w", err)
	}
	m := &Master{cfg: cfg, state: stateOf(dir), earlier: map[string]uint64{}, publishers: map[string]*publisher.Publisher{}}
	m.auth = newAuth(m.state.tokens(), cfg.Prefix, cfg.App)
	if cfg.Delivery == collector.DeliveryStream {
		m.auth.stream = cfg.Stream.Name
	}

	// Until the collector holds the lock on the directory nothing in it may be
	// changed: a second master comes as far as a port of its own and a refusal. The
	// server changes its store as soon as it starts, so that has a lock of its own.
	var store *store
	if cfg.Delivery == collector.DeliveryStream {
		if store, err = openStore(m.state, cfg.FSync == "always"); err != nil {
			return nil, m.startError(err)
		}
	}
	want, fallback := cfg.Port, false
	if want == 0 {
		want, fallback = m.state.port(), true
	}
	if m.broker, err = startBroker(want, fallback, m.auth, store); err != nil {
		store.release()
		return nil, fmt.Errorf("start master: %w", err)
	}
	defer func() {
		if err != nil {
			m.abandon()
		}
	}()
	if m.collector, err = collector.Start(ctx, cfg.collector(m.inProcess("collector"))); err != nil {
		return nil, m.startError(err)
	}
	for _, run := range m.collector.Stats().Runs {
		m.earlier[run.Run] = run.Written
	}
	// Ours from here on.
	if err = m.state.create(); err != nil {
		return nil, fmt.Errorf("start master: %w", err)
	}
	for _, b := range m.buffers() {
		if _, known := m.earlier[b.info.Identity.Run]; !known {
			m.earlier[b.info.Identity.Run] = 0
		}
	}
	if err = m.state.announce(m.broker.url()); err != nil {
		return nil, fmt.Errorf("start master: %w", err)
	}
	if err = m.admitReaders(dir); err != nil {
		return nil, fmt.Errorf("start master: %w", err)
	}
	if m.conn, err = natsconn.Connect(m.inProcess("orphans"), natsconn.LogHooks(cfg.Diagnostics)); err != nil {
		return nil, fmt.Errorf("start master: %w", err)
	}
	m.orphans = startOrphans(m)
	if store != nil {
		m.watch = startSupervisor(m)
		if !store.always {
			m.forcer = startForcer(&forcer{
				fs: cfg.fs, dir: store.dir, log: cfg.Diagnostics,
				held: m.held,
			})
		}
	}
	return m, nil
}

// startError names the one who has the directory, in our words.
func (m *Master) startError(err error) error {
	var locked *logfile.LockedError
	if errors.As(err, &locked) {
		return &RunningError{Dir: m.cfg.Dir, PID: locked.PID, Since: locked.Since, Command: locked.Command, cause: err}
	}
	return fmt.Errorf("start master: %w", err)
}

// abandon undoes a start that failed.
func (m *Master) abandon() {
	if m.conn != nil {
		m.conn.Close()
	}
	if m.collector != nil {
		if err := m.collector.Close(context.Background()); err != nil {
			m.cfg.Diagnostics.Error("undo start", "error", err)
		}
	}
	m.broker.stop()
}

// inProcess is a connection to the broker that may do everything.
func (m *Master) inProcess(name string) natsconn.Config {
	return natsconn.Config{InProcess: m.broker, Name: "logbraid " + name}
}

// held is when the last message was stored that is on the disk in the log; with FSYNC=never that is not known of any.
func (m *Master) held() time.Time {
	if m.cfg.FSync == "never" {
		return time.Time{}
	}
	return m.collector.Synced()
}

// URL is the broker's address, nats://127.0.0.1:PORT. Only who holds a token is let
// in; see [Master.WorkerEnv] and [Master.ReaderEnv].
func (m *Master) URL() string { return m.broker.url() }

// Collector is the collector, for Rotate and Reopen. Closing it is for Close.
func (m *Master) Collector() *collector.Collector { return m.collector }

// WorkerEnv is all that a worker of this name needs in its environment, for
// publisher.FromEnv or another client: where the broker is, its token and inbox,
// its names, and where its buffer is kept. The name is to stay the same when the
// worker is started again; two processes with one name are two runs.
//
// The token is made if there is none. If that fails the reason goes to
// Config.Diagnostics, and the worker says that its token file cannot be read.
func (m *Master) WorkerEnv(name string) []string {
	path, err := m.auth.issue(name)
	if err != nil {
		path = filepath.Join(m.state.tokens(), record.Token(name))
		m.cfg.Diagnostics.Error("issue token", "worker", name, "error", err)
	}
	env := []string{
		"LOGBRAID_NATS_URL=" + m.broker.url(),
		"LOGBRAID_NATS_URL_FILE=" + m.state.address(),
		"LOGBRAID_NATS_TOKEN_FILE=" + path,
		"LOGBRAID_NATS_INBOX=" + inbox(record.Token(name)),
		"LOGBRAID_APP=" + m.cfg.App,
		"LOGBRAID_WORKER=" + name,
		"LOGBRAID_PREFIX=" + m.cfg.Prefix,
		"LOGBRAID_DELIVERY=" + m.cfg.Delivery,
		"LOGBRAID_STREAM=" + m.cfg.Stream.Name,
		"LOGBRAID_BUFFER_DIR=" + m.state.buffer(),
	}
	env = append(env, noOtherCredentials()...)
	if m.cfg.Buffer > 0 {
		env = append(env, "LOGBRAID_BUFFER="+strconv.Itoa(m.cfg.Buffer))
	}
	if m.cfg.Levels != "" {
		env = append(env, "LOGBRAID_LEVELS="+m.cfg.Levels)
	}
	if m.cfg.BatchCompression != "" {
		env = append(env, "LOGBRAID_BATCH_COMPRESSION="+m.cfg.BatchCompression)
	}
	return env
}

// noOtherCredentials unsets what the master itself, or whoever starts the program, was given for something else:
// it must not compete with the token.
func noOtherCredentials() []string {
	var env []string
	for _, other := range []string{"CREDS", "NKEY", "TOKEN", "USER", "PASSWORD", "PASSWORD_FILE", "CERT", "KEY", "CA"} {
		env = append(env, "LOGBRAID_NATS_"+other+"=")
	}
	return env
}

// Publisher is a publisher in this process: for the master's own records, or for
// what it reads of a worker that does not publish itself. The same name gives the
// same publisher; Close closes it.
func (m *Master) Publisher(name string) (*publisher.Publisher, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return nil, fmt.Errorf("make publisher: %w", ErrClosed)
	}
	if p := m.publishers[name]; p != nil {
		return p, nil
	}
	p, err := m.newPublisher(name, m.cfg.Buffer)
	if err != nil {
		return nil, err
	}
	m.publishers[name] = p
	return p, nil
}

// openPublisher is what Publisher gave for the name, or nil.
func (m *Master) openPublisher(name string) *publisher.Publisher {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.publishers[name]
}

func (m *Master) newPublisher(name string, buffer int) (*publisher.Publisher, error) {
	cfg := m.cfg.publisher(name, m.inProcess(m.cfg.App+"/"+name))
	cfg.Buffer = buffer
	cfg.BufferDir = m.state.buffer() // a master that is killed leaves it to its successor
	p, err := publisher.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("make publisher %q: %w", name, err)
	}
	return p, nil
}

// Stats are the numbers of a master.
type Stats struct {
	URL string
	// Collector's numbers, as of its last commit.
	Collector collector.Stats
	// Earlier are the runs that began before this master, and how many records of
	// each were in the log by then. It must not be changed.
	Earlier map[string]uint64
	// Orphans are the buffers of dead workers.
	Orphans OrphanStats
}

// Stats are of one moment each.
func (m *Master) Stats() Stats {
	return Stats{URL: m.URL(), Collector: m.collector.Stats(), Earlier: m.earlier, Orphans: m.orphans.stats()}
}
