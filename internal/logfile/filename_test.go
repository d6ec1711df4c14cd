package logfile

import (
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"
)

var nastyLoggers = []string{
	"", "etl.load", "Orders", "orders", "ORDERS", "..", "../x", "/etc/passwd", ".", "...", ".hidden", "trailing.", "a..b",
	strings.Repeat("x", 160), strings.Repeat("x", 161), strings.Repeat("x", 300), strings.Repeat("X", 300), strings.Repeat("x", 299) + "y",
	"NUL\x00inside", "a/b", `a\b`, "log.*", "log.>", "C:", "con", "con.log", "CON", "com1", "lpt9.x", "com", "com10",
	"app.000001", "app.0001", "app.1234567", "app.000001.gz", "app.gz", "x.tmp", "x.zst", "x.damaged-1", "x.damaged-", ".logbraid", ".000001",
	"%root", "%", "%41", "%-", "a%", "é", "\u202e", "\ufeff", "\xff\xfe", "\r\n", "\x1b[2J", "~", "-rf", " ", "a b", "{logger}", "$HOME", "`id`",
}

func TestFileName(t *testing.T) {
	for logger, want := range map[string]string{
		"etl.load":        "etl.load",
		"Orders":          "%4frders",
		"..":              "%2e%2e",
		".hidden":         "%2ehidden",
		"/etc/passwd":     "%2fetc%2fpasswd",
		"":                "%root",
		"%root":           "%25root",
		"con":             "%63on",
		"app.000001":      "app%2e000001",
		"app.000001.gz":   "app.000001%2egz",
		"com.example.app": "com.example.app",
	} {
		if got := FileName(logger); got != want {
			t.Errorf("FileName(%q) = %q, want %q", logger, got, want)
		}
	}
	seen := map[string]string{}
	for _, logger := range nastyLoggers {
		name := strings.ToLower(FileName(logger))
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q are both %q", logger, other, name)
		}
		seen[name] = logger
	}
}

// loggerOf is the way back, for names that are not cut.
func loggerOf(t *testing.T, name string) string {
	if name == "%root" {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b.WriteByte(name[i])
			continue
		}
		c, err := hex.DecodeString(name[i+1 : i+3])
		if err != nil {
			t.Fatal(err)
		}
		b.Write(c)
		i += 2
	}
	return b.String()
}

// FuzzFileName: one harmless component, no other logger has it, and rotation
// never gives it out.
func FuzzFileName(f *testing.F) {
	for i, logger := range nastyLoggers {
		f.Add(logger, nastyLoggers[(i+1)%len(nastyLoggers)])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		name := FileName(a)
		if name == "" || len(name) > maxFileName || name[0] == '.' || strings.HasSuffix(name, ".") || !filepath.IsLocal(name) ||
			filepath.Base(name) != name || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.%") != "" {
			t.Fatalf("FileName(%q) = %q", a, name)
		}
		if reservedName(name) || name == stateDir || deviceName(name) {
			t.Fatalf("FileName(%q) = %q is taken", a, name)
		}
		if a != b && name == FileName(b) {
			t.Fatalf("%q and %q are both %q", a, b, name)
		}
		if !strings.Contains(name, "%-") && loggerOf(t, name) != a {
			t.Fatalf("%q became %q, which is %q", a, name, loggerOf(t, name))
		}
	})
}
