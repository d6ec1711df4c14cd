package collector

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/pkg/record"
)

func TestParseHandler(t *testing.T) {
	for url, want := range map[string]HandlerSpec{
		"console://stderr?level=warn&color=always": {Kind: KindConsole, Stream: "stderr", Format: "text", Color: "always", Filter: record.Filter{Level: record.Warn}},
		"console://stdout?format=json":             {Kind: KindConsole, Stream: "stdout", Format: "json", Color: "auto"},
		"console:":                                 {Kind: KindConsole, Stream: "stderr", Format: "text", Color: "auto"},
		"json://logs/app.jsonl":                    {Kind: KindJSON, Path: "logs/app.jsonl", Format: "json", Color: "auto"},
		"json:///var/log/etl/app.jsonl":            {Kind: KindJSON, Path: "/var/log/etl/app.jsonl", Format: "json", Color: "auto"},
		"json:app.jsonl":                           {Kind: KindJSON, Path: "app.jsonl", Format: "json", Color: "auto"},
		"JSON://Logs/{logger}.jsonl":               {Kind: KindJSON, Path: "Logs/{logger}.jsonl", Format: "json", Color: "auto"},
		"file://{app}/{worker}.log?format=mine":    {Kind: KindFile, Path: "{app}/{worker}.log", Format: "mine", Color: "auto"},
		"file://a%20b%3fc.log":                     {Kind: KindFile, Path: "a b?c.log", Format: "text", Color: "auto"},
		"file:///l/app.log?level=INFO&rotate=100MiB&every=24h&keep=7&max_age=30d&max_total=10GiB&compress=zstd&fsync=always": {
			Kind: KindFile, Path: "/l/app.log", Format: "text", Color: "auto", Filter: record.Filter{Level: record.Info},
			Rotate: 100 << 20, Every: 24 * time.Hour, Keep: 7, MaxAge: 30 * 24 * time.Hour, MaxTotal: 10 << 30, Compress: "zstd", FSync: "always",
		},
		"json://x.jsonl?logger=trades.*,orders&logger=!trades.test&app=etl&worker=w1,w2&level=&fsync=500ms&compress=none": {
			Kind: KindJSON, Path: "x.jsonl", Format: "json", Color: "auto", FSync: "500ms",
			Filter: record.Filter{Loggers: []string{"trades.*", "orders", "!trades.test"}, Apps: []string{"etl"}, Workers: []string{"w1", "w2"}},
		},
	} {
		want.URL = url
		if got, err := ParseHandler(url); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseHandler(%q)\n got %+v, %v\nwant %+v", url, got, err, want)
		}
	}
}

func TestParseHandlerProblems(t *testing.T) {
	for url, want := range map[string]string{
		"":                             "known kind",
		"app.log":                      "known kind",
		"syslog://localhost":           "known kind",
		"user:x":                       "known kind",
		"file://":                      "names no file",
		"file:///var/log/":             "directory",
		"file:///var/log/..":           "directory",
		"file://a%00b":                 "NUL",
		"file://a%zz":                  "invalid URL escape",
		"json://app.jsonl.000001":      "rotated files",
		"json://app.jsonl.gz":          "rotated files",
		"json://{logger}":              "suffix",
		"json://{logger}.":             "suffix",
		"json://{loger}.jsonl":         "{logger}, {app} or {worker}",
		"json://{logger.jsonl":         "{logger}, {app} or {worker}",
		"json://logger}.jsonl":         "without a {",
		"json://{app}-{logger}.jsonl":  "two placeholders",
		"console://tty":                "neither stdout nor stderr",
		"console://stderr?rotate=1MiB": "no meaning",
		"file://a.log?color=always":    "no meaning",
		"file://a.log?colour=always":   `option "colour" is not one of`,
		"file://a.log?level=loud":      "not a level",
		"file://a.log?rotate=many":     "not a size",
		"file://a.log?every=0s":        "duration",
		"file://a.log?every=daily":     "duration",
		"file://a.log?max_age=-1d":     "duration",
		"file://a.log?keep=-1":         "number of files",
		"file://a.log?compress=zip":    "not one of gzip, zstd, none",
		"file://a.log?fsync=sometimes": "never, always or a duration",
		"file://a.log?logger=a,,b":     "empty pattern",
		"file://a.log?logger=!":        "empty pattern",
		"file://a.log?level=%zz":       "options",
		"json://" + strings.Repeat("x", 80) + "{app}.jsonl": "leaves no room",
	} {
		_, err := ParseHandler(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseHandler(%q): %v, want %q", url, err, want)
			continue
		}
		for _, p := range problem.In(err) {
			if p.Example == "" || p.Setting != settingHandlers {
				t.Errorf("ParseHandler(%q): problem without an example or a setting: %+v", url, p)
			}
		}
	}
}

