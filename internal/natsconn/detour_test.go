package natsconn

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// received is a connection on which p arrives.
type received struct {
	net.Conn
	io.Reader
}

func (r received) Read(p []byte) (int, error) { return r.Reader.Read(p) }

// restore puts the payloads back into a stream that has tokens in their place.
func restore(t *testing.T, d *Detour, stream []byte) []byte {
	t.Helper()
	var whole []byte
	for len(stream) > 0 {
		o, ok := parseOperation(stream)
		if !ok || o.line == 0 || o.line+o.behind > len(stream) {
			return append(whole, stream...)
		}
		op := stream[:o.line+o.behind]
		stream = stream[len(op):]
		if o.behind == 0 {
			whole = append(whole, op...)
			continue
		}
		at := o.line + o.headers
		payload, pooled, ok := d.Payload(op[at : len(op)-2])
		if !ok {
			t.Fatal("a payload is gone")
		}
		whole = append(whole, op[:o.length]...)
		whole = strconv.AppendInt(whole, int64(o.headers+len(payload)), 10)
		whole = append(whole, "\r\n"...)
		whole = append(whole, op[o.line:at]...)
		whole = append(append(whole, payload...), op[len(op)-2:]...)
		if pooled {
			clear(payload) // nobody reads it any more
			d.Recycle(payload)
		}
	}
	return whole
}

func randomStream(r *rand.Rand) []byte {
	var s []byte
	text := func(n int) string { return strings.Repeat(string(rune('a'+r.IntN(26))), n) }
	size := func() int {
		switch r.IntN(4) {
		case 0:
			return r.IntN(64)
		case 1:
			return minDetour - 2 + r.IntN(4)
		case 2:
			return r.IntN(4 * minDetour)
		}
		return r.IntN(2000)
	}
	for range 1 + r.IntN(20) {
		switch r.IntN(8) {
		case 0:
			s = append(s, "PING\r\n"...)
		case 1:
			s = fmt.Appendf(s, "INFO {%q:%q}\r\n", "x", text(r.IntN(2000)))
		case 2:
			s = append(s, "-ERR 'Permissions Violation for Publish to \"x\"'\r\n"...)
		case 3:
			s = append(s, "+OK\r\n"...)
		case 4, 5:
			p := text(size())
			s = fmt.Appendf(s, "MSG logs.%s 1 %d\r\n%s\r\n", text(1+r.IntN(9)), len(p), p)
		case 6:
			p := text(size())
			s = fmt.Appendf(s, "MSG _INBOX.%s 1 %d\r\n%s\r\n", text(22), len(p), p)
		default:
			h, p := "NATS/1.0\r\nLogbraid: "+text(r.IntN(300))+"\r\n\r\n", text(size())
			s = fmt.Appendf(s, "HMSG logs.x 1 _INBOX.%s %d %d\r\n%s%s\r\n", text(22), len(h), len(h)+len(p), h, p)
		}
	}
	return s
}

// Whatever arrives, in whatever pieces, and in whatever pieces it is read: with the payloads put back, nothing has changed.
func TestDetourChangesNothing(t *testing.T) {
	d := NewDetour("logs.")
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		stream := randomStream(r)
		longest := 0
		var from io.Reader = bytes.NewReader(stream)
		switch r.IntN(4) {
		case 0:
			from = iotest.HalfReader(from)
		case 1:
			from = iotest.DataErrReader(from)
		case 2:
			from = &pieces{r, from}
		}
		c := d.over(received{Reader: from})
		var got []byte
		for p := make([]byte, 1+r.IntN(40_000)); ; {
			n, err := c.Read(p)
			got = append(got, p[:n]...)
			longest = max(longest, n)
			if err == io.EOF {
				break
			}
			if err != nil || n == 0 {
				t.Fatalf("seed %d: %d, %v", seed, n, err)
			}
		}
		for rest := got; len(rest) > 0; {
			o, ok := parseOperation(rest)
			if !ok || d.takes(o) {
				t.Fatalf("seed %d: a payload of %d bytes has not gone around", seed, o.payload())
			}
			rest = rest[o.line+o.behind:]
		}
		if got := restore(t, d, got); !bytes.Equal(got, stream) {
			t.Fatalf("seed %d: %d bytes, %d of them after what went around, not the same", seed, len(stream), len(got))
		}
	}
}

// pieces delivers a few bytes at a time.
type pieces struct {
	r    *rand.Rand
	from io.Reader
}

func (s *pieces) Read(p []byte) (int, error) {
	return s.from.Read(p[:min(len(p), 1+s.r.IntN(3000))])
}

// FuzzDetour: what no server sends passes as it is, or ends in the connection's own error.
func FuzzDetour(f *testing.F) {
	f.Add([]byte("MSG logs.a 1 40000\r\n"), 3)
	f.Add([]byte("MSG a 1 40000\r\n"), 3)
	f.Add([]byte("HMSG logs.a 1 5 3\r\n"+strings.Repeat("x", 60_000)), 9)
	f.Add([]byte("\x16\x03\x01\x02\x00\x01\x00"), 1)
	f.Add([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x82\x7e"), 100)
	f.Add(randomStream(rand.New(rand.NewPCG(1, 1)))[:5000], 5000)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		d := NewDetour("logs.")
		c := d.over(received{Reader: bytes.NewReader(stream)})
		var got []byte
		p := make([]byte, 1+uint(size)%50_000)
		for {
			n, err := c.Read(p)
			got = append(got, p[:n]...)
			if err != nil {
				break
			}
		}
		// What was cut off in the middle of a message with a long payload never comes.
		if whole := restore(t, d, got); !bytes.HasPrefix(stream, whole) {
			t.Fatalf("%d bytes became %d, another stream", len(stream), len(got))
		} else if rest := stream[len(whole):]; len(rest) > 0 {
			if o, ok := parseOperation(rest); !ok || o.line > 0 && !d.takes(o) {
				t.Fatalf("%d bytes are missing: %q", len(rest), rest[:min(len(rest), 100)])
			}
		}
	})
}

