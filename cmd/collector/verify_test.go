package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logbraid/logbraid/internal/verify"
)

func TestVerify(t *testing.T) {
	record := func(seq string) string {
		return `{"time":"2026-11-21T10:00:00.123456789Z","level":"info","logger":"x","msg":"y","app":"etl","worker":"w1","run":"AAAAAAAAAA","seq":` + seq + "}\n"
	}
	damaged := strings.Replace(record("2"), `"y"`, `y`, 1)
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	one, three := write("1", record("1")), write("3", record("3"))
	for _, c := range []struct {
		name  string
		args  []string
		stdin string
		code  int
		want  string
	}{
		{"whole", []string{one, "-", three}, record("2"), exitOK, "whole, in order, each once"},
		{"a record lost", []string{one, three}, "", exitLoss, "NOT whole: 1 lost"},
		{"the beginning lost", []string{three}, "", exitLoss, "2 lost"},
		{"partial", []string{"--partial", three}, "", exitOK, "whole"},
		{"a record twice", []string{one, "-"}, record("1"), exitLoss, "1 twice"},
		{"a line torn", []string{one, "-"}, `{"time":`, exitLoss, "-:1: torn"},
		{"damage inside", []string{one, "-"}, damaged, exitOK, "whole"},
		{"damage inside, full", []string{"--full", one, "-"}, damaged, exitLoss, "1 torn"},
		{"no file", nil, "", exitUsage, "requires at least 1 arg"},
		{"no such file", []string{filepath.Join(dir, "nix")}, "", exitFailure, "no such file"},
		{"a directory", []string{dir}, "", exitFailure, "is a directory"},
	} {
		var out, errs bytes.Buffer
		code := execute(append([]string{"verify"}, c.args...), strings.NewReader(c.stdin), &out, &errs)
		if said := out.String() + errs.String(); code != c.code || !strings.Contains(said, c.want) {
			t.Errorf("%s: exit %d, want %d, and %q in\n%s", c.name, code, c.code, c.want, said)
		}
		if (code == exitOK || code == exitLoss) == (errs.Len() > 0) {
			t.Errorf("%s: stderr %q", c.name, errs.String())
		}
	}
	var out, errs bytes.Buffer
	if code := execute([]string{"verify", "--json", one, three}, nil, &out, &errs); code != exitLoss {
		t.Errorf("exit %d: %s", code, errs.String())
	}
	var r verify.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.OK || r.Lost != 1 || len(r.Runs) != 1 || r.Runs[0].Gaps[0] != (verify.Range{First: 2, Last: 2}) {
		t.Errorf("%v: %s", err, out.String())
	}
}
