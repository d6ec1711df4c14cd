package embedded

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/logbraid/logbraid/pkg/record"
)

// maxToken bounds what is read of a token file, in bytes.
const maxToken = 4096

// auth is the broker's gate. Who connects through the master's own process may
// do everything. With a worker's token one may publish to that worker's subject and
// listen on that worker's inbox: nothing else. With the readers' token one may
// listen: see readerPermissions.
//
// A token is one line, `<worker>.<secret>`, in the file tokens/<worker>, where
// <worker> is the name as it stands in the subject (record.Token), or reader. The file is
// the only copy: it is read at every connect, so a token that was rotated or
// deleted counts from then on, and check ends the connections that used the old one.
//
// Check is called by the server from many goroutines.
type auth struct {
	dir    string // the tokens
	prefix string
	app    string
	stream string // "" in direct delivery

	mu       sync.Mutex
	sessions map[uint64]session // by the server's client id
	closed   bool               // to workers, for a while
}

// session is a connection that was let in, and with what.
type session struct {
	worker string // as in the subject, or reader
	sum    [sha256.Size]byte
}

func newAuth(dir, prefix, app string) *auth {
	return &auth{dir: dir, prefix: prefix, app: app, sessions: map[uint64]session{}}
}

// Check implements server.Authentication.
func (a *auth) Check(c server.ClientAuthentication) bool {
	// An in-process connection is a net.Pipe; nothing from outside can be one.
	if addr := c.RemoteAddress(); addr != nil && addr.Network() == "pipe" {
		c.RegisterUser(&server.User{Username: "master"})
		return true
	}
	a.mu.Lock()
	closed := a.closed
	a.mu.Unlock()
	if closed {
		return false
	}
	given := c.GetOpts().Token
	worker, ok := tokenWorker(given)
	if !ok {
		return false
	}
	want, err := a.read(worker)
	if err != nil {
		return false
	}
	// Hashes, so that the comparison takes the same time whatever the lengths.
	sum, wantSum := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(sum[:], wantSum[:]) != 1 {
		return false
	}
	if worker == reader {
		c.RegisterUser(&server.User{Username: "reader", Permissions: readerPermissions(a.prefix, a.stream)})
	} else {
		name, err := record.Untoken(worker)
		if err != nil {
			return false
		}
		c.RegisterUser(&server.User{
			Username: "worker " + worker,
			Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: []string{record.Subject(a.prefix, a.app, name)}},
				Subscribe: &server.SubjectPermission{Allow: []string{inbox(worker) + ".>"}},
			},
		})
	}
	a.mu.Lock()
	a.sessions[c.GetID()] = session{worker: worker, sum: sum}
	a.mu.Unlock()
	return true
}

// inbox is the prefix of the subjects on which a worker awaits acknowledgements, and a reader what it asked for.
func inbox(worker string) string { return "_INBOX_" + worker }

// tokenWorker gives the worker that a token claims to be of, in subject form, or reader.
func tokenWorker(token string) (string, bool) {
	worker, secret, ok := strings.Cut(token, ".")
	if !ok || secret == "" {
		return "", false
	}
	if worker == reader {
		return worker, true
	}
	name, err := record.Untoken(worker)
	if err != nil || record.Token(name) != worker {
		return "", false
	}
	return worker, true
}

// read gives the worker's token as it stands on the disk now. A worker's name
// cannot lead out of the directory.
func (a *auth) read(worker string) (string, error) {
	root, err := os.OpenRoot(a.dir)
	if err != nil {
		return "", fmt.Errorf("open token directory: %w", err)
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(worker)
	if err != nil {
		return "", fmt.Errorf("open token: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxToken))
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	return string(bytes.TrimSpace(b)), nil
}

// issue returns the path of the worker's token file, which it makes if there is
// none. An existing one is kept: workers of a master that was killed still use it.
func (a *auth) issue(name string) (string, error) { return a.issueAs(record.Token(name)) }

// issueAs is issue for a worker as it stands in the subject, or reader.
func (a *auth) issueAs(worker string) (string, error) {
	path := filepath.Join(a.dir, worker)
	token, err := a.read(worker)
	switch {
	case err == nil:
		if of, ok := tokenWorker(token); ok && of == worker {
			return path, nil
		}
		return "", fmt.Errorf("read token of worker %q: %s does not hold a token of this worker; delete it and it is made again", worker, path)
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read token of worker %q: %w", worker, err)
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails since Go 1.24
	token = worker + "." + base64.RawURLEncoding.EncodeToString(secret[:])
	if err := writeFile(path, token+"\n"); err != nil {
		return "", fmt.Errorf("write token of worker %q: %w", worker, err)
	}
	return path, nil
}

// shut keeps workers out, those that are in as well, or lets them in again.
func (a *auth) shut(srv *server.Server, closed bool) {
	a.mu.Lock()
	a.closed = closed
	open := make([]uint64, 0, len(a.sessions))
	if closed {
		for id := range a.sessions {
			open = append(open, id)
		}
	}
	a.mu.Unlock()
	for _, id := range open {
		_ = srv.DisconnectClientByID(id) // an error means that it is gone already
	}
}

// expire ends the connections whose token is no longer the one in the file.
func (a *auth) expire(srv *server.Server) {
	a.mu.Lock()
	open := make(map[uint64]session, len(a.sessions))
	for id, s := range a.sessions {
		if srv.GetClient(id) == nil {
			delete(a.sessions, id)
			continue
		}
		open[id] = s
	}
	a.mu.Unlock()

	for id, s := range open {
		token, err := a.read(s.worker)
		// Only a file that is gone takes the right away: one that cannot be read
		// for a moment (too many descriptors) does not.
		gone := errors.Is(err, fs.ErrNotExist)
		if gone || err == nil && sha256.Sum256([]byte(token)) != s.sum {
			_ = srv.DisconnectClientByID(id) // an error means that it is gone already
		}
	}
}
