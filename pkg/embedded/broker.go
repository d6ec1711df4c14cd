package embedded

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// host is the only address the broker ever listens on.
	host = "127.0.0.1"

	// maxPayload bounds one message. A batch is at most 1 MiB by default, a single
	// record may be as long as a batch; 8 MiB is where nats-server itself begins
	// to warn, and leaves room for users who raise both.
	maxPayload = server.MAX_PAYLOAD_MAX_SIZE

	// maxPending is what the broker holds for one slow reader before it cuts it
	// off. The collector is that reader, and every publisher may have one batch
	// in flight (I2): 1,000 publishers with 256 KiB each are 250 MiB (they send larger
	// ones, and a second one, only while each is acknowledged at once), so the
	// server's own 64 MiB would disconnect the collector exactly when it is busy.
	maxPending = 512 << 20

	// readyTimeout is how long the server may take to listen. It needs about
	// 10 ms; the rest is for a machine that is swapping.
	readyTimeout = 10 * time.Second

	// writeDeadline is how long the broker waits for a reader that takes nothing,
	// an analyst that was stopped, say, before it cuts it off. It waits in the turn of the worker
	// whose message it is; nats-server's own 10 s are for readers far away.
	writeDeadline = 2 * time.Second
)

// broker is the nats-server inside the master: loopback only, no monitoring, no
// websockets, no cluster, no signal handlers, and no output of its own.
//
// In stream delivery the server may have to be started again under all who are
// connected to it (supervise.go): they reconnect, those of this process as well.
type broker struct {
	port  int
	auth  server.Authentication
	store *store // nil in direct delivery

	mu   sync.Mutex
	srv  *server.Server
	down bool // between stop and start
}

// startBroker listens on the wanted port, or on a free one when want is 0.
// If the wanted port is taken and fallback is true, a free one is used instead.
func startBroker(want int, fallback bool, auth server.Authentication, store *store) (*broker, error) {
	srv, port, err := listen(want, auth, store)
	if err != nil && want != 0 && fallback && taken(want) {
		srv, port, err = listen(0, auth, store)
	}
	if err != nil {
		return nil, err
	}
	return &broker{port: port, auth: auth, store: store, srv: srv}, nil
}

// server is the one that runs, or ran last.
func (b *broker) server() *server.Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.srv
}

// InProcessConn implements nats.InProcessConnProvider: a connection of this process
// finds the server that runs by then.
func (b *broker) InProcessConn() (net.Conn, error) {
	b.mu.Lock()
	srv, down := b.srv, b.down
	b.mu.Unlock()
	if down {
		return nil, net.ErrClosed
	}
	return srv.InProcessConn()
}

// restart starts the server again, on the same port and store. While that fails
// there is none.
func (b *broker) restart() error {
	b.mu.Lock()
	b.down = true
	srv := b.srv
	b.mu.Unlock()
	srv.Shutdown()
	srv.WaitForShutdown()
	srv, _, err := listen(b.port, b.auth, b.store)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.srv, b.down = srv, false
	b.mu.Unlock()
	return nil
}

// taken reports whether somebody else holds the port. It is asked only after
// the server has failed to listen: the server gives its reason as text.
func taken(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	if err != nil {
		return true
	}
	_ = l.Close()
	return false
}

func listen(port int, auth server.Authentication, store *store) (*server.Server, int, error) {
	if port == 0 {
		port = server.RANDOM_PORT
	}
	opts := &server.Options{
		ServerName:    "logbraid",
		Host:          host,
		Port:          port,
		NoSigs:        true,
		MaxPayload:    maxPayload,
		MaxPending:    maxPending,
		WriteDeadline: writeDeadline,
		// A reader that is behind by three quarters of maxPending misses messages, by which an
		// analyst notices its gaps and a publisher that it must send again. The other choice is to
		// hold up whoever publishes, for every reader's sake.
		NoFastProducerStall:        true,
		CustomClientAuthentication: auth,
	}
	store.options(opts)
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, 0, fmt.Errorf("create nats server: %w", err)
	}
	// Start returns nothing and calls Fatalf when it fails; the stock logger
	// would end the process there. Ours keeps the reason.
	reasons := &serverLog{}
	srv.SetLoggerV2(reasons, false, false, false)
	srv.Start()
	if why := reasons.fatal(); why != "" {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil, 0, fmt.Errorf("start nats server: %s", why)
	}
	if !srv.ReadyForConnections(readyTimeout) {
		srv.Shutdown()
		srv.WaitForShutdown()
		if why := reasons.fatal(); why != "" {
			return nil, 0, fmt.Errorf("start nats server: %s", why)
		}
		return nil, 0, fmt.Errorf("start nats server: not ready after %s", readyTimeout)
	}
	addr, ok := srv.Addr().(*net.TCPAddr)
	if !ok {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil, 0, errors.New("start nats server: it listens on no TCP address")
	}
	return srv, addr.Port, nil
}

func (b *broker) url() string { return fmt.Sprintf("nats://%s:%d", host, b.port) }

// stop ends every connection and returns when the port is free again.
func (b *broker) stop() {
	srv := b.server()
	srv.Shutdown()
	srv.WaitForShutdown()
	b.store.release()
}

// serverLog is the nats-server's logger. It lets nothing out: a library must not
// print, and what the server says of its clients says nothing to our users. It
// keeps the first fatal reason, which is the server's only way to tell it.
type serverLog struct {
	mu    sync.Mutex
	first string
}

func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == "" {
		l.first = strings.TrimSpace(fmt.Sprintf(format, v...))
	}
}

func (l *serverLog) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Warnf(string, ...any)   {}
func (l *serverLog) Errorf(string, ...any)  {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}
