package consumer

import (
	"strings"
	"testing"
)

func TestConfigFromEnv(t *testing.T) {
	cfg, err := ConfigFromEnv([]string{"NATS_URL=nats://h:1", "LOGBRAID_PREFIX=braid", "LOGBRAID_DELIVERY=stream", "LOGBRAID_STREAM=S", "LOGBRAID_APP=etl"})
	if err != nil || cfg.NATS.URL != "nats://h:1" || cfg.Prefix != "braid" || cfg.Stream != "S" {
		t.Errorf("%+v, %v", cfg, err)
	}
	cfg, err = ConfigFromEnv([]string{"LOGBRAID_STREAM=S"})
	if err != nil || cfg.NATS.URL != "nats://127.0.0.1:4222" || cfg.Prefix != "logs" || cfg.Stream != "" {
		t.Errorf("%+v, %v", cfg, err)
	}
	_, err = ConfigFromEnv([]string{"LOGBRAID_NATS_URL=http://h", "LOGBRAID_DELIVERY=pigeon", "LOGBRAID_PREFIX=a..b"})
	for _, want := range []string{"LOGBRAID_NATS_URL=", "LOGBRAID_DELIVERY=", "LOGBRAID_PREFIX="} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not told: %v", want, err)
		}
	}
}
