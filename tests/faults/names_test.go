//go:build unix

package faults

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The pages that say by which test something is shown name tests that are there.
func TestPagesNameTestsThatExist(t *testing.T) {
	root := filepath.Join("..", "..")
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	exist := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			exist[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// Test... and Fuzz... stand for themselves; in the fault matrix "Test" is left out. A command names several at once by a prefix.
	named := regexp.MustCompile("`((?:Test|Fuzz|Fault|Latency)[A-Z0-9]\\w*)`")
	for _, page := range []string{"README.md", "docs/reliability.md"} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		all := named.FindAllSubmatch(text, -1)
		if len(all) < 15 {
			t.Errorf("%s names only %d tests", page, len(all))
		}
		for _, m := range all {
			if name := string(m[1]); !exist[name] && !exist["Test"+name] {
				t.Errorf("%s: there is no test %s", page, name)
			}
		}
	}
}
