package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/logbraid/logbraid/pkg/embedded"
)

// ours are the settings of logbraid that are measured. The first is what a user gets without setting anything,
// but for the text file and the console; nothing that it promises is switched off.
func ours() []Contestant {
	one := []string{"json://DIR/app.jsonl"}
	return []Contestant{
		{Name: reference, About: "embedded, buffer file, JSON file, FSYNC=1s", Run: logbraid(setting{Handlers: one})},
		{Name: "logbraid-fsync-always", About: "the same, FSYNC=always", Run: logbraid(setting{Handlers: one, FSync: "always"})},
		{Name: "logbraid-memory", About: "the same as the first, buffer in memory", Run: logbraid(setting{Handlers: one, Memory: true})},
		{Name: "logbraid-routed", About: "the same as the first, each record into one of three JSON files by its logger and into one text file", Run: routed},
		{Name: "logbraid-stream", About: "the same as the first, stream delivery: JetStream stores, the collector reads it", Run: logbraid(setting{Handlers: one, Delivery: "stream"})},
		{Name: "logbraid-stream-s2", About: "the same, batches compressed by the workers", Run: logbraid(setting{Handlers: one, Delivery: "stream", S2: true})},
		{Name: "logbraid-s2", About: "the same as the first, batches compressed by the workers", Run: logbraid(setting{Handlers: one, S2: true})},
	}
}

// loggers are those of the routed load: one after the other, so that no two records of a worker that follow each other go to the
// same file.
var loggers = []string{"etl.extract", "etl.transform", "etl.load"}

// routed checks the three JSON files itself; the text file has everything.
func routed(ctx context.Context, r *Round) (string, error) {
	s := setting{Handlers: []string{"file://DIR/app.log"}, File: "app.log", Loggers: loggers}
	for _, name := range loggers {
		s.Handlers = append(s.Handlers, "json://DIR/"+name+".jsonl?logger="+name)
	}
	file, err := logbraid(s)(ctx, r)
	if err != nil {
		return "", err
	}
	for i, name := range loggers {
		if err := completeShare(filepath.Join(filepath.Dir(file), name+".jsonl"), r.Load, i, len(loggers)); err != nil {
			return "", err
		}
	}
	return file, nil
}

type setting struct {
	Handlers []string `json:"handlers"`
	FSync    string   `json:"fsync"`
	Memory   bool     `json:"memory"`
	Delivery string   `json:"delivery"`
	S2       bool     `json:"s2"` // batches are compressed
	Dir      string   `json:"dir"`
	Workers  int      `json:"workers"`

	File    string   `json:"-"` // that has every record; "" is app.jsonl
	Loggers []string `json:"-"` // of each worker's records, in turns; none: etl.load

	Role string                  `json:"-"` // of the workers; "" is logbraid-worker
	Says func(line string) error `json:"-"` // takes what the workers print
}

// logbraid runs one master and the workers, each a process of its own. The round ends when the master has closed: by then every
// record is committed, which the check then sees for itself.
func logbraid(s setting) func(context.Context, *Round) (string, error) {
	return func(_ context.Context, r *Round) (string, error) {
		s.Dir, s.Workers = filepath.Join(r.Dir, "logs"), r.Load.Workers
		handlers := make([]string, len(s.Handlers))
		for i, h := range s.Handlers {
			handlers[i] = strings.Replace(h, "DIR", s.Dir, 1)
		}
		r.file = filepath.Join(s.Dir, cmp.Or(s.File, "app.jsonl"))
		told := s
		told.Handlers = handlers
		text, err := json.Marshal(told)
		if err != nil {
			return "", err
		}
		m, err := r.Role("logbraid-master", "BENCH_SETTING="+string(text))
		if err != nil {
			return "", err
		}
		env := make([][]string, r.Load.Workers)
		for w := range env {
			line, err := m.stdout.ReadString('\n')
			if err != nil {
				return "", fmt.Errorf("master: %w: %s", err, m.stderr.String())
			}
			if err := json.Unmarshal([]byte(line), &env[w]); err != nil {
				return "", err
			}
		}
		r.says = s.Says
		// A worker is done when its Close has returned: all its records are acknowledged, so in direct delivery
		// committed (I5). A stream acknowledges what it stores; there the round ends when the master has closed, behind
		// its last commit.
		if err := r.Workers(cmp.Or(s.Role, "logbraid-worker"), func(w int) []string {
			return append(env[w], "BENCH_LOGGERS="+strings.Join(s.Loggers, ","))
		}); err != nil {
			return "", err
		}
		err = r.Stop(m)
		if s.Delivery == "stream" {
			r.Done()
		}
		return r.file, err
	}
}

func master() error {
	var s setting
	if err := json.Unmarshal([]byte(os.Getenv("BENCH_SETTING")), &s); err != nil {
		return err
	}
	m, err := embedded.Start(context.Background(), embedded.Config{Dir: s.Dir, App: "bench", Handlers: s.Handlers, FSync: s.FSync, Delivery: s.Delivery})
	if err != nil {
		return err
	}
	for w := range s.Workers {
		env := m.WorkerEnv(fmt.Sprintf("w%d", w))
		if s.Memory {
			env = append(env, "LOGBRAID_BUFFER_DIR=")
		}
		if s.S2 {
			env = append(env, "LOGBRAID_BATCH_COMPRESSION=s2")
		}
		text, err := json.Marshal(env)
		if err != nil {
			return err
		}
		fmt.Println(string(text))
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return m.Close(ctx)
}
