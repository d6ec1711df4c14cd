package embedded

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/logbraid/logbraid/internal/problem"
)

func TestConfigFromEnv(t *testing.T) {
	dir := t.TempDir()
	got, err := configFromEnv([]string{
		"LOGBRAID_DIR=" + dir, "LOGBRAID_HANDLERS=json://x/a.jsonl console://stderr", "LOGBRAID_FSYNC=always",
		"LOGBRAID_PREFIX=p", "LOGBRAID_LISTEN=127.0.0.1:4333", "LOGBRAID_CLOSE_TIMEOUT=3s",
		"LOGBRAID_APP=etl", "LOGBRAID_LEVELS=info,a=debug", "LOGBRAID_BUFFER=1MiB", "LOGBRAID_BATCH_COMPRESSION=s2", "PATH=/bin",
	})
	want := Config{
		Dir: dir, App: "etl", Handlers: []string{"json://x/a.jsonl", "console://stderr"}, FSync: "always",
		Prefix: "p", Port: 4333, CloseTimeout: 3 * time.Second, Levels: "info,a=debug", Buffer: 1 << 20, BatchCompression: "s2",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}

	got, err = configFromEnv([]string{"LOGBRAID_DIR=" + dir, "LOGBRAID_LEVELS="})
	if err != nil || got.Levels != "" || got.Buffer != 0 || got.App != "" || got.Port != 0 || len(got.Handlers) != 3 {
		t.Errorf("without settings: %+v, %v", got, err)
	}

	_, err = configFromEnv([]string{
		"LOGBRAID_LISTEN=0.0.0.0:1", "LOGBRAID_FSYNC=x", "LOGBRAID_HANDLERS=nosuch://", "LOGBRAID_LEVELS=loud",
		"LOGBRAID_OVERFLOW=burst", "LOGBRAID_HANDLER=x",
	})
	var settings []string
	for _, p := range problem.In(err) {
		settings = append(settings, p.Setting)
	}
	for _, want := range []string{"LISTEN", "FSYNC", "HANDLERS", "LEVELS", "OVERFLOW", "HANDLER"} {
		n := 0
		for _, s := range settings {
			if s == "LOGBRAID_"+want {
				n++
			}
		}
		if n != 1 {
			t.Errorf("LOGBRAID_%s is told %d times, want once:\n%v", want, n, err)
		}
	}
	if !strings.Contains(err.Error(), "did you mean LOGBRAID_HANDLERS?") {
		t.Errorf("no hint at the misspelt one: %v", err)
	}
}
