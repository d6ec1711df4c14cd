package collector

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/pkg/record"
)

// keep is a sink that keeps what it gets.
type keep struct {
	console // for the rest of the interface
	got     bytes.Buffer
	n       int
	pieces  int
}

func (k *keep) take(_ *group, p piece, n int, _ *run) error {
	if c := bytes.Count(p.lines, newline); c != n || c == 0 {
		return fmt.Errorf("%d lines, said to be %d", c, n)
	}
	k.got.Write(p.lines)
	k.n += n
	k.pieces++
	return nil
}

// Whatever the filters, each sink gets exactly the lines that pass, in order: against a reference that asks
// each filter for each line.
func TestRouteAgainstReference(t *testing.T) {
	loggers := []string{"", "etl", "etl.load", "trades.fx", "trades", "noise", "ünï\"code"}
	filters := []record.Filter{
		{},
		{Level: record.Warn},
		{Level: record.Trace, Loggers: []string{"trades.*"}},
		{Loggers: []string{"etl", "!etl.load"}},
		{Level: record.Info, Loggers: []string{"!noise"}, Apps: []string{"app"}},
		{Workers: []string{"nobody"}},
		{Level: record.Panic, Loggers: []string{"none"}},
		{Apps: []string{"a*"}},
	}
	id := record.Identity{App: "app", Worker: "w1", Run: "r"}
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		router := &router{}
		sinks := make([]*keep, len(filters))
		for i, f := range filters {
			sinks[i] = &keep{}
			router.add(f, sinks[i])
		}
		from := &run{id: id, routes: router.wanted(id.App, id.Worker)}
		want := make([]bytes.Buffer, len(filters))
		seq := uint64(0)
		for range 1 + rnd.IntN(3) {
			var p []byte
			n := rnd.IntN(30)
			for range n {
				seq++
				level, logger := record.Level(1+rnd.IntN(7)), loggers[rnd.IntN(len(loggers))]
				if rnd.IntN(3) > 0 {
					level, logger = record.Info, "etl"
				}
				line := makeLine(id, seq, level, logger, strings.Repeat("m", rnd.IntN(50)))
				p = append(p, line...)
				for i, f := range filters {
					if level >= f.Level && f.MatchLogger(logger) && f.MatchIdentity(id.App, id.Worker) {
						want[i].Write(line)
					}
				}
			}
			if n == 0 {
				continue
			}
			if err := router.route(&group{}, piece{lines: p}, n, from); err != nil {
				t.Fatal(err)
			}
		}
		for i, s := range sinks {
			if !bytes.Equal(s.got.Bytes(), want[i].Bytes()) {
				t.Fatalf("seed %d, %+v:\n got %s\nwant %s", seed, filters[i], s.got.Bytes(), want[i].Bytes())
			}
		}
		if s := sinks[0]; s.pieces > 3 {
			t.Fatalf("what is taken whole came in %d pieces", s.pieces)
		}
	}
}

// Names come from workers: the router's memory of them has bounds.
func TestRouterForgetsLoggers(t *testing.T) {
	r := &router{}
	r.add(record.Filter{Loggers: []string{"a.*"}}, &keep{})
	for i := range 3 * maxLoggers {
		r.match([]byte(fmt.Sprint("b.", i)))
	}
	r.match([]byte(strings.Repeat("c", 1<<20)))
	if len(r.loggers) > maxLoggers {
		t.Errorf("%d names", len(r.loggers))
	}
	for name := range r.loggers {
		if len(name) > maxLoggerName {
			t.Errorf("a name of %d bytes", len(name))
		}
	}
	if r.match([]byte("a.x")) == 0 || r.match([]byte("b.1")) != 0 {
		t.Error("matches wrongly")
	}
}

