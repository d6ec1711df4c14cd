// Collector writes the records of many publishers into files: one writer, in
// order per publisher, each record once.
//
//	publishers ──> NATS ──> pkg/collector ──> files, console
//	                            │ Stats
//	                            ├──> DIR/.logbraid/collector.sock <── collector stats, collector healthcheck
//	                            └──> METRICS address              <── Prometheus, /healthz
//
// This program only wires: settings (load.go), the life of the process (run.go),
// and what it offers beside (one file for each command). Data goes to standard
// output, everything said about it to standard error.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/logbraid/logbraid/internal/problem"
)

//go:generate go test . -run TestCommandReference -update

// The program's exit codes; docs/commands.md lists them.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2 // usage or configuration; nothing was started
	exitLoss    = 3 // verify found a record missing, twice, out of order or torn
)

// exitError ends the program with a code of its own. err may be nil when
// everything has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func main() { os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func execute(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)

	// What cobra refuses before a command runs is a matter of usage.
	usage := true
	root.PersistentPreRun = func(*cobra.Command, []string) { usage = false }
	err := root.Execute()

	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		if exit.err != nil {
			fmt.Fprintf(stderr, "collector: %v\n", exit.err)
		}
		return exit.code
	}
	fmt.Fprintf(stderr, "collector: %v\n", err)
	switch {
	case problem.In(err) != nil:
		fmt.Fprintln(stderr, "Nothing was started. See collector --help, and docs/settings.md.")
		return exitUsage
	case usage:
		fmt.Fprintln(stderr, "See collector --help.")
		return exitUsage
	}
	return exitFailure
}
