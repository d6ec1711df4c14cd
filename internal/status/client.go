package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrNotRunning comes when nobody answers on a log directory's socket.
var ErrNotRunning = errors.New("no collector is running")

// A Target is a collector to ask: that of a log directory on this machine, or
// the one at an HTTP address.
type Target struct {
	Dir     string // used when Address is empty
	Address string // host:port
}

// Stats asks for the numbers.
func (t Target) Stats(ctx context.Context) (Report, error) {
	var r Report
	body, err := t.get(ctx, "/stats")
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("read stats of %s: %w", t, err)
	}
	return r, nil
}

// Health returns nil when the collector says that it is well, and otherwise what
// it says.
func (t Target) Health(ctx context.Context) error {
	_, err := t.get(ctx, "/healthz")
	return err
}

func (t Target) String() string {
	if t.Address != "" {
		return t.Address
	}
	return t.Dir
}

func (t Target) get(ctx context.Context, path string) ([]byte, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	host := t.Address
	if host == "" {
		host = "collector" // any: the socket is dialled whatever the name
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, t.Dir) }
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", t, err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("%w on %s", ErrNotRunning, t)
		}
		return nil, fmt.Errorf("ask %s: %w", t, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", t, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(strings.TrimSpace(string(body)))
	}
	return body, nil
}

func dial(ctx context.Context, dir string) (net.Conn, error) {
	short, done, err := shorten(stateDir(dir))
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	return d.DialContext(ctx, "unix", filepath.Join(short, socketName))
}
