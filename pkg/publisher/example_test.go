package publisher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/logbraid/logbraid/pkg/publisher"
	"github.com/logbraid/logbraid/pkg/record"
)

// exampleConfig is a publisher without a broker, which shows records on the console: here, without
// their time, which is never the same, and without the notice that there is no broker.
func exampleConfig() publisher.Config {
	return publisher.Config{App: "etl", Worker: "w1", Console: untimed{os.Stdout}}
}

type untimed struct{ w io.Writer }

func (u untimed) Write(line []byte) (int, error) {
	_, rest, _ := bytes.Cut(line, []byte(" "))
	if !bytes.Contains(rest, []byte("logbraid[")) {
		u.w.Write(rest)
	}
	return len(line), nil
}

func Example() {
	pub, err := publisher.New(exampleConfig()) // in a worker: publisher.FromEnv()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx := context.Background()
	defer pub.Close(ctx)

	load := pub.Named("etl.load").With(publisher.String("table", "orders"))
	load.Info("rows loaded", publisher.Int("rows", 120))
	load.Warn("slow", publisher.Err(errors.New("took too long")))
	load.Debug("not let through")

	if err := pub.Flush(ctx); err != nil { // not needed: Close flushes
		fmt.Println(err)
	}
	// Output:
	// INFO  etl.load[w1] rows loaded table=orders rows=120
	// WARN  etl.load[w1] slow table=orders error="took too long"
}

func ExamplePublisher_InstallLogrus() {
	pub, _ := publisher.New(exampleConfig())
	defer pub.Close(context.Background())

	l := logrus.New() // or logrus.StandardLogger()
	pub.InstallLogrus(l)

	l.WithField("rows", 120).Info("table loaded")
	l.WithField("logger", "etl.load").WithError(io.ErrUnexpectedEOF).Error("cannot read")
	// Output:
	// INFO  [w1] table loaded rows=120
	// ERROR etl.load[w1] cannot read error="unexpected EOF"
}

func ExamplePublisher_Logger() {
	pub, _ := publisher.New(exampleConfig())
	defer pub.Close(context.Background())

	orders := pub.Logger("shop.orders") // a *logrus.Entry
	orders.WithField("id", 7).Info("placed")

	pub.SetLevel("shop", record.Debug) // for shop.orders as well
	orders.Debug("stock checked")
	// Output:
	// INFO  shop.orders[w1] placed id=7
	// DEBUG shop.orders[w1] stock checked
}

func ExamplePublisher_SetLevels() {
	pub, _ := publisher.New(exampleConfig())
	defer pub.Close(context.Background())

	if err := pub.SetLevels("warn,etl=info,etl.load=debug"); err != nil {
		fmt.Println(err)
	}
	for _, name := range []string{"web", "etl.store", "etl.load.csv"} {
		fmt.Println(name, pub.Level(name))
	}
	fmt.Println(pub.SetLevels("loud,etl.*=debug"))
	// Output:
	// web warn
	// etl.store info
	// etl.load.csv debug
	// parse levels: "loud": parse level: "loud" is not a level (trace, debug, info, warn, error, fatal, panic)
	// "etl.*=debug": a level applies to the loggers below as well, write "etl=debug"
}

func ExamplePublisher_SlogHandler() {
	pub, _ := publisher.New(exampleConfig())
	defer pub.Close(context.Background())

	l := slog.New(pub.SlogHandler(nil)) // and slog.SetDefault(l)
	l.Info("table loaded", "rows", 120, "logger", "etl.load")
	l.WithGroup("http").Warn("slow", "ms", 812)
	// Output:
	// INFO  etl.load[w1] table loaded rows=120
	// WARN  [w1] slow http={"ms":812}
}

type traceKey struct{}

func ExampleSlogOptions_context() {
	pub, _ := publisher.New(exampleConfig())
	defer pub.Close(context.Background())

	l := slog.New(pub.SlogHandler(&publisher.SlogOptions{
		Context: func(ctx context.Context) []publisher.Field {
			if id, ok := ctx.Value(traceKey{}).(string); ok { // or what your tracing library offers
				return []publisher.Field{publisher.String("trace_id", id)}
			}
			return nil
		},
	}))
	ctx := context.WithValue(context.Background(), traceKey{}, "4bf92f3577b34da6")
	l.InfoContext(ctx, "request served")
	// Output:
	// INFO  [w1] request served trace_id=4bf92f3577b34da6
}

