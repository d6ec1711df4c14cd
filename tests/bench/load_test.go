package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/tests/bench/job"
)

// TestCompleteRefuses: a run that did not do the whole job has no figure.
func TestCompleteRefuses(t *testing.T) {
	load := Load{Workers: 2, Records: 3}
	var whole []string
	for i := range load.Records {
		for w := range load.Workers {
			whole = append(whole, `{"msg":"`+string(job.Message(nil, w, i))+`"}`)
		}
	}
	swapped := slices.Clone(whole)
	swapped[0], swapped[2] = swapped[2], swapped[0]
	for _, tt := range []struct {
		name  string
		lines []string
		want  string // "" is no error
	}{
		{"all there, a line of the system's own", append([]string{`{"msg":"starting"}`}, whole...), ""},
		{"last one missing", whole[:5], "worker 1 has no record from 2 of 3 on"},
		{"one missing in the middle", slices.Delete(slices.Clone(whole), 2, 3), "worker 0 has record 2 where 1 should be"},
		{"one twice", append(slices.Clone(whole), whole[5]), "worker 1 has record 2 where 3 should be"},
		{"out of order", swapped, "worker 0 has record 1 where 0 should be"},
		{"torn", append(slices.Clone(whole), `{"msg":"rec w1#`), "is torn"},
		{"of another load", append(slices.Clone(whole), `{"msg":"`+string(job.Message(nil, 2, 0))+`"}`), "is torn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "app.jsonl")
			if err := os.WriteFile(file, []byte(strings.Join(tt.lines, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := complete(file, load)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestBars: a figure on the wrong side of its bar is not held, whichever side that is.
func TestBars(t *testing.T) {
	for _, tt := range []struct {
		bar  Bar
		held bool
	}{
		{Bar{Got: 2.1, Limit: 2.2}, false},
		{Bar{Got: 2.3, Limit: 2.2}, true},
		{Bar{Got: 2.1, Limit: 2.2, AtMost: true}, true},
		{Bar{Got: 2.3, Limit: 2.2, AtMost: true}, false},
	} {
		if tt.bar.Held() != tt.held {
			t.Errorf("%+v: held is %v", tt.bar, tt.bar.Held())
		}
	}
}