func TestExamplesAreValid(t *testing.T) {
	for kind, example := range examples {
		if kind == kindUser {
			var l problem.List
			parseFilter(example, &l)
			if len(l) > 0 {
				t.Error(l)
			}
		} else if h, err := ParseHandler(example); err != nil || h.Kind != kind {
			t.Errorf("%s: %+v, %v", example, h, err)
		}
	}
	for name, o := range options {
		kind := KindFile
		if o.scope == consoles {
			kind = KindConsole
		}
		if _, err := ParseHandler(strings.Split(examples[kind], "?")[0] + "?" + o.example); err != nil || !strings.HasPrefix(o.example, name+"=") {
			t.Errorf("%s: %v", o.example, err)
		}
	}
}

// All that is wrong is told at once, and nothing is left behind.
func TestStartTellsEveryProblem(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	_, err := Start(t.Context(), Config{
		Dir:      dir,
		Prefix:   "logs.>",
		FSync:    "sometimes",
		Handlers: []string{"syslog://x", "file://a.log?level=loud&keep=x", "json://" + dir + "/b.jsonl", "json://" + dir + "/./b.jsonl", "json://" + dir + "/rejected.jsonl", "file://" + dir + "/.logbraid/x.log", "file://c.log?format=xml"},
		Extra:    []UserHandler{{Name: "x"}, {Name: "y", Handler: &gather{}, Filter: "color=auto"}, {Name: "y", Handler: &gather{}}},
	})
	for _, want := range []string{
		"LOGBRAID_PREFIX", "LOGBRAID_FSYNC", "LOGBRAID_NATS_URL", "syslog://x", "loud", "number of files", "same file as",
		"collector's own", ".logbraid", `format \"xml\"`, "lacks a name", "no meaning", "two handlers",
	} {
		if err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), strings.ReplaceAll(want, `\`, "")) {
			t.Errorf("%q is not among:\n%v", want, err)
		}
	}
	var l problem.List
	if !errors.As(err, &l) || len(l) != 13 {
		t.Errorf("%d problems, want 13", len(l))
	}
	if names, _ := filepath.Glob(dir); names != nil {
		t.Error("the log directory was made")
	}
}

// The page about handlers names every option, with the example that problems give.
func TestHandlersPage(t *testing.T) {
	text, err := os.ReadFile("../../docs/handlers.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range options {
		if !strings.Contains(string(text), "| `"+name+"` | `"+o.example+"` |") {
			t.Errorf("docs/handlers.md has no row for %s with %s", name, o.example)
		}
	}
	if n := strings.Count(string(text), "\n| `"); n != len(options)+3 {
		t.Errorf("docs/handlers.md has %d rows for %d options and 3 kinds", n, len(options))
	}
	for url := range strings.Lines(strings.Split(string(text), "```")[1]) {
		if url = strings.TrimSpace(url); url != "" {
			if _, err := ParseHandler(url); err != nil {
				t.Error(err)
			}
		}
	}
}

func FuzzParseHandler(f *testing.F) {
	for _, example := range examples {
		f.Add(example)
	}
	f.Add("file://logs/{logger}/{app}.log?rotate=1MiB&every=1d&max_age=2w&logger=a.**,!b&worker=w?")
	f.Add("json:///a%2fb.jsonl?level=%57ARN&keep=999999999999")
	f.Fuzz(func(t *testing.T, url string) {
		h, err := ParseHandler(url)
		if err != nil {
			if problem.In(err) == nil {
				t.Fatalf("%q: an error that is no problem: %v", url, err)
			}
			return
		}
		if again, err := ParseHandler(url); err != nil || !reflect.DeepEqual(h, again) {
			t.Fatalf("%q reads differently the second time", url)
		}
		if _, err := h.fileOptions(); err != nil {
			t.Fatalf("%q: accepted, but the files do not take its options: %v", url, err)
		}
		h.Filter.MatchIdentity("app", "worker")
		h.Filter.MatchLogger("a.b.c")
	})
}
