package natsconn

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
)

// servers is a parsed list of addresses. Credentials are taken out of the URLs
// and kept apart: what is handed to nats.go, and so whatever it puts into an
// error, never holds one.
type servers struct {
	urls []*url.URL    // without user information; scheme and port always set
	user *url.Userinfo // the same for all of them; nil without
}

var schemes = map[string]string{"nats": "4222", "tls": "4222", "ws": "80", "wss": "443"}

// parseServers reads one URL or several separated by commas. Its errors do not
// repeat the text, which may hold a password.
func parseServers(text string) (servers, error) {
	var s servers
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if !strings.Contains(part, "://") {
			part = "nats://" + part
		}
		u, err := url.Parse(part)
		if err != nil {
			// The message of a *url.Error quotes the URL; keep what it wraps.
			var ue *url.Error
			if errors.As(err, &ue) && !strings.Contains(part, "@") {
				return servers{}, fmt.Errorf("not a URL: %w", ue.Err)
			}
			return servers{}, errors.New("not a URL (in a password, write % and special characters as %XX)")
		}
		port, known := schemes[u.Scheme]
		switch {
		case !known:
			return servers{}, errors.New("the scheme must be nats, tls, ws or wss")
		case u.Hostname() == "":
			return servers{}, errors.New("names no host")
		case (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "":
			return servers{}, errors.New("has something after the host and port")
		case len(s.urls) > 0 && isWebsocket(u) != isWebsocket(s.urls[0]):
			return servers{}, errors.New("mixes WebSocket with plain addresses")
		case len(s.urls) > 0 && (u.User == nil) != (s.user == nil),
			len(s.urls) > 0 && u.User != nil && u.User.String() != s.user.String():
			return servers{}, errors.New("gives the servers different credentials; they must share one")
		}
		if p := u.Port(); p == "" {
			u.Host = net.JoinHostPort(u.Hostname(), port)
		}
		s.user = u.User
		u.User = nil
		u.Path = ""
		s.urls = append(s.urls, u)
	}
	if len(s.urls) == 0 {
		return servers{}, errors.New("names no server")
	}
	return s, nil
}

// readServers reads the first line of a URL file.
func readServers(path string) (servers, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return servers{}, err
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return parseServers(line)
}

// servers is what the configuration says at this moment: the file's content
// when there is a file that can be read, and otherwise the URL.
func (c Config) servers() (servers, error) {
	if c.URLFile != "" {
		s, err := readServers(c.URLFile)
		if err == nil || c.URL == "" {
			return s, err
		}
	}
	return parseServers(c.URL)
}

func (s servers) list() string {
	text := make([]string, len(s.urls))
	for i, u := range s.urls {
		text[i] = u.String()
	}
	return strings.Join(text, ",")
}

func (s servers) secure() bool {
	for _, u := range s.urls {
		if u.Scheme == "tls" || u.Scheme == "wss" {
			return true
		}
	}
	return false
}

// loopback holds when every server is on this machine.
func (s servers) loopback() bool {
	for _, u := range s.urls {
		host := u.Hostname()
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

func isWebsocket(u *url.URL) bool { return u.Scheme == "ws" || u.Scheme == "wss" }

const masked = "xxxxx"

// Redact masks whatever may be a credential in a list of URLs, valid or not.
// It would rather hide a part of a host name than show a part of a password:
// everything between "://" and the last "@" before the next "://" goes.
func Redact(urls string) string {
	parts := strings.Split(urls, "://")
	for i, part := range parts {
		if i == 0 && len(parts) > 1 {
			continue // the first scheme
		}
		if at := strings.LastIndexByte(part, '@'); at >= 0 {
			parts[i] = masked + part[at:]
		}
	}
	return strings.Join(parts, "://")
}

// reason shortens a file error, whose path the problem shows already.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Op + ": " + pe.Err.Error()
	}
	return err.Error()
}
