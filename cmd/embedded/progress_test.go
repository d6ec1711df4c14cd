package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressIsSilentWithoutTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &progress{out: &out}
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() { p.run(stop, func() tally { t.Error("asked for numbers"); return tally{} }); close(done) }()
		time.Sleep(time.Minute) // virtual
		if _, err := p.Write([]byte("a log line\n")); err != nil {
			t.Fatal(err)
		}
		close(stop)
		<-done
		if out.String() != "a log line\n" {
			t.Errorf("got %q", out.String())
		}
	})
}

func TestProgressKeepsToOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := &progress{out: &out, width: func() int { return 60 }}
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			p.run(stop, func() tally {
				return tally{written: 100, workers: []namedCount{{"w1", 60}, {"w2", 40}}}
			})
			close(done)
		}()
		time.Sleep(progressEvery + time.Millisecond)
		if _, err := p.Write([]byte("WARN something\n")); err != nil {
			t.Fatal(err)
		}
		close(stop)
		<-done

		const line = "  0.2s  100 records  400/s   w1 60  w2 40  dropped 0  lost 0"
		want := "\r\x1b[K" + line[:59] + // drawn, cut to the terminal's width
			"\r\x1b[KWARN something\n" + line[:59] + // makes room for a log line
			"\r\x1b[K" // gone in the end
		if out.String() != want {
			t.Errorf("got  %q\nwant %q", out.String(), want)
		}
		if strings.Count(out.String(), "\n") != 1 {
			t.Error("the progress line ends in a newline")
		}
	})
}
