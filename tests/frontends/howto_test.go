package frontends

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// packages are what the fragments in docs/how-to may name.
var packages = map[string]string{
	"context": "context", "errors": "errors", "exec": "os/exec", "fmt": "fmt", "io": "io", "log": "log", "os": "os",
	"slog": "log/slog", "time": "time",
	"logrus": "github.com/sirupsen/logrus", "zap": "go.uber.org/zap", "zapcore": "go.uber.org/zap/zapcore", "zerolog": "github.com/rs/zerolog",
	"consumer":  "github.com/logbraid/logbraid/pkg/consumer",
	"embedded":  "github.com/logbraid/logbraid/pkg/embedded",
	"publisher": "github.com/logbraid/logbraid/pkg/publisher",
	"record":    "github.com/logbraid/logbraid/pkg/record",
}

// around is what a fragment can refer to.
const around = `
var path string

func load(string) error { return nil }
func parse(string)      {}
func explain() []string { return nil }
func traceID(context.Context) string { return "" }
`

// TestHowToCompiles builds all the Go code of docs/how-to, and runs the whole programs.
func TestHowToCompiles(t *testing.T) {
	pages, err := filepath.Glob("../../docs/how-to/*.md")
	if err != nil || len(pages) < 2 {
		t.Fatal(pages, err)
	}
	dir := t.TempDir()
	overlay := map[string]string{}
	add := func(path, source string) {
		real := filepath.Join(dir, fmt.Sprintf("%d.go", len(overlay)))
		if err := os.WriteFile(real, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		here, err := filepath.Abs(filepath.Join("snippets", path))
		if err != nil {
			t.Fatal(err)
		}
		overlay[here] = real
	}
	add("fragments/around.go", "package fragments\n\nimport \"context\"\n"+around)
	var programs []string
	block := regexp.MustCompile("(?ms)^```go\n(.*?)^```")
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range block.FindAllSubmatch(text, -1) {
			name := fmt.Sprintf("%s_%d", strings.ReplaceAll(strings.TrimSuffix(filepath.Base(page), ".md"), "-", "_"), i+1)
			if source := string(m[1]); strings.HasPrefix(source, "package main") {
				add(name+"/main.go", source)
				programs = append(programs, name)
			} else {
				add("fragments/"+name+".go", fragment(name, source))
			}
		}
	}
	if len(programs) == 0 {
		t.Error("no whole program")
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, text, 0o644); err != nil {
		t.Fatal(err)
	}
	build := func(args ...string) ([]byte, error) {
		cmd := exec.Command("go", append([]string{"build", "-overlay", list}, args...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as go vet has compiled what they import, in CI
		return cmd.CombinedOutput()
	}
	if out, err := build("./snippets/fragments"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, name := range programs {
		binary := filepath.Join(dir, name+".exe")
		if out, err := build("-o", binary, "./snippets/"+name); err != nil {
			t.Errorf("%v\n%s", err, out)
			continue
		}
		runHowTo(t, binary)
	}
}

// fragment makes a function of statements that use ctx and pub, or make a pub of their own.
func fragment(name, body string) string {
	var imports []string
	code := regexp.MustCompile(`//.*`).ReplaceAllString(body, "")
	for short, path := range packages {
		declared := regexp.MustCompile(`(?m)^` + short + `\s+:=`).MatchString(code) // log := pub.Named("etl")
		if !declared && regexp.MustCompile(`\b`+short+`\.[A-Z]`).MatchString(code) {
			imports = append(imports, fmt.Sprintf("\t%s %q\n", short, path))
		}
	}
	slices.Sort(imports)
	given := "ctx context.Context, pub *publisher.Publisher"
	if strings.Contains(body, "pub, err :=") {
		given = "ctx context.Context"
	}
	for _, need := range []string{"context", "publisher"} {
		line := fmt.Sprintf("\t%s %q\n", need, packages[need])
		if !slices.Contains(imports, line) && strings.Contains(given, need+".") {
			imports = append(imports, line)
		}
	}
	// What a fragment declares last it need not use.
	for _, declared := range []string{"cfg", "err"} {
		if regexp.MustCompile(`(?m)^` + declared + `\s+:=`).MatchString(body) {
			body += "_ = " + declared + "\n"
		}
	}
	if !strings.HasSuffix(strings.TrimSpace(body), "return cmd.Wait()") {
		body += "return nil\n"
	}
	return "package fragments\n\nimport (\n" + strings.Join(imports, "") + ")\n\nfunc " + name + "(" + given + ") error {\n" + body + "}\n"
}

// runHowTo runs the program of the migration page, and looks into its logs.
func runHowTo(t *testing.T, binary string) {
	t.Helper()
	cmd := exec.Command(binary)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if n := bytes.Count(out, []byte("cannot price")); n != 4 {
		t.Errorf("the console shows %d warnings of 4 workers:\n%s", n, out)
	}
	text, err := os.ReadFile(filepath.Join(cmd.Dir, "logs", "orders.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	placed, failed := map[string]int{}, 0
	for line := range bytes.Lines(text) {
		var r struct{ Worker, Msg, Error, Stack string }
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		switch r.Msg {
		case "order placed":
			placed[r.Worker]++
		case "cannot price":
			if r.Error == "division by zero" && strings.HasPrefix(r.Stack, "main.worker\n") {
				failed++
			}
		}
	}
	for _, w := range []string{"w1", "w2", "w3", "w4"} {
		if placed[w] != 100 {
			t.Errorf("%d records of %s, want 100", placed[w], w)
		}
	}
	if failed != 4 {
		t.Errorf("%d exceptions with their stack, want 4:\n%s", failed, text)
	}
	if _, err := os.Stat(filepath.Join(cmd.Dir, "logs", "app.log")); err != nil {
		t.Error(err)
	}
}
