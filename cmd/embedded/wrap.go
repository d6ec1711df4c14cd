package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/term"

	"github.com/logbraid/logbraid/internal/child"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

// lookUp finds the program that the workers are.
func (o *options) lookUp() (path string, err error) {
	if len(o.command) == 0 {
		if path, err = os.Executable(); err != nil {
			return "", fmt.Errorf("find this program: %w", err)
		}
		return path, nil
	}
	path, err = child.Find(o.command[0])
	var find *child.FindError
	if errors.As(err, &find) {
		return "", &exitError{find.Code, fmt.Errorf("run command: %w", err)}
	}
	return path, err
}

// wrappedSpec is a worker that runs the user's command. What it prints is logged
// by a publisher of the master's, under the same worker's name under which the
// command, if it is a logbraid worker, publishes itself.
func (s *session) wrappedSpec(m *member, _ int, path string) (child.Spec, error) {
	pub, err := s.master.Publisher(m.name)
	if err != nil {
		return child.Spec{}, err
	}
	m.pub = pub
	lines := func(logger string, level record.Level) func(io.Reader) error {
		return func(r io.Reader) error {
			return pub.Lines(context.Background(), r, publisher.LinesOptions{Logger: logger, Level: level})
		}
	}
	return child.Spec{
		Name:   m.name,
		Path:   path,
		Args:   s.command,
		Env:    s.env(m),
		Stdin:  s.stdin(),
		Stdout: lines("stdout", record.Info),
		// What a program prints there is meant for somebody to see.
		Stderr: lines("stderr", record.Warn),
	}, nil
}

// env is a worker's environment: ours, and what the master and our flags add.
func (s *session) env(m *member) []string {
	return append(append(os.Environ(), s.master.WorkerEnv(m.name)...),
		"LOGBRAID_CLOSE_TIMEOUT="+s.CloseTimeout.String())
}

// stdin is ours, when one command alone can have it. A terminal is not given
// away: the command is not in its foreground process group.
func (s *session) stdin() *os.File {
	if s.Workers > 1 || term.IsTerminal(int(os.Stdin.Fd())) {
		return nil
	}
	return os.Stdin
}

// parserSpec is a worker of the main job: this program again, see worker.go.
func (s *session) parserSpec(m *member, index int, path string) (child.Spec, error) {
	return child.Spec{
		Name: m.name,
		Path: path,
		Args: []string{
			"embedded", "work", "--input", s.Input, "--seed", strconv.FormatUint(s.Seed, 10),
			"--index", strconv.Itoa(index), "--of", strconv.Itoa(s.Workers),
		},
		Env:    s.env(m),
		Stdout: m.listen,
		Stderr: s.pass,
	}, nil
}

// listen takes a worker's notices.
func (m *member) listen(r io.Reader) error {
	notices := json.NewDecoder(r)
	for {
		switch err := notices.Decode(&m.told); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("decode notice: %w", err)
		}
	}
}

// pass shows what a worker says on standard error, a line at a time.
func (s *session) pass(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			_, _ = s.progress.Write(line)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
