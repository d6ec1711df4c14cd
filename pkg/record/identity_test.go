package record

import (
	"strings"
	"testing"
)

func TestNewRun(t *testing.T) {
	seen := map[string]bool{}
	used := map[rune]bool{}
	for range 2000 {
		r := NewRun()
		if len(r) != RunLen || !validRun(r) || strings.ContainsAny(r, "-_") || seen[r] {
			t.Fatalf("run %q", r)
		}
		seen[r] = true
		for _, c := range r {
			used[c] = true
		}
	}
	if len(used) != 62 {
		t.Errorf("%d characters in use, not 62", len(used))
	}
}

func TestSubject(t *testing.T) {
	for _, c := range []struct{ app, worker, want string }{
		{"etl", "w3", "logs.etl.w3"},
		{"a.b c", "host.example.com", "logs.a%2Eb%20c.host%2Eexample%2Ecom"},
		{"", "*", "logs.%.%2A"},
		{">", "%", "logs.%3E.%25"},
		{"ö", "\x00\xff", "logs.%C3%B6.%00%FF"},
	} {
		got := Subject("logs", c.app, c.worker)
		if got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
		app, worker, err := ParseSubject("logs", got)
		if app != c.app || worker != c.worker || err != nil {
			t.Errorf("%s: %q %q %v", got, app, worker, err)
		}
	}
	for _, s := range []string{"", "logs", "logs.", "logs.a", "logs.a.", "logs..b", "logs.a.b.c", "log.a.b", "logs.a.%6", "logs.a.%",
		"logs.a.%2e", "logs.a.%41", "logs.a.%%", "logs.a.b ", "logs.a.*", "logs.a.>", "logs.a.%zz", "logs.a.ö"} {
		app, worker, err := ParseSubject("logs", s)
		if s == "logs.a.%" {
			if app != "a" || worker != "" || err != nil {
				t.Errorf("%q: %q %q %v", s, app, worker, err)
			}
		} else if err == nil {
			t.Errorf("%q: %q %q, no error", s, app, worker)
		}
	}
	if _, _, err := ParseSubject("a.logs", "a.logs.x.y"); err != nil {
		t.Error(err)
	}
}

func TestLevels(t *testing.T) {
	for want, names := range map[Level]string{
		Trace: "trace TRACE trc verbose 5 DEBUG-8 t",
		Debug: "debug Debug DBG 10 DEBUG DEBUG+1 INFO-1 fine d D",
		Info:  "info Info INF information 20 25 INFO+2 notice I",
		Warn:  "warn WARNING wrn 30 WARN+3 ERROR-1 w",
		Error: "error ERR 40 ERROR+4 severe E",
		Fatal: "fatal FTL critical CRIT 50 99 alert F",
		Panic: "panic DPANIC emerg emergency",
	} {
		for name := range strings.FieldsSeq(names) {
			if got, err := ParseLevel(name); got != want || err != nil {
				t.Errorf("%q: %v %v, want %v", name, got, err, want)
			}
		}
		var l Level
		b, err := want.MarshalText()
		if err != nil || l.UnmarshalText(b) != nil || l != want {
			t.Errorf("%v: %s %v", want, b, err)
		}
	}
	for _, s := range []string{"", "nix", "0", "-1", "101", "1e3", "INFO+x", "NOTICE+1", "+2", strings.Repeat("info", 1000)} {
		if got, err := ParseLevel(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
	var l Level = Warn
	if l.UnmarshalText(nil) != nil || l != 0 || l.String() != "" {
		t.Error("empty text does not unset")
	}
	if _, err := Level(9).MarshalText(); err == nil || Level(9).String() != "level(9)" || Level(-1).String() != "level(-1)" {
		t.Error("a level out of range has a name")
	}
	if got, _ := ParseLevel(" warning: "); got != Warn {
		t.Error(got)
	}
}
