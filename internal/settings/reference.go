package settings

import (
	"fmt"
	"strings"

	"github.com/logbraid/logbraid/internal/natsconn"
)

//go:generate go test . -run TestReference -update

// Reference renders docs/settings.md.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# Settings

<!-- Generated from internal/settings by "go generate ./internal/settings". -->

Every setting is an environment variable. The programs take the same settings as flags: a flag wins over its variable, the
variable over the default. Set but empty means not set. All problems are reported at once, with exit code 2, and nothing
is started. A variable that begins with ` + "`" + Prefix + "`" + ` and is not listed here is refused, since it is most likely misspelt
(what Kubernetes sets for a service of that name is let pass).

Sizes are written ` + "`4096`, `256KiB`, `100MiB` or `1GiB`; durations `500ms`, `5s`, `15m` or `24h`" + `.

`)
	for _, section := range []struct {
		title, text string
		spec        any
	}{
		{"The NATS server", "Read by workers and by the collector. Each falls back to the same name without `" + Prefix + "`, as the `nats` program reads it. " +
			"Those fallbacks are not mixed with other credentials: a credential that is set here hides all those of the fallbacks, and where a server and a " +
			"credential are set here, no fallback is read. Files are read again at each reconnect. There is no flag for a secret. " +
			"A worker without a server writes to its console; a collector without one takes `" + DefaultURL + "`.", new(natsconn.Config)},
		{"Workers, collector and embedded master", "Prefix, delivery and stream must be the same at both ends, and for analysts (`consumer.ConfigFromEnv` and `collector tail`), who read them as well.", new(struct {
			Wire
			Flow
		})},
		{"Workers", "Read by `publisher.FromEnv`, and by `collector exec`.", new(Publisher)},
		{"Collector and embedded master", "", new(Log)},
		{"Collector and embedded master, stream delivery", "The collector makes the stream if there is none. One that an operator has made keeps its own room and compression, and is refused if its settings could lose records.", new(Store)},
		{"Collector", "", new(Service)},
		{"Embedded master", "", new(Embedded)},
	} {
		fmt.Fprintf(&b, "## %s\n\n", section.title)
		if section.text != "" {
			fmt.Fprintf(&b, "%s\n\n", section.text)
		}
		b.WriteString("| variable | flag | meaning | default | example |\n|---|---|---|---|---|\n")
		for _, f := range Fields(section.spec) {
			flag, def, example := "", f.Shown, ""
			if f.Flag != "" {
				flag = "`--" + f.Flag + "`"
			}
			if f.Default != "" {
				def = "`" + f.Default + "`"
			}
			if f.Example != "" && f.Example != f.Default {
				example = "`" + f.Example + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.Variable, flag, f.Desc, def, example)
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}
