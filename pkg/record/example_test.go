package record_test

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/logbraid/logbraid/pkg/record"
)

func ExampleLine() {
	id := record.Identity{App: "etl", Worker: "w3", Run: "4fK9xQ2LmP"}
	tail := record.AppendTail(nil, id) // once per run

	l := record.GetLine()
	l.Start(time.Date(2026, 11, 21, 10, 0, 0, 123456789, time.UTC), record.Info, "etl.load", "row loaded")
	l.Int("rows", 120)
	l.Err(errors.New("2 rows skipped"))
	line := append([]byte(nil), l.Finish(256<<10)...)
	l.Free()

	line = append(line, tail...)
	line = record.AppendEnd(line, 4211)
	os.Stdout.Write(line)
	// Output:
	// {"time":"2026-11-21T10:00:00.123456789Z","level":"info","logger":"etl.load","msg":"row loaded","rows":120,"error":"2 rows skipped","app":"etl","worker":"w3","run":"4fK9xQ2LmP","seq":4211}
}

func ExampleNewPrefix() {
	p := record.NewPrefix(nil, func(l *record.Line) {
		l.Str("job", "nightly")
		l.OpenGroup("request")
	})
	l := record.GetLine()
	defer l.Free()
	l.Start(time.Unix(0, 0), record.Debug, "", "done")
	l.Prefix(p)
	l.Int("status", 200)
	fmt.Printf("%s}", l.Finish(256<<10))
	// Output:
	// {"time":"1970-01-01T00:00:00.000000000Z","level":"debug","logger":"","msg":"done","job":"nightly","request":{"status":200}}
}

func ExampleAdopt() {
	l := record.GetLine()
	defer l.Free()
	record.Adopt(l, []byte(`{"level":"warn","ts":1700000000.5,"logger":"db","msg":"slow","ms":812}`), record.Defaults{Foreign: true})
	fmt.Printf("%s}", l.Finish(256<<10))
	// Output:
	// {"time":"2023-11-14T22:13:20.500000000Z","level":"warn","logger":"db","msg":"slow","ms":812,"foreign":true}
}

func ExampleAppendText() {
	line := []byte(`{"time":"2026-11-21T10:00:00.123456789Z","level":"info","logger":"etl.load","msg":"row\nloaded","rows":120,"app":"etl","worker":"w3","run":"4fK9xQ2LmP","seq":4211}`)
	os.Stdout.Write(record.AppendText(nil, line, record.TextOptions{}))
	// Output:
	// 2026-11-21T10:00:00.123456Z INFO  etl.load[w3] row\nloaded rows=120
}

func ExampleParse() {
	r, err := record.Parse([]byte(`{"time":"2026-11-21T10:00:00.123456789Z","level":"warn","logger":"etl","msg":"late","ms":812,"app":"etl","worker":"w3","run":"r","seq":7}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	ms, _ := r.Field("ms")
	fmt.Println(r.Level, r.Worker, r.Seq, r.Msg, string(ms))
	// Output: warn w3 7 late 812
}

func ExampleParseBatch() {
	b, err := record.ParseBatch("1 run=4fK9xQ2LmP first=4211 last=4330 count=118 dropped=2 oldest=4211 crc=1a2b3c4d")
	fmt.Println(b.Run, b.First, b.Last, b.Count, err)
	_, err = record.ParseBatch("1 run=4fK9xQ2LmP first=4211 last=4330 count=130 dropped=2 oldest=4211 crc=1a2b3c4d")
	fmt.Println(err)
	// Output:
	// 4fK9xQ2LmP 4211 4330 118 <nil>
	// parse header: count does not fit first and last
}

func ExampleToken() {
	fmt.Println(record.Subject("logs", "etl", "host.example.com"))
	// Output: logs.etl.host%2Eexample%2Ecom
}
