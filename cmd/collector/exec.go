package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/logbraid/logbraid/internal/child"
	"github.com/logbraid/logbraid/internal/problem"
	"github.com/logbraid/logbraid/internal/settings"
	"github.com/logbraid/logbraid/internal/settings/flags"
	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

func newExecCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARGUMENT...]",
		Short: "Run a command and publish what it prints",
		Long: `Exec runs a command, in any language, and publishes what it prints, line by
line: lines of JSON keep their fields, a traceback or a panic stays in one
record; standard output is logged at level info, standard error at warn. A
command that is a logbraid worker itself finds the same settings in its
environment, and publishes beside that.

Signals are passed on to the command. What could not be delivered when it ends
stays in the buffer directory (by default $XDG_STATE_HOME/logbraid, which is
~/.local/state/logbraid). It is sent by "collector drain", or by the next start
with the same app and worker, which waits for that when its command has ended,
for --close-timeout at most.

The exit code is the command's (128 + N for signal N, 126 and 127 if it cannot
be run), or 2 when something is wrong with the settings.`,
		Example: `  collector exec --app etl --nats-url nats://10.0.0.7:4222 -- python3 load.py --all`,
		Args:    needsCommand,
	}
	flags.Add(c.Flags(), new(settings.Worker))
	defaults := map[string]string{"app": "the command's name", "buffer-dir": "see above"}
	for name, text := range defaults {
		c.Flags().Lookup(name).DefValue = text
	}
	c.RunE = func(c *cobra.Command, command []string) error {
		e, err := loadExec(c.Flags(), command)
		if err != nil {
			return err
		}
		return e.run(c.Context(), c.ErrOrStderr())
	}
	return c
}

// needsCommand wants the command behind "--", so that its flags and ours cannot
// be mixed up.
func needsCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 || c.ArgsLenAtDash() != 0 {
		return errors.New("the command to run stands behind --, as in: collector exec --app etl -- python3 load.py")
	}
	return nil
}

// wrapped is a command to be run and published.
type wrapped struct {
	command []string
	path    string
	cfg     publisher.Config
	environ []string // of the command, before its identity is known
}

// loadExec reads the settings of a worker. Flags become variables, since they are
// meant for the command as well.
func loadExec(fs *pflag.FlagSet, command []string) (*wrapped, error) {
	e := &wrapped{command: command, environ: os.Environ()}
	var given []settings.Value
	lookup := flags.Given(fs)
	for _, f := range settings.Fields(new(settings.Worker)) {
		if texts, ok := lookup(f.Flag); ok {
			e.environ = append(e.environ, f.Variable+"="+texts[len(texts)-1])
			given = append(given, settings.Value{Field: f, Origin: "--" + f.Flag})
		}
	}
	var err error
	if e.cfg, err = publisher.ConfigFromEnv(e.environ); err != nil {
		return nil, settings.Merge(nil, given, problem.In(err)).Err()
	}
	if !e.cfg.Conn.Configured() {
		e.cfg.Conn.URL = settings.DefaultURL
		e.setenv("NATS_URL", e.cfg.Conn.URL)
	}
	if e.cfg.App == "" {
		e.cfg.App = strings.TrimSuffix(filepath.Base(command[0]), ".exe")
	}
	e.path, err = child.Find(command[0])
	var find *child.FindError
	if errors.As(err, &find) {
		return nil, &exitError{find.Code, fmt.Errorf("run command: %w", err)}
	}
	return e, err
}

func (e *wrapped) setenv(name, value string) {
	e.environ = append(e.environ, settings.Prefix+name+"="+value)
}

// run is the life of the command:
//
//	signals ──> run ──> child process ──stdout──> Lines ─┐
//	                                  ──stderr──> Lines ─┴─> publisher
func (e *wrapped) run(ctx context.Context, stderr io.Writer) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, child.StopSignals...)
	// For good: one more signal behind the end must not turn the child's exit code into a death.
	child.SurvivePipe()

	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	e.cfg.Diagnostics = log
	if e.cfg.BufferDir == "" {
		dir, err := stateDir()
		if err != nil {
			log.Warn("the buffer is in memory: what is not delivered when the command ends will be lost", "error", err)
		}
		e.cfg.BufferDir = dir
	}
	pub, err := publisher.New(e.cfg)
	if err != nil {
		return err
	}
	// The command publishes, if it does, as the same worker.
	e.setenv("APP", pub.Identity().App)
	e.setenv("WORKER", pub.Identity().Worker)
	if e.cfg.BufferDir != "" {
		e.setenv("BUFFER_DIR", e.cfg.BufferDir)
	}
	st, err := e.attend(ctx, pub, signals)
	if err != nil {
		return errors.Join(err, e.finish(ctx, pub, signals))
	}
	code := child.ExitCode(st)
	if code != 0 {
		pub.Named("exec").Error("command failed",
			publisher.String("command", e.command[0]), publisher.Int("exit_code", code), publisher.String("state", st.String()))
	}
	if err := e.finish(ctx, pub, signals); err != nil {
		fmt.Fprintf(stderr, "collector: %v\n", err)
	}
	if code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// attend starts the command and waits for its end.
func (e *wrapped) attend(ctx context.Context, pub *publisher.Publisher, signals <-chan os.Signal) (*os.ProcessState, error) {
	lines := func(logger string, level record.Level) func(io.Reader) error {
		return func(r io.Reader) error {
			return pub.Lines(context.WithoutCancel(ctx), r, publisher.LinesOptions{Logger: logger, Level: level})
		}
	}
	spec := child.Spec{
		Name: e.command[0], Path: e.path, Args: e.command, Env: slices.Clip(e.environ),
		Stdout: lines("stdout", record.Info), Stderr: lines("stderr", record.Warn),
	}
	// A terminal is not given away: the command is not in its foreground process group.
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		spec.Stdin = os.Stdin
	}
	c, err := spec.Start()
	if err != nil {
		return nil, err
	}
	type result struct {
		st  *os.ProcessState
		err error
	}
	ended := make(chan result, 1)
	go func() {
		st, err := c.Wait()
		ended <- result{st, err}
	}()
	for {
		select {
		case r := <-ended:
			return r.st, r.err
		case sig := <-signals:
			if err := c.Signal(sig); err != nil {
				e.cfg.Diagnostics.Error("pass on signal", "signal", child.SignalName(sig), "error", err)
			}
		}
	}
}

// finish delivers what is left, as long as it may, or until one more signal.
func (e *wrapped) finish(ctx context.Context, pub *publisher.Publisher, signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.cfg.CloseTimeout)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-signals:
			cancel()
		case <-done:
		}
	}()
	err := pub.Close(ctx)
	var unacked *publisher.UnackedError
	switch {
	case errors.As(err, &unacked) && unacked.Kept != "":
		return fmt.Errorf("%d records could not be delivered in time; they are kept in %s and sent by the next start", unacked.Records, unacked.Kept)
	case errors.As(err, &unacked):
		return fmt.Errorf("%d records could not be delivered in time and are lost", unacked.Records)
	}
	return err
}

// stateDir is where a user's programs keep what outlives them, by the XDG Base
// Directory Specification.
func stateDir() (string, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) { // as the specification wants it
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find buffer directory: %w", err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	dir := filepath.Join(base, "logbraid")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("create buffer directory: %w", err)
	}
	return dir, nil
}
