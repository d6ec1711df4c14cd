package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What is there for one system only is an error on the other, in tests, too.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":       "module m\n\ngo 1.26\n",
		"m.go":         "package m\n\nfunc F() int { return f() }\n",
		"f_windows.go": "package m\n\nfunc f() int { return 1 }\n",
		"f_linux.go":   "package m\n\nfunc f() int { return 2 }\n",
		"f_darwin.go":  "package m\n\nfunc f() int { return 3 }\n",
		"g_linux.go":   "package m\n\nfunc g() int { return 4 }\n",
		"g_windows.go": "package m\n\nfunc g() int { return 5 }\n",
		"m_test.go":    "package m\n\nvar _ = g()\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for target, good := range map[string]bool{"linux/arm64": true, "windows/amd64": true, "darwin/arm64": false, "freebsd/amd64": false} {
		if err := check(dir, target); (err == nil) != good {
			t.Errorf("%s: %v", target, err)
		}
	}
}
