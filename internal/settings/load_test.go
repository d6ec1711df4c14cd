package settings

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/internal/problem"
)

func load(t *testing.T, spec any, environ ...string) ([]Value, problem.List) {
	t.Helper()
	values, err := Loader{Environ: append([]string{}, environ...)}.Load(spec)
	var l problem.List
	if err != nil && !errors.As(err, &l) {
		t.Fatalf("error is a %T", err)
	}
	return values, l
}

func TestDefaultsAndEnvironment(t *testing.T) {
	var w Worker
	if _, problems := load(t, &w); problems != nil {
		t.Fatal(problems)
	}
	if w.Buffer != 16*MiB || w.BlockTimeout != 5*time.Second || w.Overflow != "block" || w.Prefix != "logs" || w.Configured() {
		t.Errorf("defaults: %+v", w)
	}

	w = Worker{}
	_, problems := load(t, &w, "LOGBRAID_BUFFER=1.5MiB", "LOGBRAID_BLOCK_TIMEOUT= 250ms ", "LOGBRAID_OVERFLOW=Shed",
		"LOGBRAID_LEVELS=", "LOGBRAID_PREFIX=  ", "LOGBRAID_NATS_URL=nats://127.0.0.1", "OTHER=x", "EMPTY=", "NOEQUALS")
	if problems != nil {
		t.Fatal(problems)
	}
	if w.Buffer != 1536*KiB || w.BlockTimeout != 250*time.Millisecond || w.Overflow != "shed" || !w.Configured() {
		t.Errorf("from the environment: %+v", w)
	}
	if w.Levels != "info" || w.Prefix != "logs" {
		t.Errorf("set but empty must be not set: %q %q", w.Levels, w.Prefix)
	}
}

func TestOSEnvironmentIsReadAndLeftAlone(t *testing.T) {
	t.Setenv("LOGBRAID_APP", "etl")
	t.Setenv("LOGBRAID_WORKER", "")
	var w Worker
	if err := Load(&w); err != nil {
		t.Fatal(err)
	}
	if w.App != "etl" || w.Worker != "" {
		t.Errorf("app %q, worker %q", w.App, w.Worker)
	}
	if _, set := os.LookupEnv("LOGBRAID_WORKER"); !set {
		t.Error("loading changed the environment")
	}
}

func TestFlagBeforeEnvironment(t *testing.T) {
	flags := map[string][]string{
		"dir":     {"/var/log/etl"},
		"handler": {"json:///var/log/my app.jsonl", "console://stderr"},
		"fsync":   {""},
		"metrics": {"1", "9464"},
	}
	var c Collector
	values, err := Loader{
		Environ: []string{"LOGBRAID_DIR=/env", "LOGBRAID_HANDLERS=file://env", "LOGBRAID_FSYNC=always", "LOGBRAID_PREFIX=p", "NATS_URL=nats://fallback"},
		Flag:    func(name string) ([]string, bool) { v, ok := flags[name]; return v, ok },
	}.Load(&c)
	if err != nil {
		t.Fatal(err)
	}
	if c.Dir != "/var/log/etl" || !slices.Equal(c.Handlers, flags["handler"]) || c.Metrics != "9464" {
		t.Errorf("flags do not win: %+v", c)
	}
	if c.FSync != "always" {
		t.Errorf("an empty flag is not set: %q", c.FSync)
	}
	origins := make(map[string]string)
	for _, v := range values {
		origins[v.Variable] = v.Origin + " " + v.Text
	}
	for name, want := range map[string]string{
		"LOGBRAID_DIR":         "--dir /var/log/etl",
		"LOGBRAID_FSYNC":       "LOGBRAID_FSYNC always",
		"LOGBRAID_NATS_URL":    "NATS_URL nats://fallback",
		"LOGBRAID_DIAGNOSTICS": "default info",
		"LOGBRAID_NATS_CREDS":  "default ",
	} {
		if origins[name] != want {
			t.Errorf("%s is %q, want %q", name, origins[name], want)
		}
	}
}

func TestHandlersAreTrimmedWords(t *testing.T) {
	var c Collector
	if _, problems := load(t, &c, "LOGBRAID_HANDLERS=\n  json://logs/a.jsonl\n\n  console://stderr?level=warn  \n"); problems != nil {
		t.Fatal(problems)
	}
	if want := (Words{"json://logs/a.jsonl", "console://stderr?level=warn"}); !slices.Equal(c.Handlers, want) {
		t.Errorf("handlers %q", c.Handlers)
	}
}

