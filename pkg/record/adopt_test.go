package record

import (
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// adopt returns what raw becomes, without the head's time where it is the default.
func adopt(raw string) string {
	l := GetLine()
	defer l.Free()
	Adopt(l, []byte(raw), Defaults{Time: noon, Logger: "default"})
	return strings.Replace(string(l.Finish(256<<10)), `"time":"2026-11-21T12:00:00.000000000Z"`, `"time":-`, 1) + "}"
}

func TestAdopt(t *testing.T) {
	local := time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.Local).UTC().Format("2006-01-02T15:04:05.000000000Z")
	for _, c := range []struct{ name, raw, want string }{
		{"zap", `{"level":"info","ts":1700000000.1234567,"logger":"a.b","caller":"pkg/main.go:12","msg":"hi","n":1,"stacktrace":"main.main\n\t/x.go:1"}`,
			`{"time":"2023-11-14T22:13:20.123456700Z","level":"info","logger":"a.b","msg":"hi","n":1,"stack":"main.main\n\t/x.go:1","caller":"pkg/main.go:12"}`},
		{"zap, ISO 8601", `{"level":"dpanic","ts":"2026-03-04T05:06:07.089+0100","msg":"hi"}`,
			`{"time":"2026-03-04T04:06:07.089000000Z","level":"panic","logger":"default","msg":"hi"}`},
		{"zerolog", `{"level":"warn","error":"boom","time":"2026-03-04T05:06:07Z","caller":"/home/u/app/x/y.go:9","message":"hi","a":{"b":[1, 2]}}`,
			`{"time":"2026-03-04T05:06:07.000000000Z","level":"warn","logger":"default","msg":"hi","a":{"b":[1,2]},"error":"boom","caller":"x/y.go:9"}`},
		{"logrus", `{"fields.level":3,"file":"/src/app/main.go:7","func":"main.main","level":"warning","msg":"hi","time":"2026-03-04T05:06:07+01:00"}`,
			`{"time":"2026-03-04T04:06:07.000000000Z","level":"warn","logger":"default","msg":"hi","fields.level":3,"func":"main.main","caller":"app/main.go:7"}`},
		{"slog", `{"time":"2026-03-04T05:06:07.123456789+01:00","level":"INFO+2","source":{"function":"main.f","file":"/a/b/c.go","line":3},"msg":"hi","g":{"x":1}}`,
			`{"time":"2026-03-04T04:06:07.123456789Z","level":"info","logger":"default","msg":"hi","g":{"x":1},"caller":"b/c.go:3"}`},
		{"pino", `{"level":50,"time":1700000000123,"pid":1,"hostname":"h","name":"svc","err":{"type":"TypeError","message":"x is null","stack":"TypeError: x\n  at f"},"msg":"hi"}`,
			`{"time":"2023-11-14T22:13:20.123000000Z","level":"error","logger":"svc","msg":"hi","pid":1,"hostname":"h","error":"TypeError: x is null","stack":"TypeError: x\n  at f"}`},
		{"pino, an error with more", `{"level":30,"pid":1,"hostname":"h","err":{"message":"no","code":"ENOENT"},"msg":"hi"}`,
			`{"time":-,"level":"info","logger":"default","msg":"hi","pid":1,"hostname":"h","err":{"message":"no","code":"ENOENT"},"error":"no"}`},
		{"python-json-logger", `{"asctime":"2026-03-04 05:06:07,089","name":"etl.load","levelname":"CRITICAL","message":"hi","pathname":"/a/b/c.py","lineno":7,"exc_info":"Traceback (most recent call last):\n  File \"x\"\nValueError: bad"}`,
			`{"time":"` + local + `","level":"fatal","logger":"etl.load","msg":"hi","error":"ValueError: bad","stack":"Traceback (most recent call last):\n  File \"x\"\nValueError: bad","caller":"b/c.py:7"}`},
		{"python numbers", `{"level":30,"message":"hi","exc_info":true}`, `{"time":-,"level":"warn","logger":"default","msg":"hi","exc_info":true}`},
		{"structlog", `{"event":"hi","logger":"x","level":"error","timestamp":"2026-03-04T05:06:07.089Z","exception":"Traceback (most recent call last):\nKeyError: 1"}`,
			`{"time":"2026-03-04T05:06:07.089000000Z","level":"error","logger":"x","msg":"hi","error":"KeyError: 1","stack":"Traceback (most recent call last):\nKeyError: 1"}`},
		{"ECS", `{"@timestamp":"2026-03-04T05:06:07.089Z","log.level":"WARN","log.logger":"x","message":"hi"}`,
			`{"time":"2026-03-04T05:06:07.089000000Z","level":"warn","logger":"x","msg":"hi"}`},
		{"a name that is a field", `{"level":"info","name":"Bob","message":"hi"}`, `{"time":-,"level":"info","logger":"default","msg":"hi","name":"Bob"}`},
		{"several candidates", `{"event":"e","message":"m","msg":"hi","ts":1700000000,"time":1700000001}`,
			`{"time":"2023-11-14T22:13:21.000000000Z","level":"info","logger":"default","msg":"hi","event":"e","message":"m","ts":1700000000}`},
		{"keys twice", `{"msg":"a","msg":"b","k":1,"k":2,"error":"e","error":"f"}`,
			`{"time":-,"level":"info","logger":"default","msg":"a","fields.msg":"b","k":1,"k#2":2,"fields.error":"f","error":"e"}`},
		{"unusable values", `{"time":{"a":1},"level":"AUDIT","msg":[1],"logger":5,"stack":[1],"caller":{"x":1},"error":{"code":5},"ts":"soon","lineno":3}`,
			`{"time":-,"level":"info","logger":"default","msg":"","fields.time":{"a":1},"fields.level":"AUDIT","fields.msg":[1],"fields.logger":5,"fields.stack":[1],"fields.caller":{"x":1},"ts":"soon","lineno":3,"error":{"code":5}}`},
		{"a number that is no time", `{"time":12,"msg":"hi"}`, `{"time":-,"level":"info","logger":"default","msg":"hi","fields.time":12}`},
		{"a message that is a number", `{"msg":5}`, `{"time":-,"level":"info","logger":"default","msg":"5"}`},
		{"null error", `{"msg":"hi","error":null}`, `{"time":-,"level":"info","logger":"default","msg":"hi"}`},
		{"claims to be ours", `{"msg":"hi","app":"x","worker":"w9","run":"r","seq":7,"truncated":true,"foreign":false}`,
			`{"time":-,"level":"info","logger":"default","msg":"hi","fields.app":"x","fields.worker":"w9","fields.run":"r","fields.seq":7,"fields.truncated":true,"fields.foreign":false}`},
		{"escaped keys", `{"\u006dsg":"a\u0062","x\"y":1}`, `{"time":-,"level":"info","logger":"default","msg":"ab","x\"y":1}`},
		{"year 20000", `{"time":"20000-01-01T00:00:00Z","msg":"hi"}`, `{"time":-,"level":"info","logger":"default","msg":"hi","fields.time":"20000-01-01T00:00:00Z"}`},
		{"plain text", "hello  world \r\n", `{"time":-,"level":"info","logger":"default","msg":"hello  world "}`},
		{"empty", "\n", `{"time":-,"level":"info","logger":"default","msg":""}`},
		{"torn JSON", `{"msg":"hi`, `{"time":-,"level":"info","logger":"default","msg":"{\"msg\":\"hi"}`},
		{"JSON, not an object", `[1]`, `{"time":-,"level":"info","logger":"default","msg":"[1]"}`},
		{"two objects", `{"a":1}{"a":1}`, `{"time":-,"level":"info","logger":"default","msg":"{\"a\":1}{\"a\":1}"}`},
		{"empty object", ` { } `, `{"time":-,"level":"info","logger":"default","msg":""}`},
		{"forged", "a\n{\"level\":\"fatal\"}", `{"time":-,"level":"info","logger":"default","msg":"a\n{\"level\":\"fatal\"}"}`},
	} {
		if got := adopt(c.raw); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestAdoptForeign(t *testing.T) {
	for _, raw := range []string{`{"msg":"hi","k":1}`, "hi"} {
		l := GetLine()
		Adopt(l, []byte(raw), Defaults{Time: noon, Level: Warn, Logger: "x", Foreign: true})
		l.Str("fields.subject", "x")
		if l.Level() != Warn || string(l.Logger()) != "x" {
			t.Errorf("%s: level %v, logger %s", raw, l.Level(), l.Logger())
		}
		if got := string(l.Finish(1 << 20)); !strings.HasSuffix(got, `"fields.subject":"x","foreign":true`) {
			t.Errorf("%s: %s", raw, got)
		}
		l.Free()
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-03-04T05:06:07Z":        time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		"2026-03-04 05:06:07.5 +0100": time.Date(2026, 3, 4, 4, 6, 7, 5e8, time.UTC),
		"2026-03-04 05:06:07,089":     time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.Local),
		"2026/03/04 05:06:07":         time.Date(2026, 3, 4, 5, 6, 7, 0, time.Local),
		"1700000000":                  time.Unix(1700000000, 0),
		"1700000000.123456789":        time.Unix(1700000000, 123456789),
		"1700000000123":               time.Unix(1700000000, 123e6),
		"1700000000123.456":           time.Unix(1700000000, 123456e3),
		"1700000000123456":            time.Unix(1700000000, 123456e3),
		"1700000000123456789":         time.Unix(1700000000, 123456789),
		"1.7e9":                       time.Unix(1700000000, 0),
		"1.7000000005e+09":            time.Unix(1700000000, 5e8),
		"99999999999999999999":        {},
		"12":                          {},
		"-1700000000":                 {},
		"1700000000x":                 {},
		"1e99":                        {},
		"":                            {},
		".5":                          {},
		"2026-03-04":                  {},
		strings.Repeat("1", 70):       {},
	} {
		got, ok := parseTime(text, false)
		if ok != !want.IsZero() || ok && !got.Equal(want) {
			t.Errorf("%q: got %v %v, want %v", text, got, ok, want)
		}
	}
}
