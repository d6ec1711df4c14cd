package cmdref

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func tree() *cobra.Command {
	run := func(*cobra.Command, []string) {}
	root := &cobra.Command{Use: "prog", Short: "Do things", Long: "Prog does things at length.", Run: run}
	root.Flags().String("dir", "logs", "where")
	root.Flags().Bool("secretly", false, "hidden")
	_ = root.Flags().MarkHidden("secretly")
	same := &cobra.Command{Use: "same", Short: "The same", Run: run}
	same.Flags().String("dir", "logs", "where")
	same.Flags().Bool("secretly", false, "hidden")
	same.Flags().BoolP("json", "j", false, "as JSON | not as a table")
	other := &cobra.Command{Use: "other FILE...", Short: "Another.", Run: run, Example: "  prog other a\n  prog other b"}
	root.AddCommand(same, other)
	return root
}

func TestRender(t *testing.T) {
	text := Render(tree())
	for _, want := range []string{
		"## prog\n\nDo things.\n\nProg does things at length.\n\n```\nprog [flags]\n```\n",
		"| `--dir string` | where | logs |\n",
		"### prog same\n\nThe same.\n\n```\nprog same [flags]\n```\n\nTakes every flag of `prog`.\n\n",
		"| `-j`, `--json` | as JSON \\| not as a table |  |\n",
		"### prog other\n\nAnother.\n\n```\nprog other FILE...\n```\n\nExamples:\n\n```\nprog other a\nprog other b\n```\n",
		"prog completion bash|fish|powershell|zsh",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("this is missing:\n%s\nin:\n%s", want, text)
		}
	}
	if strings.Contains(text, "secretly") || strings.Contains(text, "--help") {
		t.Errorf("a hidden flag is shown:\n%s", text)
	}
}

func TestPartsAreApart(t *testing.T) {
	f := File{filepath.Join(t.TempDir(), "docs", "commands.md")}
	for _, step := range []struct{ program, text string }{{"a", "one\n"}, {"b", "two\n"}, {"a", "three\n"}} {
		if err := f.SetPart(step.program, step.text); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Part(step.program); err != nil || got != step.text {
			t.Errorf("part %s is %q, %v; want %q", step.program, got, err, step.text)
		}
	}
	if got, _ := f.Part("b"); got != "two\n" {
		t.Errorf("part b became %q", got)
	}
	if _, err := f.Part("c"); err == nil {
		t.Error("a part that is not there is found")
	}
	text, _ := os.ReadFile(f.Path)
	if !strings.HasPrefix(string(text), "# Commands\n") || strings.Count(string(text), "begin a") != 1 {
		t.Errorf("file:\n%s", text)
	}
}