// Everything that is wrong is told in one go, with what its user needs to put it
// right.
func TestAllProblemsAtOnce(t *testing.T) {
	const secret = "s3cr3t"
	var w Worker
	_, problems := load(t, &w,
		"LOGBRAID_BUFFER=16 megs",
		"LOGBRAID_BATCH=-1",
		"LOGBRAID_BLOCK_TIMEOUT=5",
		"LOGBRAID_OVERFLOW=drop",
		"LOGBRAID_PREFIX=logs.>",
		"LOGBRAID_NATS_URL=htp://u:"+secret+"@h",
		"LOGBRAID_BUFER_DIR="+secret,
		"LOGBRAID_XYZZY="+secret,
	)
	got := make(map[string]problem.Problem)
	for _, p := range problems {
		got[p.Setting] = p
	}
	for name, want := range map[string]string{
		"LOGBRAID_BUFFER":        "16 megs|not a size|16MiB",
		"LOGBRAID_BATCH":         "-1|not a size|1MiB",
		"LOGBRAID_BLOCK_TIMEOUT": "5|not a duration|5s",
		"LOGBRAID_OVERFLOW":      "drop|must be block or shed|block",
		"LOGBRAID_PREFIX":        "logs.>|not a subject|logs",
		"LOGBRAID_NATS_URL":      "htp://xxxxx@h|scheme|nats://127.0.0.1:4222",
		"LOGBRAID_BUFER_DIR":     "|did you mean LOGBRAID_BUFFER_DIR?|",
		"LOGBRAID_XYZZY":         "|there is no such setting|",
	} {
		part := strings.Split(want, "|")
		p, ok := got[name]
		if !ok || p.Value != part[0] || !strings.Contains(p.Reason, part[1]) || p.Example != part[2] {
			t.Errorf("%s: %#v, want %s", name, p, want)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("unexpected problems: %v", got)
	}
	if text := problems.Error(); strings.Contains(text, secret) || strings.Count(text, "\n") != 8 {
		t.Errorf("told as:\n%s", text)
	}
}

// A problem names what its user wrote: the flag, or the fallback.
// What a reader shares with those who write is judged by the same rules.
func TestReadersSettingsAreChecked(t *testing.T) {
	_, problems := load(t, new(Reader), "LOGBRAID_PREFIX=a b", "LOGBRAID_STREAM=a.b", "LOGBRAID_DELIVERY=both")
	var named []string
	for _, p := range problems {
		named = append(named, p.Setting)
	}
	slices.Sort(named)
	if want := []string{"LOGBRAID_DELIVERY", "LOGBRAID_PREFIX", "LOGBRAID_STREAM"}; !slices.Equal(named, want) {
		t.Errorf("problems with %v, want %v", named, want)
	}
}

func TestProblemsNameTheOrigin(t *testing.T) {
	var c Collector
	_, err := Loader{
		Environ: []string{"NATS_CREDS=/no/such", "NATS_USER=u", "NATS_PASSWORD=p"},
		Flag: func(name string) ([]string, bool) {
			return []string{"http://h"}, name == "nats-url"
		},
	}.Load(&c)
	text := err.Error()
	for _, want := range []string{`--nats-url="http://h"`, `NATS_CREDS="/no/such"`, "(NATS_CREDS, NATS_USER)"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "LOGBRAID_") {
		t.Errorf("a variable that was not set is named:\n%s", text)
	}
}

func TestFallbacksBelongTogether(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		environ []string
		want    natsconn.Config
	}{
		{"all fallbacks", []string{"NATS_URL=nats://a", "NATS_USER=u", "NATS_PASSWORD=p"},
			natsconn.Config{URL: "nats://a", User: "u", Password: "p"}},
		{"our server, their credential", []string{"LOGBRAID_NATS_URL=nats://b", "NATS_URL=nats://a", "NATS_TOKEN=t"},
			natsconn.Config{URL: "nats://b", Token: "t"}},
		{"our credential hides theirs", []string{"NATS_URL=nats://a", "NATS_USER=u", "NATS_PASSWORD=p", "LOGBRAID_NATS_TOKEN=t"},
			natsconn.Config{URL: "nats://a", Token: "t"}},
		{"an embedded master's worker", []string{"LOGBRAID_NATS_URL=nats://b", "LOGBRAID_NATS_TOKEN_FILE=" + token,
			"NATS_URL=nats://a", "NATS_CREDS=/no/such", "NATS_CA=/no/such"},
			natsconn.Config{URL: "nats://b", TokenFile: token}},
		{"credential in the URL", []string{"LOGBRAID_NATS_URL=nats://t@b", "NATS_USER=u", "NATS_PASSWORD=p"},
			natsconn.Config{URL: "nats://t@b"}},
		{"empty of ours", []string{"LOGBRAID_NATS_URL=", "NATS_URL=nats://a"}, natsconn.Config{URL: "nats://a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w Worker
			if _, problems := load(t, &w, tt.environ...); problems != nil {
				t.Fatal(problems)
			}
			if w.Config != tt.want {
				t.Errorf("got  %+v\nwant %+v", w.Config, tt.want)
			}
		})
	}
}

