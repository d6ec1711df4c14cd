package settings

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/kelseyhightower/envconfig"
)

var update = flag.Bool("update", false, "write docs/settings.md")

func TestReferenceIsCurrent(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "settings.md")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Reference() {
		t.Error("docs/settings.md differs from the settings: run go generate ./internal/settings")
	}
}

// Every setting of every program is in the reference, once, and is described.
func TestReferenceIsComplete(t *testing.T) {
	text := Reference()
	for _, f := range Fields(allSpecs()...) {
		if n := strings.Count(text, "\n| `"+f.Variable+"` |"); n != 1 {
			t.Errorf("%s is in the reference %d times", f.Variable, n)
		}
		if f.Desc == "" {
			t.Errorf("%s has no description", f.Variable)
		}
		if strings.HasSuffix(f.Variable, "_PORT") {
			t.Errorf("%s: Kubernetes sets variables that end in _PORT", f.Variable)
		}
	}
}

func TestSecretsHaveFilesAndNoFlags(t *testing.T) {
	fields := Fields(allSpecs()...)
	for _, f := range fields {
		if !f.Secret {
			continue
		}
		if f.Flag != "" {
			t.Errorf("%s has a flag", f.Variable)
		}
		if !slices.ContainsFunc(fields, func(o Field) bool { return o.Variable == f.Variable+"_FILE" }) {
			t.Errorf("%s has no twin %s_FILE", f.Variable, f.Variable)
		}
	}
}

// The names are those that envconfig itself would read.
func TestNamesAreEnvconfigs(t *testing.T) {
	for _, spec := range allSpecs() {
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, 8, 1, ' ', 0)
		if err := envconfig.Usagef("logbraid", spec, w, "{{range .}}{{usage_key .}}\n{{end}}"); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		var ours []string
		for _, f := range Fields(spec) {
			ours = append(ours, f.Variable)
		}
		if theirs := strings.Fields(b.String()); !slices.Equal(ours, theirs) {
			t.Errorf("%T:\nours   %v\ntheirs %v", spec, ours, theirs)
		}
	}
}