func ExamplePublisher_Writer() {
	pub, _ := publisher.New(exampleConfig())
	defer pub.Close(context.Background())

	// Text, as of package log.
	old := log.New(pub.Writer(publisher.WriterOptions{Logger: "legacy"}), "", 0)
	old.Print("row loaded")

	// JSON, as zap, zerolog and many others write it:
	//
	//	zap.New(zapcore.NewCore(encoder, pub.Writer(publisher.WriterOptions{}), zap.InfoLevel))
	//	zerolog.New(pub.Writer(publisher.WriterOptions{}))
	w := pub.Writer(publisher.WriterOptions{})
	fmt.Fprintln(w, `{"level":"warn","ts":1795255200.25,"logger":"db","msg":"slow query","ms":812}`)
	// Output:
	// INFO  legacy[w1] row loaded
	// WARN  db[w1] slow query ms=812
}

func ExamplePublisher_Lines() {
	pub, _ := publisher.New(exampleConfig())
	defer pub.Close(context.Background())

	// What a child prints: cmd.StderrPipe, or anything else that can be read.
	stderr := strings.NewReader(`starting
{"level":"warning","message":"low on space","free":7}
Traceback (most recent call last):
  File "job.py", line 3, in <module>
    run()
ZeroDivisionError: division by zero
no newline`)
	if err := pub.Lines(context.Background(), stderr, publisher.LinesOptions{Logger: "job"}); err != nil {
		fmt.Println(err)
	}
	// Output:
	// INFO  job[w1] starting
	// WARN  job[w1] low on space free=7
	// ERROR job[w1] ZeroDivisionError: division by zero error="ZeroDivisionError: division by zero"
	//     Traceback (most recent call last):
	//       File "job.py", line 3, in <module>
	//         run()
	//     ZeroDivisionError: division by zero
	// INFO  job[w1] no newline
}

func ExamplePublisher_Lines_command() {
	pub, err := publisher.FromEnv()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx := context.Background()
	defer pub.Close(ctx)

	cmd := exec.Command("python3", "job.py")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Read to the end before Wait, which closes the pipe.
	if err := pub.Lines(ctx, stderr, publisher.LinesOptions{Logger: "job", Level: record.Warn}); err != nil {
		pub.Named("job").Error("read output", publisher.Err(err))
	}
	if err := cmd.Wait(); err != nil {
		pub.Named("job").Error("job ended", publisher.Err(err))
	}
}

func ExampleLogger_Exception() {
	pub, _ := publisher.New(exampleConfig())
	defer pub.Close(context.Background())
	log := pub.Named("etl")

	if err := load("orders.csv"); err != nil {
		log.Exception(err, "cannot load", publisher.String("file", "orders.csv")) // with a stack trace
	}
}

func load(string) error { return errors.New("no such file") }

func ExampleLogger_Recover() {
	pub, _ := publisher.New(exampleConfig())
	defer pub.Close(context.Background())
	log := pub.Named("etl")

	for _, file := range []string{"a.csv", "b.csv"} {
		func() {
			defer log.Recover("file skipped", publisher.String("file", file))
			// What panics here is logged with its stack trace, and the next file has its turn.
		}()
	}
}

func ExampleInfo() {
	pub, _ := publisher.New(exampleConfig())
	defer pub.Close(context.Background())
	publisher.SetDefault(pub) // the first FromEnv does so by itself

	publisher.Info("started", publisher.Int("workers", 4))
	publisher.Warn("low on space")
	publisher.Critical("cannot go on") // level fatal; the program goes on all the same
	// Output:
	// INFO  [w1] started workers=4
	// WARN  [w1] low on space
	// FATAL [w1] cannot go on
}

func ExampleMain() {
	// func main() { publisher.Main(run) }
	run := func() int {
		if _, err := publisher.FromEnv(); err != nil { // becomes the default; Main closes it
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		publisher.Info("at work")
		return 0 // a panic would be logged, with its stack trace
	}
	publisher.Main(run) // does not return
}

func ExampleMainContext() {
	publisher.MainContext(func(ctx context.Context) int {
		if _, err := publisher.FromEnv(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		publisher.Info("at work")
		<-ctx.Done() // SIGINT or SIGTERM
		publisher.Info("shutting down", publisher.Err(context.Cause(ctx)))
		return 0
	})
}
