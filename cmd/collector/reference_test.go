package main

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/logbraid/logbraid/internal/cmdref"
)

var update = flag.Bool("update", false, "write docs/commands.md")

func TestCommandReferenceIsCurrent(t *testing.T) {
	file := cmdref.File{Path: filepath.Join("..", "..", "docs", "commands.md")}
	want := cmdref.Render(newRootCommand())
	if *update {
		if err := file.SetPart("collector", want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := file.Part("collector")
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Error("docs/commands.md differs from the commands: run go generate ./cmd/collector")
	}
}
