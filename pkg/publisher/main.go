package publisher

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/pkg/record"
)

// Main is the body of a main function: it calls run, closes the default publisher, so that what
// was logged is delivered, runs logrus's exit handlers, and exits with run's code. It does not
// return.
//
//	func main() { publisher.Main(run) }
//
// A panic in run becomes a record of level fatal with its stack, and the exit code is 2, as the
// runtime's own. That takes an open publisher: leave closing it to Main.
//
// SIGINT and SIGTERM flush and then do what they do by default, which ends the process; a second
// one does so at once. A program with a shutdown of its own uses [MainContext] and no
// signal.Notify: Main would end it in the middle.
//
// The flush takes up to CloseTimeout. What is left is told on standard error.
func Main(run func() int) {
	onSignal(func(sig os.Signal) {
		if p := defaultPublisher.Load(); p != nil && !p.closed.Load() {
			p.flushNow()
		}
		dieOf(sig)
	})
	runAndExit(run)
}

// MainContext is [Main] for a program that ends in good order when its context does: the first
// SIGINT or SIGTERM ends the context, a second one the process.
func MainContext(run func(ctx context.Context) int) {
	ctx, cancel := context.WithCancelCause(context.Background())
	onSignal(func(sig os.Signal) { cancel(fmt.Errorf("%v signal received", sig)) })
	runAndExit(func() int { return run(ctx) })
}

// onSignal calls first, in a goroutine, at the first SIGINT or SIGTERM. By then the next one does
// again what it does by default.
func onSignal(first func(os.Signal)) {
	signals := make(chan os.Signal, 1)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		if !signal.Ignored(sig) { // by nohup, or a shell's background job
			signal.Notify(signals, sig)
		}
	}
	go func() {
		sig := <-signals
		signal.Stop(signals)
		first(sig)
	}()
}

// exitPanic is the code with which the Go runtime ends after a panic.
const exitPanic = 2

func runAndExit(run func() int) {
	returned := false
	defer func() {
		p := defaultPublisher.Load()
		if returned || p == nil || p.closed.Load() {
			return // a panic goes on: the runtime tells it
		}
		v := recover()
		if v == nil { // runtime.Goexit: the other goroutines go on
			p.flushNow()
			return
		}
		stack := panicStack()
		line := record.GetLine()
		line.Start(time.Now(), record.Fatal, "", fmt.Sprintf("panic: %v", v))
		line.Err(panicError(v))
		line.Stack(stack)
		p.emit(line)
		exit(exitPanic, fmt.Sprintf("panic: %v\n\n%s\n", v, stack))
	}()
	code := run()
	returned = true
	exit(code, "")
}

// exit closes the default publisher behind everything else that logrus's exit handlers do. If not
// all could be delivered, last goes to standard error with the reason.
func exit(code int, last string) {
	exitHandlers.Lock()
	logrus.RegisterExitHandler(func() {
		p := defaultPublisher.Load()
		if p == nil || p.closed.Load() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), p.cfg.CloseTimeout)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "%slogbraid: %v\n", last, err)
		}
	})
	exitHandlers.Unlock()
	logrus.Exit(code)
}
