// Package examples holds the README's two programs, and the test that they are
// what the README shows, compile, and do what it says.
package examples

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

var programs = []string{"master", "worker"}

func TestReadmeShowsThem(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	listings := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(listings) != len(programs) {
		t.Fatalf("%d listings in the README, want %d", len(listings), len(programs))
	}
	for i, name := range programs {
		source, err := os.ReadFile(filepath.Join(name, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		if string(source) != listings[i][1] {
			t.Errorf("the README's listing is not docs/examples/%s/main.go", name)
		}
	}
}

func TestTheyRun(t *testing.T) {
	dir := t.TempDir()
	for _, name := range programs {
		binary := filepath.Join(dir, name)
		if runtime.GOOS == "windows" {
			binary += ".exe"
		}
		build := exec.Command("go", "build", "-o", binary, "./"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as harness.Build, which is for Unix
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	master := exec.Command(filepath.Join(dir, "master"))
	master.Dir = dir
	out, err := master.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "slow query") || strings.Contains(string(out), "order placed") {
		t.Errorf("the console shows warnings, and this:\n%s", out)
	}

	text, err := os.ReadFile(filepath.Join(dir, "logs", "app.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	type record struct {
		Level, Logger, Msg, App, Worker string
		Seq, Rows, MS                   int
	}
	var got []record
	for line := range strings.Lines(string(text)) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r.Worker == "w1" {
			got = append(got, r)
		}
	}
	want := []record{
		{Level: "info", Msg: "table loaded", Rows: 120, Seq: 1},
		{Level: "warn", Msg: "slow query", MS: 812, Seq: 2},
		{Level: "info", Logger: "orders", Msg: "order placed", Seq: 3},
	}
	if len(got) != len(want) {
		t.Fatalf("%d records of the worker, want %d:\n%s", len(got), len(want), text)
	}
	for i := range want {
		want[i].App, want[i].Worker = "master", "w1"
		if got[i] != want[i] {
			t.Errorf("record %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	lines, err := os.ReadFile(filepath.Join(dir, "logs", "app.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(lines), " INFO  orders[w1] order placed\n") {
		t.Errorf("the text form is not as in the README:\n%s", lines)
	}
}
