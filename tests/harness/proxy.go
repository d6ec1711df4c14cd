//go:build unix

package harness

import (
	"net"
	"sync"
	"time"
)

// A Mode is what a Proxy does with the bytes of one direction.
type Mode int

const (
	Pass    Mode = iota // hand on
	Stall               // leave in the sender's socket: a peer that has stopped reading
	Hold                // take and keep, to be delivered when the mode changes to Pass: bytes that are late
	Drop                // take and throw away: bytes that are lost while the connection seems to live
	Trickle             // one byte a second
)

// A Proxy is a TCP proxy on loopback that breaks connections in chosen ways. Its methods may be used from several goroutines.
// Up is from client to server, Down from server to client.
type Proxy struct {
	listener net.Listener
	target   string

	mu       sync.Mutex
	changed  *sync.Cond // any of what follows
	up, down Mode       // for new and present connections
	cutAfter int        // bytes up until the next reset; negative: none
	refuse   bool
	closed   bool
	links    map[*link]bool
	accepted int
}

// A link is one client's connection and its counterpart to the server.
type link struct {
	proxy    *Proxy
	up, down *lane
	gone     bool
}

// A lane is one direction of a link: a goroutine reads into the queue, another writes out of it. Guarded by the proxy's lock.
type lane struct {
	from, to net.Conn
	mode     Mode
	queue    []byte
	ended    bool // from has no more
	fixed    bool // detached: Set does not reach it
}

// StartProxy listens on a free port and connects to target, host:port, for each client.
func StartProxy(t T, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start proxy: %v", err)
	}
	p := &Proxy{listener: l, target: target, links: map[*link]bool{}, cutAfter: -1}
	p.changed = sync.NewCond(&p.mu)
	go p.accept()
	t.Cleanup(p.Close)
	return p
}

// Addr is where clients connect to, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL is Addr as a NATS URL.
func (p *Proxy) URL() string { return "nats://" + p.Addr() }

// Set changes what is done with both directions of present and future connections.
func (p *Proxy) Set(up, down Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up, p.down = up, down
	for l := range p.links {
		l.up.set(up)
		l.down.set(down)
	}
	p.changed.Broadcast()
}

// Refuse makes the proxy close new connections at once, or stop doing so. Present ones live on.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// Cut resets all present connections on both sides.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cut()
	}
	p.changed.Broadcast()
}

// CutAfter resets the connections after n more bytes have gone up, in the middle of whatever was being sent.
func (p *Proxy) CutAfter(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAfter = n
}

// Held is how many bytes from clients wait in the proxy.
func (p *Proxy) Held() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for l := range p.links {
		n += len(l.up.queue)
	}
	return n
}

// Detach resets the clients' side of the present connections and keeps their servers' side open, with what Hold has taken. The
// clients connect anew; the function that is returned hands the old bytes to the server, late.
func (p *Proxy) Detach() (deliver func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var old []*link
	for l := range p.links {
		l.up.mode, l.up.fixed = Hold, true
		l.down.mode, l.down.fixed, l.down.queue = Drop, true, nil
		reset(l.up.from)
		old = append(old, l)
	}
	p.changed.Broadcast()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, l := range old {
			l.up.mode = Pass
		}
		p.changed.Broadcast()
	}
}

// Accepted is how many connections clients have opened so far.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Open is how many connections are open now.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Close resets everything and listens no more.
func (p *Proxy) Close() {
	p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for l := range p.links {
		l.cut()
	}
	p.changed.Broadcast()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse := p.refuse || p.closed
		p.accepted++
		p.mu.Unlock()
		if refuse {
			reset(client)
			continue
		}
		go p.connect(client)
	}
}

func (p *Proxy) connect(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		reset(client)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &link{proxy: p, up: &lane{from: client, to: server, mode: p.up}, down: &lane{from: server, to: client, mode: p.down}}
	p.links[l] = true
	if p.closed {
		l.cut()
	}
	for _, d := range []*lane{l.up, l.down} {
		go l.read(d)
		go l.write(d)
	}
}

func (d *lane) set(m Mode) {
	if d.fixed {
		return
	}
	d.mode = m
	if m == Drop {
		d.queue = nil
	}
}

// cut is called with the proxy's lock held.
func (l *link) cut() {
	l.gone = true
	reset(l.up.from)
	reset(l.up.to)
	delete(l.proxy.links, l)
	l.proxy.changed.Broadcast()
}

// queueLimit is how far a lane reads ahead of a slow receiver. Hold has no limit: it is there to take what comes.
const queueLimit = 1 << 20

func (l *link) read(d *lane) {
	p := l.proxy
	buf := make([]byte, 32<<10)
	for {
		p.mu.Lock()
		for !l.gone && (d.mode == Stall || d.mode != Hold && len(d.queue) > queueLimit) {
			p.changed.Wait()
		}
		p.mu.Unlock()
		n, err := d.from.Read(buf)
		p.mu.Lock()
		if d.mode != Drop {
			d.queue = append(d.queue, buf[:n]...)
		}
		d.ended = err != nil
		p.changed.Broadcast()
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (l *link) write(d *lane) {
	p := l.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		flows := d.mode == Pass || d.mode == Trickle
		switch {
		case l.gone:
			return
		case len(d.queue) > 0 && flows:
			if !l.some(d) {
				return
			}
		case d.ended && len(d.queue) == 0 && !(d == l.down && d.fixed):
			l.gone = true
			l.up.from.Close()
			l.up.to.Close()
			delete(p.links, l)
			p.changed.Broadcast()
			return
		default:
			p.changed.Wait()
		}
	}
}

// some writes a part of the queue, with the lock given up meanwhile. It is false when the connection is over.
func (l *link) some(d *lane) bool {
	p := l.proxy
	n := len(d.queue)
	if d.mode == Trickle {
		n = 1
	}
	cutHere := d == l.up && p.cutAfter >= 0 && n > p.cutAfter
	if cutHere {
		n, p.cutAfter = p.cutAfter, -1
	} else if d == l.up && p.cutAfter >= 0 {
		p.cutAfter -= n
	}
	b := d.queue[:n:n]
	d.queue = d.queue[n:]
	pace := d.mode == Trickle
	p.changed.Broadcast()
	p.mu.Unlock()
	_, err := d.to.Write(b)
	if pace {
		time.Sleep(time.Second)
	}
	p.mu.Lock()
	switch {
	case l.gone:
		return false
	case cutHere:
		// The server is to see the beginning of the frame, so its side ends in good order and only the client's is reset.
		d.to.Close()
		l.cut()
		return false
	case err != nil:
		l.cut()
		return false
	}
	return true
}

// reset closes a connection with RST instead of FIN.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}
