package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Mux answers GET /stats with the report and GET /healthz with 200 or 503.
// ready is false as long as there is nothing to report about.
func Mux(report func() (r Report, ready bool)) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		r, ready := report()
		if !ready {
			http.Error(w, errStarting.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(r) // fails only when nobody listens any more
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		r, ready := report()
		err := errStarting
		if ready {
			err = r.Health()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

var errStarting = errors.New("the collector is starting")

// A Server answers on one listener from Serve to Close.
type Server struct {
	http *http.Server
	done chan struct{}
}

// Serve answers on l, which it owns from now on.
func Serve(l net.Listener, h http.Handler) *Server {
	s := &Server{
		http: &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(l) // ends with Close; a listener has no other way to fail that we could mend
	}()
	return s
}

// Close ends the listener and every connection.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return err
}

// socketName is the socket's name in the state directory of a log directory.
const socketName = "collector.sock"

// stateDir is where a log directory's state lives; internal/logfile makes it.
func stateDir(dir string) string { return filepath.Join(dir, ".logbraid") }

// Listen makes the socket of a log directory. Only the holder of the directory's
// lock may call it: a socket that is there already is then a dead collector's,
// and is replaced.
func Listen(dir string) (net.Listener, error) {
	short, done, err := shorten(stateDir(dir))
	if err != nil {
		return nil, fmt.Errorf("listen for status: %w", err)
	}
	path := filepath.Join(short, socketName)
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		done()
		return nil, fmt.Errorf("listen for status: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		done()
		return nil, fmt.Errorf("listen for status: %w", err)
	}
	// The name that it was made under may be gone by then.
	l.SetUnlinkOnClose(false)
	err = os.Chmod(path, 0o600)
	var made os.FileInfo
	if err == nil {
		made, err = os.Lstat(path)
	}
	done()
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("listen for status: %w", err)
	}
	return &socketListener{l, filepath.Join(stateDir(dir), socketName), made}, nil
}

type socketListener struct {
	*net.UnixListener
	path string
	made os.FileInfo
}

// Close also removes the socket, unless it is a successor's by now.
func (l *socketListener) Close() error {
	err := l.UnixListener.Close()
	if there, statErr := os.Lstat(l.path); statErr == nil && os.SameFile(there, l.made) {
		err = errors.Join(err, os.Remove(l.path))
	}
	return err
}

// maxSocketPath is what the shortest sun_path of the systems that we build for
// holds (darwin: 104 bytes with the NUL), less the socket's name and a slash.
const maxSocketPath = 103 - len(socketName) - 1

// shorten gives a directory a name that is short enough for a socket's address:
// its own, or that of a symbolic link to it, which done removes.
func shorten(dir string) (short string, done func(), err error) {
	if len(dir) <= maxSocketPath {
		return dir, func() {}, nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	tmp, err := os.MkdirTemp("", "lb")
	if err != nil {
		return "", nil, err
	}
	link := filepath.Join(tmp, "d")
	if err := os.Symlink(abs, link); err != nil {
		_ = os.Remove(tmp)
		return "", nil, err
	}
	return link, func() { _ = os.Remove(link); _ = os.Remove(tmp) }, nil
}
