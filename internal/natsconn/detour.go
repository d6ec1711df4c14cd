package natsconn

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"io"
	"math"
	"math/bits"
	"net"
	"strconv"
	"sync"
)

// A Detour leads long payloads around nats.go, for a connection that receives many: they are read from the network
// right into buffers that are used again. nats.go itself would gather each from pieces of 32 KiB in new memory, which has to be
// made, cleared and collected. In place of such a payload nats.go delivers a token, which [Detour.Payload] takes back.
//
// It is for connections with one subscription at a time that gets such messages, since it relies on their order; and it changes nothing
// in what is sent. Where it does not understand what is received, because that is encrypted, say, it lets everything pass as it is.
//
// The methods may be called from any goroutine; a nil Detour takes no payloads.
type Detour struct {
	prefix []byte  // of the subjects of such messages; what has another passes
	key    [8]byte // begins each token; a secret, so that no publisher can make one

	mu      sync.Mutex
	waiting [][]byte // the payloads of tokens that were not taken back
	first   uint64   // the number of the first of them

	pools [maxClass + 1]sync.Pool // of *[]byte, by the size's power of two
}

const (
	tokenSize = 8 + 8 // key and number

	minClass  = 15
	minDetour = 1 << minClass // the shortest payload that is worth it: nats.go reads so much at once
	maxClass  = 26
	maxDetour = 1<<maxClass - len(lineEnd) // the longest: a server takes more only where it is set to
	maxLength = 1 << 30                    // of what follows a line; no server is that large

	lineEnd = "\r\n"
)

// NewDetour returns a Detour for a [Config]. Answers to requests are to pass, so it takes only payloads of messages whose subject begins
// with prefix.
func NewDetour(prefix string) *Detour {
	d := &Detour{prefix: []byte(prefix)}
	_, _ = rand.Read(d.key[:]) // never fails
	return d
}

// Payload returns the payload of a message for which nats.go has delivered data. pooled reports whether it is for
// [Detour.Recycle]. It is not ok when the payload is gone because messages are taken in another order than they came in, or twice.
func (d *Detour) Payload(data []byte) (payload []byte, pooled, ok bool) {
	if d == nil || len(data) != tokenSize || !bytes.Equal(data[:8], d.key[:]) {
		return data, false, true
	}
	number := binary.BigEndian.Uint64(data[8:])
	d.mu.Lock()
	defer d.mu.Unlock()
	i := number - d.first
	if i >= uint64(len(d.waiting)) {
		return nil, false, false
	}
	payload = d.waiting[i]
	// Messages come in order, so those before were dropped.
	clear(d.waiting[:i+1])
	d.waiting, d.first = d.waiting[i+1:], number+1
	return payload, true, true
}

// Recycle takes back a payload that Payload has returned as pooled, and that nobody reads any more.
func (d *Detour) Recycle(payload []byte) {
	payload = payload[:cap(payload)]
	d.pools[class(len(payload))].Put(&payload)
}

// takes reports whether an operation is a message with a long payload.
func (d *Detour) takes(o operation) bool {
	n := o.payload()
	return n >= minDetour && n <= maxDetour && bytes.HasPrefix(o.subject, d.prefix)
}

// put keeps a payload and writes its token.
func (d *Detour) put(payload, token []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	copy(token, d.key[:])
	binary.BigEndian.PutUint64(token[len(d.key):], d.first+uint64(len(d.waiting)))
	d.waiting = append(d.waiting, payload)
}

// buffer has room for n bytes.
func (d *Detour) buffer(n int) []byte {
	c := class(n)
	if p, ok := d.pools[c].Get().(*[]byte); ok {
		return (*p)[:n]
	}
	return make([]byte, n, 1<<c)
}

// class is the power of two that n bytes fit into.
func class(n int) int { return max(minClass, bits.Len(uint(n-1))) }

// over returns the connection with its long payloads led around.
func (d *Detour) over(c net.Conn) net.Conn {
	if d == nil {
		return c
	}
	return &detourConn{Conn: c, detour: d, buf: make([]byte, minDetour)}
}

// A detourConn knows as much of the protocol (https://docs.nats.io/reference/reference-protocols/nats-protocol) as finding payloads
// takes: what a server sends begins with a line, and only those of MSG and HMSG say that something follows.
type detourConn struct {
	net.Conn
	detour *Detour

	buf        []byte
	begin, end int    // what of buf was received and not returned
	pass       uint64 // bytes to return as they come
	made       []byte // to be returned before: a message's beginning, and its token
	scratch    []byte // of made
}