func TestDetourPayload(t *testing.T) {
	d := NewDetour("logs.")
	tokens := make([][]byte, 5)
	for i := range tokens {
		payload := d.buffer(minDetour)
		payload[0] = byte(i)
		tokens[i] = make([]byte, tokenSize)
		d.put(payload, tokens[i])
	}
	take := func(data []byte) int {
		p, pooled, ok := d.Payload(data)
		if ok != pooled || ok != (p != nil) {
			t.Fatalf("%q stands for %d bytes, %v, %v", data, len(p), pooled, ok)
		}
		if !ok {
			return -1
		}
		return int(p[0])
	}
	if got := take(tokens[1]); got != 1 {
		t.Errorf("token 1 stands for %d", got)
	}
	if got := take(tokens[0]); got != -1 {
		t.Errorf("a token before one that was taken stands for %d", got)
	}
	if got := take(tokens[1]); got != -1 {
		t.Errorf("a token stands for %d, twice", got)
	}
	forged := bytes.Clone(tokens[2])
	forged[0]++
	ahead := bytes.Clone(tokens[4])
	ahead[15]++
	if got := take(ahead); got != -1 {
		t.Errorf("a token that was not given yet stands for %d", got)
	}
	for _, data := range [][]byte{forged, tokens[2][:15], nil, []byte("sixteen bytes...")} {
		if p, pooled, ok := d.Payload(data); pooled || !ok || !bytes.Equal(p, data) {
			t.Errorf("%q stands for %d bytes", data, len(p))
		}
	}
	if got := take(tokens[4]); got != 4 {
		t.Errorf("token 4 stands for %d", got)
	}
	if n := len(d.waiting); n != 0 {
		t.Errorf("%d payloads are kept", n)
	}
	if p, pooled, ok := (*Detour)(nil).Payload(tokens[3]); pooled || !ok || !bytes.Equal(p, tokens[3]) {
		t.Error("without a detour there is something else")
	}
}

// Through a server and nats.go, in this process, over TCP and over TLS, and after the connection was lost.
func TestDetourEndToEnd(t *testing.T) {
	ca := newAuthority(t)
	for _, way := range []struct {
		name   string
		server func(*server.Options)
		config func(*server.Server) Config
		around bool // payloads are led around
	}{
		{"process", nil, func(s *server.Server) Config { return Config{InProcess: s} }, true},
		{"tcp", nil, func(s *server.Server) Config { return Config{URL: s.ClientURL()} }, true},
		{"tls", ca.serverTLS(t, false), func(s *server.Server) Config { return Config{URL: s.ClientURL(), CA: ca.file} }, false},
	} {
		t.Run(way.name, func(t *testing.T) {
			s := startServer(t, way.server)
			cfg := way.config(s)
			sender, _ := connect(t, cfg)
			cfg.Detour = NewDetour("logs.")
			nc, ev := connect(t, cfg)
			type message struct {
				header  string
				payload []byte
				pooled  bool
			}
			got := make(chan message, 1000)
			if _, err := nc.Subscribe("logs.>", func(m *nats.Msg) {
				payload, pooled, _ := cfg.Detour.Payload(m.Data)
				got <- message{m.Header.Get("n"), bytes.Clone(payload), pooled}
				if pooled {
					clear(payload)
					cfg.Detour.Recycle(payload)
				}
			}); err != nil {
				t.Fatal(err)
			}
			send := func(from int) {
				t.Helper()
				if err := nc.FlushTimeout(2 * time.Minute); err != nil {
					t.Fatal(err)
				}
				sizes := []int{0, 1, tokenSize, 100, minDetour - 1, minDetour, minDetour + 1, 200_000, 1_000_000, 3, 500_000}
				for i, size := range sizes {
					m := &nats.Msg{Subject: "logs.etl.w1", Data: bytes.Repeat([]byte{byte(from + i)}, size)}
					if i%3 > 0 {
						m.Header = nats.Header{"n": {fmt.Sprint(from + i)}}
					}
					if err := sender.PublishMsg(m); err != nil {
						t.Fatal(err)
					}
				}
				for i, size := range sizes {
					m := wait(t, "message", got)
					if want := bytes.Repeat([]byte{byte(from + i)}, size); !bytes.Equal(m.payload, want) {
						t.Fatalf("message %d has %d bytes, not the %d that were sent", from+i, len(m.payload), size)
					}
					if want := fmt.Sprint(from + i); i%3 > 0 && m.header != want {
						t.Fatalf("message %d has the header %q", from+i, m.header)
					}
					if want := way.around && size >= minDetour; m.pooled != want {
						t.Fatalf("message %d, of %d bytes, went around: %v", from+i, size, m.pooled)
					}
				}
			}
			send(0)
			if err := nc.ForceReconnect(); err != nil {
				t.Fatal(err)
			}
			wait(t, "reconnect", ev.reconnected)
			send(100)
		})
	}
}
