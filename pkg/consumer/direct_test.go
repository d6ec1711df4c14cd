package consumer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/logbraid/logbraid/internal/natsconn"
	"github.com/logbraid/logbraid/pkg/record"
)

func TestDirect(t *testing.T) {
	s := startServer(t, nil)
	early := newSender(t, s, "w1")
	early.send(span(1, 3)...) // before the consumer: not its business
	c := start(t, s, Config{})
	early.send(4, 5)
	early.send(4, 5) // sent again
	w2 := newSender(t, s, "w2")
	w2.blocks = true
	w2.dropped = 2
	w2.send(3, 4) // the first two were dropped
	early.send(span(4, 7)...)
	read(t, c, "w1 4", "w1 5", "w2 gap 1-2 missed 0 dropped 2", "w2 3", "w2 4", "w1 6", "w1 7")

	w2.dropped = 4
	w2.send(6, 8, 9) // 5 was dropped, and 7
	w2.send(12)      // 10 and 11 were sent, and missed
	w2.dropped = 6
	w2.send(16) // of 13 to 15, two were dropped
	w2.end(18)
	w2.end(18)
	read(t, c, "w2 gap 5-5 missed 0 dropped 1", "w2 6", "w2 gap 7-7 missed 0 dropped 1", "w2 8", "w2 9",
		"w2 gap 10-11 missed 2 dropped 0", "w2 12", "w2 gap 13-15 missed 1 dropped 2", "w2 16", "w2 gap 17-18 missed 2 dropped 0")
}

// A publisher with several batches in flight goes back when the collector refuses one; or it does not, and the
// consumer alone has missed something.
func TestOvertaking(t *testing.T) {
	s := startServer(t, nil)
	c := start(t, s, Config{})
	w := newSender(t, s, "w1")
	w.send(1, 2)
	w.oldest = 3
	w.send(5, 6) // refused: 3 and 4 are on their way
	w.send(7, 8)
	w.oldest = 3
	w.send(3, 4)
	w.send(5, 6)
	w.send(7, 8)
	read(t, c, "w1 1", "w1 2", "w1 3", "w1 4", "w1 5", "w1 6", "w1 7", "w1 8")
	w.oldest = 9
	w.send(11, 12) // 9 and 10 passed us by
	w.oldest = 13
	w.send(13)
	read(t, c, "w1 gap 9-10 missed 2 dropped 0", "w1 11", "w1 12", "w1 13")
	w.oldest = 14
	w.send(16) // and this one is the last for long
	read(t, c, "w1 gap 14-15 missed 2 dropped 0", "w1 16")
}

func TestRejected(t *testing.T) {
	s := startServer(t, nil)
	c := start(t, s, Config{})
	w := newSender(t, s, "w1")
	bad := w.message(1, 2)
	bad.Data = []byte(strings.Replace(string(bad.Data), "row", "raw", 1))
	w.publish(bad)
	w.send(1, 2)
	forged := w.message(3)
	forged.Subject = "logs.etl.w2"
	w.publish(forged)
	w.blocks = true
	torn := w.message(3)
	torn.Data = torn.Data[:len(torn.Data)/2]
	w.publish(torn)
	w.blocks = false
	twice := w.message(3)
	twice.Header.Add(record.HeaderName, twice.Header.Get(record.HeaderName))
	w.publish(twice)
	w.send(3)
	w.dropped = 1
	w.send(6, 8)
	w.dropped = 0
	w.send(9) // fewer than before
	w.dropped = 1
	w.send(9)
	read(t, c, "rejected logs.etl.w1", "w1 1", "w1 2", "rejected logs.etl.w2", "rejected logs.etl.w1", "rejected logs.etl.w1", "w1 3",
		"w1 gap 4-5 missed 2 dropped 0", "w1 6", "w1 gap 7-7 missed 0 dropped 1", "w1 8", "rejected logs.etl.w1", "w1 9")
}

func TestForeign(t *testing.T) {
	s := startServer(t, nil)
	c := start(t, s, Config{})
	w := newSender(t, s, "w1")
	for _, m := range []struct{ subject, text string }{
		{"logs.shell.host1", `{"level":"WARN","message":"hi","n":7}`},
		{"logs.shell.my:host", "plain\x1b[2J"},
		{"logs.shell", ""},
	} {
		w.publish(&nats.Msg{Subject: m.subject, Data: []byte(m.text)})
	}
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	var got []Record
	for rec, err := range c.Records(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if err := record.Valid(rec.Line); err != nil {
			t.Errorf("%v: %s", err, rec.Line)
		}
		if !rec.Foreign || rec.Seq != 0 || rec.App != "shell" || time.Since(rec.Time) > guard {
			t.Errorf("%+v", rec)
		}
		if got = append(got, rec); len(got) == 3 {
			break
		}
	}
	if n, _ := got[0].Int("n"); n != 7 || got[0].Level != record.Warn || got[0].Msg() != "hi" || got[0].Worker != "host1" {
		t.Errorf("%s", got[0].Line)
	}
	if got[1].Msg() != "plain\x1b[2J" || got[1].Worker != "my:host" {
		t.Errorf("%s", got[1].Line)
	}
	if app, _ := got[1].Str("app"); app != "shell" {
		t.Errorf("%s", got[1].Line)
	}
}