func TestRoutingToFiles(t *testing.T) {
	r := newRig(t, t.TempDir(),
		"json://DIR/all.jsonl", "json://DIR/orders.jsonl?logger=orders", "file://DIR/warn.log?level=warn",
		"json://DIR/by/{logger}.jsonl", "json://DIR/w2.jsonl?worker=w2", "file://DIR/{app}/{worker}.log")
	a, b := newPublisher("shop", "w1"), newPublisher("shop", "w2")
	for i, l := range []string{"orders", "orders.eu", "trades", "orders", "trades"} {
		level := record.Info
		if i%2 == 1 {
			level = record.Error
		}
		a.log(1, level, l, "a")
		b.log(1, level, l, "b")
	}
	r.give(a, 1, 5)
	r.give(b, 1, 5)
	r.step()
	for name, want := range map[string]string{
		"all.jsonl":          a.text(1, 2, 3, 4, 5) + b.text(1, 2, 3, 4, 5),
		"orders.jsonl":       a.text(1, 2, 4) + b.text(1, 2, 4),
		"by/orders.jsonl":    a.text(1, 4) + b.text(1, 4),
		"by/orders.eu.jsonl": a.text(2) + b.text(2),
		"by/trades.jsonl":    a.text(3, 5) + b.text(3, 5),
		"w2.jsonl":           b.text(1, 2, 3, 4, 5),
	} {
		if got := r.read(name); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	for name, want := range map[string]int{"warn.log": 4, "shop/w1.log": 5, "shop/w2.log": 5} {
		if got := r.read(name); strings.Count(got, "\n") != want || strings.Contains(got, `"seq"`) {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	s := r.stats()
	for i, want := range []HandlerStats{{Records: 10, Files: 1}, {Records: 6, Files: 1}, {Records: 4, Files: 1}, {Records: 10, Files: 3}, {Records: 5, Files: 1}, {Records: 10, Files: 2}} {
		if got := s.Handlers[i]; got.Records != want.Records || got.Files != want.Files || got.Bytes == 0 {
			t.Errorf("handler %d: %+v", i, got)
		}
	}
}

// A logger's name chooses a file below the directory and nothing else, however it tries.
func TestLoggersThatAreNotNames(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir+"/logs", "json://DIR/app.jsonl?level=error", "json://DIR/{logger}.jsonl")
	p := newPublisher("etl", "w1")
	for _, name := range badNames {
		p.log(1, record.Info, name, "m")
	}
	r.give(p, 1, uint64(len(badNames)))
	r.step()
	if got := r.answers(); len(got) != 1 || got[0].Kind != record.AckCommitted {
		t.Fatalf("answers %+v", got)
	}
	files := filesBelow(t, dir)
	lines := 0
	for name, text := range files {
		if !strings.HasPrefix(name, "logs/") || strings.Count(name, "/") > 1 && !strings.HasPrefix(name, "logs/.logbraid/") {
			t.Errorf("a file at %s", name)
		}
		if strings.HasSuffix(name, ".jsonl") {
			lines += strings.Count(text, "\n")
		}
	}
	if lines != len(badNames) {
		t.Errorf("%d lines of %d", lines, len(badNames))
	}
	// Two handlers never share a file: the logger "app" has one beside the handler's app.jsonl.
	if files["logs/app.jsonl"] != "" || files["logs/app%also1.jsonl"] == "" || files["logs/rejected%also1.jsonl"] == "" {
		t.Errorf("the files: %v", keys(files))
	}
}

// A path that cannot be used must not hold up the others.
func TestFileThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, "json://DIR/{logger}.jsonl")
	mkdir(t, dir+"/taken.jsonl/x")
	p := newPublisher("etl", "w1")
	p.log(2, record.Info, "good", "m")
	p.log(2, record.Info, "taken", "m")
	r.give(p, 1, 4)
	r.step()
	if got := r.answers(); len(got) != 1 || got[0].Seq != 4 {
		t.Errorf("answers %+v, stalled by %v", got, r.flight.broken())
	}
	if r.read("good.jsonl") != p.text(1, 2) || r.read("%other.jsonl") != p.text(3, 4) {
		t.Errorf("files: %v", keys(filesBelow(t, dir)))
	}
}

func TestFilesOfOneHandlerAreBounded(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, "json://DIR/{logger}.jsonl")
	r.router.sinks[0].(*fileHandler).split.most = 5
	p := newPublisher("etl", "w1")
	for i := range 5 + 10 {
		p.log(1, record.Info, fmt.Sprint("l", i), "m")
	}
	r.give(p, 1, uint64(len(p.lines)))
	r.step()
	r.step()
	r.give(p, 1, uint64(len(p.lines)))
	if got := strings.Count(r.read("%other.jsonl"), "\n"); got != 10 || len(filesBelow(t, dir)) > 5+1+5 {
		t.Errorf("%d records in the file for all others", got)
	}
}
