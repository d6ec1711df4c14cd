package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/pkg/record"
)

func TestUserHandlers(t *testing.T) {
	all, warnings, panics, fails := &gather{}, &gather{}, &gather{}, &gather{}
	panics.fail = func(Lines) error { panic("no") }
	fails.fail = func(Lines) error { return errors.New("no") }
	said := &lines{}
	r := newRigWith(t, Config{
		Dir: t.TempDir(), Handlers: []string{"json://DIR/app.jsonl"}, Diagnostics: slog.New(slog.NewTextHandler(said, nil)),
		Extra: []UserHandler{
			{Name: "all", Handler: all}, {Name: "warnings", Filter: "level=warn&worker=w1", Handler: warnings},
			{Name: "panics", Handler: panics}, {Name: "fails", Handler: fails},
		},
	})
	p := newPublisher("etl", "w1")
	p.log(2, record.Info, "l", "m")
	p.log(2, record.Error, "l", "m")
	for i := uint64(1); i <= 4; i++ {
		r.give(p, i, i)
		r.step()
	}
	if got := r.answers(); len(got) != 4 || r.read("app.jsonl") != p.text(1, 2, 3, 4) {
		t.Errorf("answers %+v, file:\n%s", got, r.read("app.jsonl"))
	}
	if err := r.router.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all.text() != p.text(1, 2, 3, 4) || warnings.text() != p.text(3, 4) || panics.text() != all.text() || fails.text() != all.text() {
		t.Errorf("all:\n%s\nwarnings:\n%s\npanics:\n%s\nfails:\n%s", all.text(), warnings.text(), panics.text(), fails.text())
	}
	s := r.stats().Handlers
	if s[1].Records != 4 || s[1].Errors != 0 || s[2].Records != 2 || s[3].Errors != 4 || s[4].Errors != 4 {
		t.Errorf("stats %+v", s)
	}
	if all.closed != 1 || panics.closed != 1 {
		t.Error("not closed")
	}
	// Said once, not with every call.
	if n := strings.Count(said.String(), "log handler failed"); n != 2 {
		t.Errorf("diagnostics:\n%s", said)
	}
}

// blocks until it is let go.
type blocks struct {
	gather
	free chan struct{}
}

func (b *blocks) Handle(records Lines) error {
	<-b.free
	return b.gather.Handle(records)
}

// A handler that never comes back costs the files nothing; what it misses is counted.
func TestUserHandlerThatHangs(t *testing.T) {
	h := &blocks{free: make(chan struct{})}
	r := newRigWith(t, Config{
		Dir: t.TempDir(), Handlers: []string{"json://DIR/app.jsonl"}, Extra: []UserHandler{{Name: "h", Handler: h, Queue: 10_000}},
	})
	p := newPublisher("etl", "w1")
	p.log(1000, record.Info, "l", "m")
	for i := uint64(1); i <= 1000; i += 10 {
		r.give(p, i, i+9)
		r.step()
	}
	if got := r.answers(); len(got) != 100 {
		t.Errorf("%d answers", len(got))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.router.close(ctx); err == nil || h.closed != 0 {
		t.Errorf("close: %v, closed %d times while it works", err, h.closed)
	}
	close(h.free)
	if err := r.router.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := r.stats().Handlers[1]
	if s.Skipped == 0 || s.Records+s.Skipped != 1000 || uint64(strings.Count(h.text(), "\n")) != s.Records {
		t.Errorf("stats %+v, %d lines", s, strings.Count(h.text(), "\n"))
	}
}

// What is not committed is shown to nobody, and what is committed later is shown once.
func TestHandlersSeeOnlyWhatIsCommitted(t *testing.T) {
	fs := newFaultFS()
	h := &gather{}
	r := newRigWith(t, Config{
		Dir: t.TempDir(), Handlers: []string{"json://DIR/app.jsonl"}, Extra: []UserHandler{{Name: "h", Handler: h}}, fs: fs,
	})
	p := newPublisher("etl", "w1")
	p.log(2, record.Info, "l", "m")
	fs.breakWith(io.ErrUnexpectedEOF)
	r.give(p, 1, 1)
	r.step()
	fs.mend()
	r.stall(r.flight.broken())
	r.resume()
	r.give(p, 1, 2)
	r.step()
	if err := r.router.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ofRun(h.text(), p.id.Run); got != p.text(1, 2) {
		t.Errorf("seen:\n%s", got)
	}
}

type formatFunc func(e *logrus.Entry) ([]byte, error)

func (f formatFunc) Format(e *logrus.Entry) ([]byte, error) { return f(e) }

func TestFormats(t *testing.T) {
	formats := map[string]logrus.Formatter{
		"lj":    &logrus.JSONFormatter{},
		"panic": formatFunc(func(e *logrus.Entry) ([]byte, error) { panic(e) }),
		"fail":  formatFunc(func(*logrus.Entry) ([]byte, error) { return nil, errors.New("no") }),
		"short": formatFunc(func(e *logrus.Entry) ([]byte, error) { return []byte(e.Level.String() + " " + e.Message), nil }),
		"none":  formatFunc(func(*logrus.Entry) ([]byte, error) { return nil, nil }),
	}
	var urls []string
	for name := range formats {
		urls = append(urls, fmt.Sprintf("file://DIR/%s.log?format=%s", name, name))
	}
	r := newRigWith(t, Config{Dir: t.TempDir(), Handlers: append(urls, "file://DIR/text.log"), Formats: formats})
	p := newPublisher("etl", "w1")
	p.log(2, record.Warn, "a.b", "hello")
	r.give(p, 1, 2)
	r.step()
	text := r.read("text.log")
	if strings.Count(text, "\n") != 2 {
		t.Errorf("text: %q", text)
	}
	// Whatever a formatter does, no record is missing.
	if r.read("panic.log") != text || r.read("fail.log") != text {
		t.Errorf("panic: %q\nfail: %q", r.read("panic.log"), r.read("fail.log"))
	}
	if got := r.read("short.log"); got != "warning hello 1\nwarning hello 2\n" {
		t.Errorf("short: %q", got)
	}
	if got := r.read("none.log"); got != "" {
		t.Errorf("none: %q", got)
	}
	var e struct {
		Level, Msg, Logger, App, Worker, Time string
		Seq                                   int
	}
	line, _, _ := bytes.Cut([]byte(r.read("lj.log")), newline)
	if err := json.Unmarshal(line, &e); err != nil || e.Level != "warning" || e.Msg != "hello 1" || e.Logger != "a.b" || e.Worker != "w1" || e.Seq != 1 || e.Time != "2026-11-21T10:00:00Z" {
		t.Errorf("logrus JSON: %v, %+v in %s", err, e, line)
	}
	failed := uint64(0)
	for _, h := range r.stats().Handlers {
		failed += h.Errors
	}
	if failed != 4 {
		t.Errorf("%d failures counted", failed)
	}
}
