package publisher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

func TestWriterPlainLines(t *testing.T) {
	p, c := newCapture(t, Config{})
	w := p.Writer(WriterOptions{Logger: "legacy", Level: record.Warn})
	l := log.New(w, "", 0)
	l.Print("one")
	l.Print("two\nlines")
	l.Print("")
	l.Print("\r")
	got := c.records(t, p)
	var msgs []string
	for _, r := range got {
		has(t, r, map[string]any{"level": "warn", "logger": "legacy"})
		msgs = append(msgs, r["msg"].(string))
	}
	if s := strings.Join(msgs, "|"); s != "one|two|lines" {
		t.Errorf("messages %s", s)
	}
}

func TestWriterJSONLines(t *testing.T) {
	p, c := newCapture(t, Config{})
	w := p.Writer(WriterOptions{Logger: "default"})
	l := slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l.Debug("row loaded", "rows", 120, "logger", "etl.load")
	has(t, c.one(t, p), map[string]any{"level": "debug", "msg": "row loaded", "rows": "120", "logger": "etl.load"})

	fmt.Fprintln(p.Writer(WriterOptions{Plain: true}), `{"msg":"as it is"}`)
	has(t, c.one(t, p), map[string]any{"msg": `{"msg":"as it is"}`})

	p.SetLevel("etl", record.Warn)
	l.Info("not let through", "logger", "etl.load")
	l.Warn("let through", "logger", "etl.load")
	has(t, c.one(t, p), map[string]any{"msg": "let through"})
}

func TestWriterJoinsPartialWrites(t *testing.T) {
	p, c := newCapture(t, Config{})
	w := p.Writer(WriterOptions{})
	for _, b := range []byte("{\"msg\":\"a\"}\nplain\nunfinished") {
		if n, err := w.Write([]byte{b}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := c.records(t, p); len(got) != 2 || got[0]["msg"] != "a" || got[1]["msg"] != "plain" {
		t.Errorf("records %v", got)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	has(t, c.one(t, p), map[string]any{"msg": "unfinished"})
	io.WriteString(w, "next\n")
	has(t, c.one(t, p), map[string]any{"msg": "next"})
}

func TestWriterKeepsNothingOfWhatItIsGiven(t *testing.T) {
	p, c := newCapture(t, Config{})
	w := p.Writer(WriterOptions{})
	b := []byte("begin")
	w.Write(b)
	copy(b, "XXXXX")
	w.Write([]byte(" end\n"))
	has(t, c.one(t, p), map[string]any{"msg": "begin end"})
}

func TestWriterCutsEndlessLines(t *testing.T) {
	p, c := newCapture(t, Config{MaxRecord: 4 << 10})
	w := p.Writer(WriterOptions{})
	text := strings.Repeat("0123456789", 2000)
	io.WriteString(w, text+"\nnext\n")
	got := c.records(t, p)
	var all strings.Builder
	for i, r := range got[:len(got)-1] {
		has(t, r, map[string]any{"part": fmt.Sprint(i + 1), "truncated": nil})
		all.WriteString(r["msg"].(string))
	}
	if all.String() != text {
		t.Errorf("the parts make up %d bytes, want %d", all.Len(), len(text))
	}
	has(t, got[len(got)-1], map[string]any{"msg": "next", "part": nil})
}

func TestWriterSyncWaitsForTheAcknowledgement(t *testing.T) {
	p, c := newCapture(t, Config{})
	w := p.Writer(WriterOptions{})
	c.hold(50 * time.Millisecond)
	io.WriteString(w, "m\n")
	if err := w.Sync(); err != nil || len(c.arrived(t)) != 1 {
		t.Errorf("Sync returned %v with %d records there", err, len(c.arrived(t)))
	}

	p, c = newCapture(t, Config{CloseTimeout: time.Millisecond})
	w = p.Writer(WriterOptions{})
	defer c.holdUntil()()
	io.WriteString(w, "m\n")
	var unacked *UnackedError
	if err := w.Sync(); !errors.As(err, &unacked) || unacked.Records != 1 {
		t.Errorf("Sync returned %v", err)
	}
}

func TestWriterAfterClose(t *testing.T) {
	p, _ := newCapture(t, Config{})
	w := p.Writer(WriterOptions{})
	if err := w.Close(); err != nil {
		t.Error("closing the writer:", err)
	}
	if _, err := io.WriteString(w, "still open\n"); err != nil {
		t.Error("the writer's Close ended it:", err)
	}
	p.Close(context.Background())
	if _, err := io.WriteString(w, "m\n"); !errors.Is(err, ErrClosed) {
		t.Error("after the publisher's Close:", err)
	}
}

func TestWriterFatalLineIsDeliveredFirst(t *testing.T) {
	p, c := newCapture(t, Config{})
	c.hold(50 * time.Millisecond)
	fmt.Fprintln(p.Writer(WriterOptions{}), `{"level":"fatal","msg":"last words"}`)
	if n := len(c.arrived(t)); n != 1 {
		t.Errorf("%d records were there when Write returned", n)
	}
}

func TestWriterConcurrent(t *testing.T) {
	const goroutines, each = 8, 200
	p, c := newCapture(t, Config{})
	w := p.Writer(WriterOptions{})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				fmt.Fprintf(w, `{"msg":"m","g":%d,"i":%d}`+"\n", g, i)
			}
		})
	}
	wg.Wait()
	next := make([]int, goroutines)
	for _, r := range c.records(t, p) {
		var g, i int
		fmt.Sscan(fmt.Sprintf("%v %v", r["g"], r["i"]), &g, &i)
		if i != next[g] {
			t.Fatalf("goroutine %d: record %d, want %d", g, i, next[g])
		}
		next[g]++
	}
	for g, n := range next {
		if n != each {
			t.Errorf("goroutine %d: %d records, want %d", g, n, each)
		}
	}
}