func TestFilters(t *testing.T) {
	s := startServer(t, nil)
	for name, f := range map[string]struct {
		cfg  Config
		want string
	}{
		"level":   {Config{Filter: record.Filter{Level: record.Error}}, "w1 5,w1 10,w2 5,w2 10"},
		"logger":  {Config{Filter: record.Filter{Loggers: []string{"etl.part1"}}}, "w1 1,w1 4,w1 7,w1 10,w2 1,w2 4,w2 7,w2 10"},
		"worker":  {Config{Filter: record.Filter{Workers: []string{"w2"}, Level: record.Error}}, "w2 5,w2 10"},
		"pattern": {Config{Filter: record.Filter{Workers: []string{"!w1"}, Level: record.Error}}, "w2 5,w2 10"},
		"app":     {Config{Filter: record.Filter{Apps: []string{"etl"}, Level: record.Error}}, "w1 5,w1 10,w2 5,w2 10"},
		"fields":  {Config{Fields: map[string]string{"n": "7.0", "msg": "row\n7"}}, "w1 7,w2 7"},
		"all":     {Config{Filter: record.Filter{Apps: []string{"etl"}, Workers: []string{"w1"}, Loggers: []string{"etl.part0", "etl.part1"}}, Fields: map[string]string{"n": "9"}}, "w1 9"},
	} {
		c := start(t, s, f.cfg)
		var last *sender
		for _, name := range []string{"w1", "w2"} {
			last = newSender(t, s, name)
			last.send(span(1, 10)...)
		}
		want := strings.Split(f.want, ",")
		if got := take(t, c, len(want)); strings.Join(got, ",") != f.want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// A reader who takes his time loses the newest, and is told to the record where; a member of a
// group, too.
func TestSlowReader(t *testing.T) {
	s := startServer(t, nil)
	for _, group := range []string{"", "g"} {
		c := start(t, s, Config{Buffer: 10_000, Group: group})
		a, b := newSender(t, s, "w1"), newSender(t, s, "w2")
		const batches = 200
		for i := range uint64(batches) {
			a.send(span(i*10+1, i*10+10)...)
			b.send(span(i*10+1, i*10+10)...)
		}
		a.publish(&nats.Msg{Subject: "logs.x.y", Data: []byte("left out")})
		a.end(batches * 10)
		// All of it is on this side before the first record is read.
		if err := c.source.(*direct).nc.FlushTimeout(guard); err != nil {
			t.Fatal(err)
		}
		barrier(t, c)
		next := map[string]uint64{"w1": 1, "w2": 1}
		records, missed := 0, uint64(0)
		ctx, cancel := context.WithTimeout(t.Context(), guard)
		for rec, err := range c.Records(ctx) {
			var gap *Gap
			switch {
			case err == nil:
				if rec.Seq != next[rec.Worker] {
					t.Fatalf("%s: seq %d, want %d", rec.Worker, rec.Seq, next[rec.Worker])
				}
				next[rec.Worker]++
				records++
			case errors.As(err, &gap):
				missed += gap.Missed
				if gap.Run != "" {
					if gap.First != next[gap.Worker] || gap.Missed != gap.Last-gap.First+1 || gap.Dropped != 0 {
						t.Fatalf("%v, want from %d", err, next[gap.Worker])
					}
					next[gap.Worker] = gap.Last + 1
				}
			default:
				t.Fatal(err)
			}
			if records+int(missed) == 2*batches*10+1 {
				break
			}
		}
		cancel()
		if records == 0 || missed == 0 || next["w1"] != batches*10+1 || next["w2"] != batches*10+1 {
			t.Errorf("%d records, %d missed, next %v", records, missed, next)
		}
		// And it goes on.
		a.send(batches*10+1, batches*10+2)
		read(t, c, "w1 2001", "w1 2002")
		c.Close()
	}
}

// barrier returns when everything that has arrived is in the queue.
func barrier(t *testing.T, c *Consumer) {
	t.Helper()
	done := make(chan struct{})
	if err := c.source.(*direct).nc.Barrier(func() { close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
}

func TestGroup(t *testing.T) {
	s := startServer(t, nil)
	members := []*Consumer{start(t, s, Config{Group: "g"}), start(t, s, Config{Group: "g"})}
	w := newSender(t, s, "w1")
	const last = 1000
	for n := uint64(1); n <= last; n += 10 {
		w.send(span(n, n+9)...)
	}
	seen := make(map[uint64]int)
	for _, c := range members {
		if err := c.source.(*direct).nc.FlushTimeout(guard); err != nil {
			t.Fatal(err)
		}
		barrier(t, c)
		c.source.(*direct).queue.end(errDone)
		part, prev := 0, uint64(0)
		for rec, err := range c.Records(t.Context()) {
			if err == errDone {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if rec.Seq <= prev {
				t.Errorf("%d after %d", rec.Seq, prev)
			}
			prev = rec.Seq
			seen[rec.Seq]++
			part++
		}
		if part == 0 || part == last {
			t.Errorf("a member got %d of %d", part, last)
		}
	}
	if len(seen) != last {
		t.Errorf("%d records of %d", len(seen), last)
	}
}

var errDone = errors.New("done")

func TestEnds(t *testing.T) {
	s := startServer(t, nil)
	c := start(t, s, Config{})
	w := newSender(t, s, "w1")
	w.send(span(1, 5)...)
	read(t, c, "w1 1", "w1 2") // a loop that was left...
	for range c.Records(t.Context()) {
		for _, err := range c.Records(t.Context()) {
			if !errors.Is(err, ErrBusy) {
				t.Errorf("a second iteration: %v", err)
			}
		}
		break
	}
	read(t, c, "w1 4", "w1 5") // ... is taken up again
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	for rec, err := range c.Records(ctx) {
		t.Error(rec, err)
	}
	closing := make(chan struct{})
	go func() { c.Close(); c.Close(); close(closing) }()
	for rec, err := range c.Records(t.Context()) {
		if !errors.Is(err, ErrClosed) { // when Close was first
			t.Error(rec, err)
		}
	}
	<-closing
	n := 0
	for _, err := range c.Records(t.Context()) {
		if n++; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	if n != 1 {
		t.Errorf("%d errors after Close", n)
	}
}

// What was published while the connection was away is told as soon as its run speaks again.
func TestInterruption(t *testing.T) {
	s := startServer(t, nil)
	c := start(t, s, Config{})
	w := newSender(t, s, "w1")
	w.send(1, 2)
	read(t, c, "w1 1", "w1 2")
	d := c.source.(*direct)
	id, err := d.nc.GetClientID()
	if err != nil {
		t.Fatal(err)
	}
	// While it is away for certain, not only as long as it takes to come back.
	d.sub.Unsubscribe()
	if err := d.nc.FlushTimeout(guard); err != nil {
		t.Fatal(err)
	}
	w.send(3, 4)
	if d.sub, err = d.nc.Subscribe("logs.>", d.receive); err != nil {
		t.Fatal(err)
	}
	if err := s.DisconnectClientByID(id); err != nil {
		t.Fatal(err)
	}
	if got := take(t, c, 1); !strings.HasPrefix(got[0], "not connected for ") {
		t.Errorf("%q", got)
	}
	if err := d.nc.FlushTimeout(guard); err != nil {
		t.Fatal(err)
	}
	w.send(5, 6)
	read(t, c, "w1 gap 3-4 missed 2 dropped 0", "w1 5", "w1 6")
}

func TestStartFails(t *testing.T) {
	if _, err := Start(t.Context(), Config{Since: time.Now(), Group: "a.b", Filter: record.Filter{Apps: []string{""}}}); err == nil ||
		!strings.Contains(err.Error(), "LOGBRAID_NATS_URL") || !strings.Contains(err.Error(), "Since") || !strings.Contains(err.Error(), "Group") || !strings.Contains(err.Error(), "Filter.Apps") {
		t.Errorf("%v", err)
	}
	s := startServer(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "w3", Password: "p", Permissions: &server.Permissions{
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_w3.>"}},
		}}}
	})
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	_, err := Start(ctx, Config{NATS: natsconn.Config{URL: s.ClientURL(), User: "w3", Password: "p"}})
	var pe *natsconn.PermissionError
	if !errors.As(err, &pe) || pe.Subject != "logs.>" {
		t.Errorf("%v", err)
	}
	// Without a server it waits, as long as it may.
	waiting, stop := context.WithCancel(t.Context())
	go stop()
	if _, err := Start(waiting, Config{NATS: natsconn.Config{URL: "nats://127.0.0.1:1"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
