package flags

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/logbraid/logbraid/internal/settings"
)

func TestFlagsReachTheLoader(t *testing.T) {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	Add(fs, new(settings.Collector))
	args := []string{"--dir", "first", "--dir=second", "--handler", "json://my logs/a.jsonl", "--handler", "console://", "--metrics", "x y"}
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	var c settings.Collector
	if _, err := (settings.Loader{Environ: []string{"LOGBRAID_DIR=env"}, Flag: Given(fs)}).Load(&c); err != nil {
		t.Fatal(err)
	}
	if c.Dir != "second" || !slices.Equal(c.Handlers, []string{"json://my logs/a.jsonl", "console://"}) {
		t.Errorf("dir %q, handlers %q", c.Dir, c.Handlers)
	}
	if c.FSync != "1s" {
		t.Errorf("a flag that is not given changes its setting: %q", c.FSync)
	}
}

// A secret on a command line could be read by every user of the machine.
func TestNoSecretHasAFlag(t *testing.T) {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	Add(fs, new(settings.Worker), new(settings.Collector), new(settings.Master))
	for _, name := range []string{"nats-token", "nats-password"} {
		if fs.Lookup(name) != nil {
			t.Errorf("there is a flag --%s", name)
		}
		if fs.Lookup(name+"-file") == nil {
			t.Errorf("there is no flag --%s-file", name)
		}
	}
}

func TestHelp(t *testing.T) {
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	Add(fs, new(settings.Worker), new(settings.Collector))
	help := strings.Join(strings.Fields(fs.FlagUsages()), " ")
	for _, want := range []string{
		"--buffer size room for records",
		"[$LOGBRAID_BUFFER] (default 16MiB)",
		"--overflow block|shed when",
		"--close-timeout duration how",
		"--handler url where",
		"--nats-token-file file file with",
		"--nats-url url the NATS server",
		"--dir dir",
	} {
		if !strings.Contains(help, want) {
			t.Errorf("%q is missing in:\n%s", want, fs.FlagUsages())
		}
	}
}
