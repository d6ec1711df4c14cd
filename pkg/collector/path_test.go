package collector

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// badNames are logger names that try to be more than a name.
var badNames = []string{
	"..", "../x", "/etc/passwd", ".", "", "a/../../b", strings.Repeat("n", 300), "nul\x00inside", "log.*", "log.>",
	"Orders", "orders", "-rf", "_other", "%other", "%root", "app%also0", "con", "NUL.txt", "a\nb", "a\\b", "C:x",
	"\xff\xfe", "\u202egnp.exe", ".logbraid", "rejected", "app", "app.jsonl.000001", "x.gz",
}

func TestTemplateStaysInItsDirectory(t *testing.T) {
	tpl, err := parseTemplate("logs/{logger}.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{strings.ToLower(tpl.other()): "all others"}
	for _, name := range badNames {
		path := tpl.expand(values{byLogger: name}, "")
		dir, base := filepath.Split(path)
		if dir != "logs"+string(filepath.Separator) && dir != "logs/" || len(base) > 200 || !strings.HasSuffix(base, ".jsonl") || base[0] == '.' {
			t.Errorf("%q becomes %q", name, path)
		}
		if generation.MatchString(path) {
			t.Errorf("%q becomes %q, which looks like a generation", name, path)
		}
		// On a file system that does not tell upper from lower case, too.
		if other, ok := seen[strings.ToLower(path)]; ok {
			t.Errorf("%q and %q share %q", name, other, path)
		}
		seen[strings.ToLower(path)] = name
	}
}

func TestResolvePath(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("paths with slashes")
	}
	cwd, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ dir, path, want string }{
		{cwd + "/logs", "logs/app.jsonl", "app.jsonl"},
		{cwd + "/logs", "./logs/../logs/a/b.jsonl", "a/b.jsonl"},
		{cwd + "/logs", "other/app.jsonl", cwd + "/other/app.jsonl"},
		{"/var/log/etl", "/var/log/etl/x.log", "x.log"},
		{"/var/log/etl", "/var/log/etl2/x.log", "/var/log/etl2/x.log"},
		{"/var/log/etl", "/var/log/etl/../x.log", "/var/log/x.log"},
	} {
		if got, err := resolvePath(c.dir, c.path); err != nil || got != c.want {
			t.Errorf("resolvePath(%q, %q) = %q, %v, want %q", c.dir, c.path, got, err, c.want)
		}
	}
}