func TestSecretsAreMasked(t *testing.T) {
	const secret = "s3cr3t"
	var c Collector
	values, problems := load(t, &c, "LOGBRAID_NATS_URL=nats://u:"+secret+"@h", "LOGBRAID_NATS_TOKEN="+secret, "LOGBRAID_NATS_PASSWORD="+secret)
	for _, v := range values {
		if strings.Contains(v.Text, secret) {
			t.Errorf("%s is shown as %q", v.Variable, v.Text)
		}
		if v.Secret && v.Text == "" {
			t.Errorf("%s does not show that it is set", v.Variable)
		}
	}
	if problems == nil || strings.Contains(problems.Error(), secret) {
		t.Errorf("problems: %v", problems)
	}
}

// Kubernetes sets these for services called logbraid and logbraid-nats.
func TestKubernetesVariablesPass(t *testing.T) {
	environ := []string{
		"LOGBRAID_SERVICE_HOST=10.0.0.1", "LOGBRAID_SERVICE_PORT=4222", "LOGBRAID_SERVICE_PORT_CLIENT=4222",
		"LOGBRAID_PORT=tcp://10.0.0.1:4222", "LOGBRAID_PORT_4222_TCP=tcp://10.0.0.1:4222",
		"LOGBRAID_PORT_4222_TCP_PROTO=tcp", "LOGBRAID_PORT_4222_TCP_PORT=4222", "LOGBRAID_PORT_4222_TCP_ADDR=10.0.0.1",
		"LOGBRAID_NATS_SERVICE_HOST=10.0.0.1", "LOGBRAID_NATS_PORT=tcp://10.0.0.1:4222", "LOGBRAID_NATS_PORT_53_UDP=udp://10.0.0.1:53",
	}
	if _, problems := load(t, new(Worker), environ...); problems != nil {
		t.Error(problems)
	}
	if _, problems := load(t, new(Worker), "LOGBRAID_PORT=4222", "LOGBRAID_METRICS_PORT=9464"); len(problems) != 2 {
		t.Errorf("settings that do not exist pass: %v", problems)
	}
}

// A worker and a collector can share one environment.
func TestOtherProgramsVariablesAreKnown(t *testing.T) {
	for _, spec := range allSpecs() {
		var environ []string
		for _, other := range allSpecs() {
			for _, f := range Fields(other) {
				if strings.HasPrefix(f.Variable, "LOGBRAID_NATS_") {
					continue // contradict each other when all are set
				}
				environ = append(environ, f.Variable+"="+f.Example)
			}
		}
		if _, problems := load(t, spec, environ...); problems != nil {
			t.Errorf("%T: %v", spec, problems)
		}
	}
}

func TestNearest(t *testing.T) {
	known := make(map[string]bool)
	for _, f := range Fields(allSpecs()...) {
		known[f.Variable] = true
	}
	for name, want := range map[string]string{
		"LOGBRAID_BUFFER_SIZE":  "LOGBRAID_BUFFER",
		"LOGBRAID_BUFFERDIR":    "LOGBRAID_BUFFER_DIR",
		"LOGBRAID_HANDLER":      "LOGBRAID_HANDLERS",
		"LOGBRAID_HNADLERS":     "LOGBRAID_HANDLERS",
		"LOGBRAID_LEVEL":        "LOGBRAID_LEVELS",
		"LOGBRAID_NATSURL":      "LOGBRAID_NATS_URL",
		"LOGBRAID_NATS_SERVERS": "",
		"LOGBRAID_METRICS_ADDR": "LOGBRAID_METRICS",
		"LOGBRAID_QQQQQQ":       "",
	} {
		if got := Nearest(name, maps.Keys(known)); got != want {
			t.Errorf("Nearest(%s) = %s, want %s", name, got, want)
		}
	}
}

// What is found after loading is named as its user wrote it, and says nothing
// about settings that could not even be read. Names that were not given stay.
func TestMerge(t *testing.T) {
	var c Collector
	values, err := Loader{
		Environ: []string{"LOGBRAID_CLOSE_TIMEOUT=soon", "LOGBRAID_HNADLERS=x"},
		Flag:    func(name string) ([]string, bool) { return []string{"syslog://"}, name == "handler" },
	}.Load(&c)
	var more problem.List
	more.Add("LOGBRAID_HANDLERS", "syslog://", "first", "")
	more.Add("LOGBRAID_HANDLERS", "syslog://", "second; LOGBRAID_HANDLERS", "")
	more.Add("LOGBRAID_CLOSE_TIMEOUT", "5s", "judges the default", "")
	more.Add("LOGBRAID_DIR", "logs", "third", "")
	text := Merge(err, values, more).Error()
	for _, want := range []string{
		"5 problems",
		`LOGBRAID_CLOSE_TIMEOUT="soon": not a duration`,
		`LOGBRAID_HNADLERS: there is no such setting; did you mean LOGBRAID_HANDLERS?`,
		`--handler="syslog://": first`,
		`--handler="syslog://": second; --handler`,
		`LOGBRAID_DIR="logs": third`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if Merge(nil, values, nil).Err() != nil {
		t.Error("nothing merged with nothing is an error")
	}
}
