package status

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/collector"
)

func sample() collector.Stats {
	run := func(worker, run string, n collector.Totals, ended bool) collector.RunStats {
		return collector.RunStats{App: "etl", Worker: worker, Run: run, Totals: n, Ended: ended}
	}
	return collector.Stats{
		Started: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), Connected: true,
		Totals: collector.Totals{Logged: 60, Written: 54, Dropped: 5, Lost: 1},
		Runs: []collector.RunStats{
			run("w2", "C", collector.Totals{Logged: 30, Written: 30}, true),
			run("w1", "B", collector.Totals{Logged: 20, Written: 14, Dropped: 5, Lost: 1}, false),
			run("w1", "A", collector.Totals{Logged: 10, Written: 10}, true),
		},
		Foreign: 3, Rejected: 2, Duplicates: 7, Queued: 1, QueuedBytes: 100,
		Handlers: []collector.HandlerStats{{Name: "json://logs/app.jsonl", Records: 54, Bytes: 9000, Files: 1}},
	}
}

func TestReport(t *testing.T) {
	r := NewReport(sample())
	if got := []string{r.Runs[0].Run, r.Runs[1].Run, r.Runs[2].Run}; !reflect.DeepEqual(got, []string{"A", "B", "C"}) {
		t.Errorf("order of runs: %v", got)
	}
	want := []Run{
		{App: "etl", Worker: "w1", Totals: Totals{Logged: 30, Written: 24, Dropped: 5, Lost: 1}},
		{App: "etl", Worker: "w2", Totals: Totals{Logged: 30, Written: 30}, Ended: true},
	}
	if got := r.Workers(); !reflect.DeepEqual(got, want) {
		t.Errorf("workers %+v, want %+v", got, want)
	}
}

// Every number that the collector has is in the report.
func TestReportIsComplete(t *testing.T) {
	from, to := reflect.TypeFor[collector.Stats](), reflect.TypeFor[Report]()
	for i := range from.NumField() {
		switch name := from.Field(i).Name; name {
		case "Run": // the collector's own, in every line it writes
		default:
			if _, ok := to.FieldByName(name); !ok {
				t.Errorf("collector.Stats.%s is not reported", name)
			}
		}
	}
}

func TestHealth(t *testing.T) {
	for _, tt := range []struct {
		change func(*collector.Stats)
		want   string
	}{
		{func(*collector.Stats) {}, ""},
		{func(s *collector.Stats) { s.Connected = false }, "not connected"},
		{func(s *collector.Stats) { s.Stalled = errors.New("no space left") }, "cannot commit: no space left"},
	} {
		s := sample()
		tt.change(&s)
		err := NewReport(s).Health()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("health %v, want %q", err, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	s := sample()
	s.Runs[0].Worker = "w2\x1b[2J"
	var b bytes.Buffer
	if err := NewReport(s).WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"etl/w1 A (ended)", "20       14        5     1  etl/w1 B\n", "60       54        5     1  total\n", "2 messages rejected", "json://logs/app.jsonl"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Errorf("a worker's name reaches the terminal: %q", text)
	}
}

func makeDir(t *testing.T, base string) string {
	t.Helper()
	dir := filepath.Join(base, "logs")
	if err := os.MkdirAll(stateDir(dir), 0o750); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSocket(t *testing.T) {
	// A socket's address holds about a hundred bytes; a directory's name may be longer.
	for name, base := range map[string]string{
		"short": t.TempDir(),
		"long":  filepath.Join(t.TempDir(), strings.Repeat("a-long-directory-name/", 12)),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			dir := makeDir(t, base)
			target := Target{Dir: dir}
			if err := target.Health(ctx); !errors.Is(err, ErrNotRunning) {
				t.Errorf("without a collector: %v", err)
			}

			l, err := Listen(dir)
			if err != nil {
				t.Fatal(err)
			}
			ready := false
			s := Serve(l, Mux(func() (Report, bool) { return NewReport(sample()), ready }))
			if err := target.Health(ctx); err == nil || !strings.Contains(err.Error(), "starting") {
				t.Errorf("while starting: %v", err)
			}
			if _, err := target.Stats(ctx); err == nil {
				t.Error("stats while starting")
			}
			ready = true
			if err := target.Health(ctx); err != nil {
				t.Errorf("health: %v", err)
			}
			if r, err := target.Stats(ctx); err != nil || !reflect.DeepEqual(r, NewReport(sample())) {
				t.Errorf("stats: %+v, %v", r, err)
			}
			info, err := os.Stat(filepath.Join(stateDir(dir), socketName))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("socket: %v, %v", info, err)
			}

			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if _, err := os.Lstat(filepath.Join(stateDir(dir), socketName)); !os.IsNotExist(err) {
				t.Errorf("the socket is left: %v", err)
			}
		})
	}
}

// A collector that was killed leaves its socket; its successor takes the place.
func TestSocketOfTheDead(t *testing.T) {
	ctx := context.Background()
	dir := makeDir(t, t.TempDir())
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(stateDir(dir), socketName), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if err := (Target{Dir: dir}).Health(ctx); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a dead collector's socket: %v", err)
	}
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, Mux(func() (Report, bool) { return NewReport(sample()), true }))
	defer s.Close()
	if err := (Target{Dir: dir}).Health(ctx); err != nil {
		t.Errorf("the successor: %v", err)
	}
}

// One that ends late does not take its successor's socket along.
func TestSocketOfTheSuccessor(t *testing.T) {
	dir := makeDir(t, t.TempDir())
	answer := Mux(func() (Report, bool) { return NewReport(sample()), true })
	listen := func() *Server {
		l, err := Listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		return Serve(l, answer)
	}
	first := listen()
	second := listen()
	defer second.Close()
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if err := (Target{Dir: dir}).Health(context.Background()); err != nil {
		t.Errorf("the successor: %v", err)
	}
}

func TestHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stalled := sample()
	stalled.Stalled = errors.New("disk full")
	s := Serve(l, Mux(func() (Report, bool) { return NewReport(stalled), true }))
	target := Target{Address: l.Addr().String()}
	if err := target.Health(context.Background()); err == nil || err.Error() != "cannot commit: disk full" {
		t.Errorf("health: %v", err)
	}
	resp, err := http.Get("http://" + target.Address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/healthz: %s", resp.Status)
	}
	s.Close()
	if err := target.Health(context.Background()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the end: %v", err)
	}
}