// Read implements net.Conn, but for one caller at a time. A message with a long payload is returned when it has arrived as a whole.
func (c *detourConn) Read(p []byte) (n int, err error) {
	for len(p) > 0 {
		here := p[:min(uint64(len(p)), c.pass)]
		switch {
		case len(c.made) > 0:
			n = copy(p, c.made)
			c.made = c.made[n:]
			return n, nil
		case len(here) > 0 && c.begin < c.end:
			n = copy(here, c.buf[c.begin:c.end])
			c.begin += n
			c.pass -= uint64(n)
			return n, nil
		case len(here) > 0:
			n, err = c.Conn.Read(here)
			c.pass -= uint64(n)
			return n, err
		}
		if err = c.next(); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// next looks at what has arrived, at least at one operation, and sets pass or made.
func (c *detourConn) next() error {
	for {
		o, ok := parseOperation(c.buf[min(c.begin+int(c.pass), c.end):c.end])
		switch {
		case !ok || o.line == 0 && c.pass == 0 && c.end-c.begin == len(c.buf):
			c.pass = math.MaxUint64 // nothing that we know: for ever
			return nil
		case o.line > 0 && !c.detour.takes(o):
			c.pass += uint64(o.line) + uint64(o.behind)
		case c.pass > 0:
			return nil // first what stands before it
		case o.line > 0:
			return c.around(o)
		default:
			if err := c.receive(); err != nil {
				return err
			}
		}
	}
}

// receive adds what arrives next.
func (c *detourConn) receive() error {
	c.end = copy(c.buf, c.buf[c.begin:c.end])
	c.begin = 0
	n, err := c.Conn.Read(c.buf[c.end:])
	c.end += n
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// around takes a message that has a long payload.
func (c *detourConn) around(o operation) error {
	line := c.buf[c.begin : c.begin+o.line]
	made := append(c.scratch[:0], line[:o.length]...)
	made = strconv.AppendInt(made, int64(o.headers+tokenSize), 10)
	made = append(made, lineEnd...)
	c.begin += o.line
	headers := len(made)
	made = append(made, make([]byte, o.headers)...)
	if err := c.fill(made[headers:]); err != nil {
		return err
	}
	payload := c.detour.buffer(o.payload() + len(lineEnd))
	if err := c.fill(payload); err != nil {
		return err
	}
	payload, end := payload[:o.payload()], payload[o.payload():]
	made = append(made, make([]byte, tokenSize)...)
	made = append(made, end...)
	c.detour.put(payload, made[len(made)-len(end)-tokenSize:])
	if c.made = made; cap(made) <= len(c.buf) {
		c.scratch = made
	}
	return nil
}

// fill reads all of p, what has arrived already first.
func (c *detourConn) fill(p []byte) error {
	n := copy(p, c.buf[c.begin:c.end])
	c.begin += n
	_, err := io.ReadFull(c.Conn, p[n:])
	return err
}

// An operation is what a server sends at a time.
type operation struct {
	line    int    // bytes of the line; 0: it has not arrived as a whole
	subject []byte // of a message
	length  int    // where in the line the length stands of what follows
	headers int    // bytes of what follows that are headers
	behind  int    // bytes of all that follows, the line's end included
}

// payload is the length of what follows the headers.
func (o operation) payload() int { return o.behind - len(lineEnd) - o.headers }

// parseOperation looks at the beginning of what has arrived. It is not ok when a server would not send that.
func parseOperation(p []byte) (o operation, ok bool) {
	if len(p) == 0 {
		return o, true
	}
	if bytes.IndexByte([]byte("IP+-MH"), p[0]) < 0 {
		return o, false
	}
	o.line = bytes.IndexByte(p, '\n') + 1
	if o.line == 0 || p[0] != 'M' && p[0] != 'H' {
		return o, true
	}
	line, ok := bytes.CutSuffix(p[:o.line], []byte(lineEnd))
	verb, rest, _ := bytes.Cut(line, []byte(" "))
	withHeaders := string(verb) == "HMSG"
	if !ok || !withHeaders && string(verb) != "MSG" {
		return o, false
	}
	o.subject, _, _ = bytes.Cut(rest, []byte(" "))
	o.length = bytes.LastIndexByte(line, ' ') + 1
	all, ok := parseLength(line[o.length:])
	if ok && withHeaders {
		rest := line[:o.length-1]
		o.headers, ok = parseLength(rest[bytes.LastIndexByte(rest, ' ')+1:])
	}
	o.behind = all + len(lineEnd)
	return o, ok && o.headers <= all
}

// parseLength reads a length as a server writes it.
func parseLength(p []byte) (int, bool) {
	n, err := strconv.ParseUint(string(p), 10, 31)
	return int(n), err == nil && n <= maxLength && (p[0] != '0' || len(p) == 1)
}
