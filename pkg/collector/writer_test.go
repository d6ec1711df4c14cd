package collector

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/logbraid/logbraid/pkg/record"
)

func TestBatchesOfOneGroup(t *testing.T) {
	r := newRig(t, t.TempDir(), "json://DIR/app.jsonl")
	a, b := newPublisher("etl", "w1"), newPublisher("etl", "w2")
	a.log(5, record.Info, "l", "a")
	b.log(3, record.Info, "l", "b")
	r.give(a, 1, 3)
	r.give(b, 1, 3)
	r.give(a, 4, 5)
	r.give(a, 4, 5)
	r.step()
	want := []record.Ack{
		{Kind: record.AckCommitted, Run: a.id.Run, Seq: 3}, {Kind: record.AckCommitted, Run: b.id.Run, Seq: 3},
		{Kind: record.AckCommitted, Run: a.id.Run, Seq: 5}, {Kind: record.AckCommitted, Run: a.id.Run, Seq: 5},
	}
	if got := r.answers(); !reflect.DeepEqual(got, want) {
		t.Errorf("answers %+v", got)
	}
	if got, want := r.read("app.jsonl"), a.text(1, 2, 3)+b.text(1, 2, 3)+a.text(4, 5); got != want {
		t.Errorf("file:\n%swant:\n%s", got, want)
	}
	if s := r.stats(); s.Commits != 1 || s.Batches != 3 || s.Duplicates != 2 || s.Written != 8 || s.Handlers[0].Records != 8 {
		t.Errorf("stats %+v", s)
	}
}

func TestRestartKnowsWhatIsWritten(t *testing.T) {
	dir := t.TempDir()
	p := newPublisher("etl", "w1")
	p.log(9, record.Info, "l", "a")
	r := newRig(t, dir, "json://DIR/app.jsonl")
	r.give(p, 1, 6)
	r.step()
	r.close()

	r = newRig(t, dir, "json://DIR/app.jsonl")
	if s := r.stats(); len(s.Runs) != 1 || s.Runs[0].App != "etl" || s.Runs[0].Worker != "w1" || s.Written != 6 {
		t.Errorf("stats after the restart: %+v", s)
	}
	r.give(p, 1, 6) // its answer was lost
	r.give(p, 4, 8) // a drainer batches anew
	r.give(p, 9, 9)
	r.step()
	if got := r.answers(); len(got) != 3 || got[0].Seq != 6 || got[1].Seq != 8 || got[2].Seq != 9 {
		t.Errorf("answers %+v", got)
	}
	if got := r.read("app.jsonl"); got != p.text(1, 2, 3, 4, 5, 6, 7, 8, 9) {
		t.Errorf("file:\n%s", got)
	}
	if s := r.stats(); s.Duplicates != 9 || s.Written != 9 {
		t.Errorf("stats %+v", s)
	}
}

func TestDropsAndLosses(t *testing.T) {
	r := newRig(t, t.TempDir(), "json://DIR/app.jsonl")
	p := newPublisher("etl", "w1")
	p.log(2, record.Info, "l", "a")
	p.drop(3)
	p.log(2, record.Info, "l", "b") // 6, 7
	p.log(4, record.Info, "l", "c") // 8 to 11
	r.give(p, 1, 7)
	r.give(p, 10, 11) // 8 and 9 are gone
	r.step()
	if got := ofRun(r.read("app.jsonl"), p.id.Run); got != p.text(1, 2, 6, 7, 10, 11) {
		t.Errorf("file:\n%s", got)
	}
	s := r.stats()
	if want := (Totals{Logged: 11, Written: 6, Dropped: 3, Lost: 2}); s.Totals != want {
		t.Errorf("totals %+v, want %+v", s.Totals, want)
	}
	// The gap is told where it is.
	lines := strings.Split(r.read("app.jsonl"), "\n")
	var gap struct {
		Msg, Level, Logger, App, Worker, Run string
		LostRun                              string `json:"lost_run"`
		LostWorker                           string `json:"lost_worker"`
		Count, First, Last, Seq              uint64
	}
	if err := json.Unmarshal([]byte(lines[4]), &gap); err != nil {
		t.Fatal(err)
	}
	if gap.Msg != record.MsgLost || gap.Level != "error" || gap.App != ownApp || gap.Worker != ownWorker || gap.Seq != 1 ||
		gap.LostRun != p.id.Run || gap.LostWorker != "w1" || gap.Count != 2 || gap.First != 8 || gap.Last != 9 {
		t.Errorf("gap record: %s", lines[4])
	}
}

// A batch that cannot be taken yet leaves nothing behind.
func TestWant(t *testing.T) {
	r := newRig(t, t.TempDir(), "json://DIR/app.jsonl")
	p := newPublisher("etl", "w1")
	p.log(4, record.Info, "l", "a")
	b, payload := p.batch(3, 4)
	b.Oldest = 1
	r.queue.push(message{subject: p.subject, reply: "r", header: header(b), batch: true, data: payload})
	r.step()
	if got := r.answers(); len(got) != 1 || got[0].Kind != record.AckWant || got[0].Seq != 1 {
		t.Errorf("answers %+v", got)
	}
	if s := r.stats(); s.Wanted != 1 || len(s.Runs) != 0 || s.Commits != 0 || r.read("app.jsonl") != "" {
		t.Errorf("stats %+v", s)
	}
}

// Bad input: nothing of it gets into the log, everything of it is kept aside, counted and answered, and the
// run's progress is untouched.
func TestMessagesThatLie(t *testing.T) {
	p := newPublisher("etl", "w1")
	p.log(2, record.Info, "l", "a")
	p.drop(1)
	p.log(5, record.Info, "l", "a")
	other := newPublisher("etl", "w2")
	other.log(10, record.Info, "l", "b")
	next, nextPayload := p.batch(5, 6)
	sum := func(b record.Batch, payload string) string {
		b.CRC = record.Checksum([]byte(payload))
		return header(b)
	}
	edit := func(f func(b *record.Batch)) string { b := next; f(&b); return header(b) }
	_, foreignPayload := other.batch(5, 6)
	smuggled := string(nextPayload[:len(nextPayload)-1]) + "\r\n"
	fake := strings.Replace(string(nextPayload), `"msg":"a 5"`, `"msg":"a 5"}`+"\n"+`{"level":"info"`, 1)

	for name, m := range map[string]message{
		"no version":             {header: "run=x"},
		"later version":          {header: strings.Replace(header(next), "1 ", "2 ", 1), data: nextPayload},
		"two headers":            {header: header(next) + "\n" + header(next), data: nextPayload},
		"unknown key":            {header: header(next) + " more=1", data: nextPayload},
		"negative count":         {header: strings.Replace(header(next), "count=2", "count=-2", 1), data: nextPayload},
		"huge count":             {header: strings.Replace(header(next), "count=2", "count=4294967298", 1), data: nextPayload},
		"first+count overflows":  {header: strings.Replace(header(next), "last=6", "last=18446744073709551615", 1), data: nextPayload},
		"crc off by one":         {header: edit(func(b *record.Batch) { b.CRC++ }), data: nextPayload},
		"count above lines":      {header: edit(func(b *record.Batch) { b.Last, b.Count = 7, 3 }), data: nextPayload},
		"count below lines":      {header: edit(func(b *record.Batch) { b.Count, b.Dropped = 1, 2 }), data: nextPayload},
		"other seqs":             {header: edit(func(b *record.Batch) { b.First, b.Last, b.Oldest = 6, 7, 6 }), data: nextPayload},
		"empty payload":          {header: sum(next, "")},
		"no last newline":        {header: sum(next, string(nextPayload[:len(nextPayload)-1])), data: nextPayload[:len(nextPayload)-1]},
		"carriage return":        {header: sum(next, smuggled), data: []byte(smuggled)},
		"a line inside a record": {header: sum(next, fake), data: []byte(fake)},
		"another worker's lines": {header: sum(next, string(foreignPayload)), data: foreignPayload},
		"not records":            {header: sum(next, "hello\nworld\n"), data: []byte("hello\nworld\n")},
		"an end with records":    {header: edit(func(b *record.Batch) { b.First, b.Last, b.Count, b.Oldest, b.End = 7, 6, 0, 7, true }), data: nextPayload},
		"another subject":        {subject: "logs.etl.w2", header: header(next), data: nextPayload},
		"no subject of ours":     {subject: "logs.etl", header: header(next), data: nextPayload},
		"fewer drops":            {header: edit(func(b *record.Batch) { b.Dropped = 0 }), data: nextPayload},
		"lines as a block":       {header: edit(func(b *record.Batch) { b.Enc = record.S2 }), data: nextPayload},
		"a block as lines":       {header: header(next), data: s2.Encode(nil, nextPayload)},
		"a torn block":           {header: edit(func(b *record.Batch) { b.Enc = record.S2 }), data: s2.Encode(nil, nextPayload)[:50]},
		"a block of other lines": {header: edit(func(b *record.Batch) { b.Enc = record.S2 }), data: s2.Encode(nil, foreignPayload)},
		"a block of 4 GiB":       {header: edit(func(b *record.Batch) { b.Enc = record.S2 }), data: []byte("\xff\xff\xff\xff\x0f\x00a")},
		"a block of nothing":     {header: edit(func(b *record.Batch) { b.Enc = record.S2 }), data: []byte{0}},
		"another's block":        {subject: "logs.etl.w2", header: edit(func(b *record.Batch) { b.Enc = record.S2 }), data: s2.Encode(nil, nextPayload)},
		"another encoding":       {header: header(next) + " enc=gzip", data: nextPayload},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, t.TempDir(), "json://DIR/app.jsonl")
			r.give(p, 1, 4)
			r.step()
			r.answers()
			before, log := r.table.runs[p.id.Run].now, r.read("app.jsonl")

			if m.subject == "" {
				m.subject = p.subject
			}
			m.batch, m.reply = true, "r"
			r.queue.push(m)
			r.step()
			if got := r.answers(); len(got) != 1 || got[0].Kind != record.AckReject || got[0].Reason == "" {
				t.Errorf("answers %+v", got)
			}
			if now := r.table.runs[p.id.Run].now; now != before || len(r.table.runs) != 2 {
				t.Errorf("progress %+v became %+v, %d runs", before, now, len(r.table.runs))
			}
			if got := r.read("app.jsonl"); got != log {
				t.Errorf("the log has it:\n%s", got)
			}
			var kept struct{ Time, Subject, Reason, Header, Payload string }
			if err := json.Unmarshal([]byte(r.read("rejected.jsonl")), &kept); err != nil {
				t.Fatalf("rejected.jsonl: %v\n%s", err, r.read("rejected.jsonl"))
			}
			payload := m.data // a block is kept as its lines
			if lines, err := s2.Decode(nil, m.data); err == nil && strings.Contains(m.header, "enc=s2") {
				payload = lines
			}
			if kept.Subject != m.subject || kept.Header != m.header || kept.Payload != string([]rune(string(payload))) || kept.Reason == "" {
				t.Errorf("kept %+v", kept)
			}
			if s := r.stats(); s.Rejected != 1 {
				t.Errorf("stats %+v", s)
			}
			// Who is wronged goes on.
			r.give(p, 5, 6)
			r.step()
			if got := r.answers(); len(got) != 1 || got[0].Kind != record.AckCommitted || got[0].Seq != 6 {
				t.Errorf("the true batch: %+v", got)
			}
		})
	}
}

// Batches that are compressed are written as those that are not, whatever stands between them, to handlers of each kind: to one, too,
// that reads the lines of several batches while others are being decoded. A commit takes in no more of them than of others.
func TestCompressed(t *testing.T) {
	r := newRig(t, t.TempDir(), "json://DIR/app.jsonl", "file://DIR/app.log", "json://DIR/by/{logger}.jsonl")
	p, other := newPublisher("etl", "w1"), newPublisher("etl", "w2")
	const batches, each = 12, 3000
	var all, others []uint64
	var text []string
	for i := range uint64(batches) {
		p.log(each, record.Info, "l", strings.Repeat("m", 200))
		other.log(1, record.Info, "l", "between")
		first := i*each + 1
		r.giveBlock(p, first, first+each-1)
		r.give(other, i+1, i+1)
		for seq := first; seq < first+each; seq++ {
			all = append(all, seq)
			text = append(text, fmt.Sprint("mm ", seq))
		}
		others = append(others, i+1)
		text = append(text, fmt.Sprint("between ", i+1))
	}
	groups := 0
	for messages, _, _ := r.queue.size(); messages > 0; messages, _, _ = r.queue.size() {
		r.step()
		groups++
	}
	if total := len(p.text(all...)); groups <= total/maxGroup {
		t.Errorf("%d bytes in %d groups", total, groups)
	}
	for _, name := range []string{"app.jsonl", "by/l.jsonl"} {
		if text := r.read(name); ofRun(text, p.id.Run) != p.text(all...) || ofRun(text, other.id.Run) != other.text(others...) {
			t.Errorf("%s: %d bytes", name, len(text))
		}
	}
	n := 0
	for line := range strings.Lines(r.read("app.log")) {
		if n == len(text) || !strings.HasSuffix(line, text[n]+"\n") {
			t.Fatalf("app.log has, as line %d: %s", n+1, line)
		}
		n++
	}
	if s := r.stats(); n != len(text) || s.Rejected != 0 || len(r.answers()) != 2*batches {
		t.Errorf("%d lines, stats %+v", n, s)
	}
}

// What a block claims to be counts where it is decoded, and not as memory where it waits.
func TestClaimsTakeNoRoom(t *testing.T) {
	q := newQueue(1 << 20)
	for range 100 {
		q.push(message{subject: "logs.a.w", data: make([]byte, 1000), lines: 200_000})
	}
	if messages, bytes, lost := q.size(); messages != 100 || bytes > 200_000 || lost.foreign != 0 {
		t.Errorf("%d wait with %d bytes, lost %+v", messages, bytes, lost)
	}
	for left := 100; left > 0; {
		taken := len(q.take(nil, 1_000_000))
		if left -= taken; taken != 4 {
			t.Fatalf("%d were taken, %d left", taken, left)
		}
	}
	if _, bytes, _ := q.size(); bytes != 0 {
		t.Errorf("%d bytes wait when nothing does", bytes)
	}
}

func TestRejectedPayloadIsCut(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.queue.push(message{subject: "logs.a.b", header: strings.Repeat("h", 1<<20), batch: true, data: make([]byte, 1<<20)})
	r.step()
	if n := len(r.read("rejected.jsonl")); n > 8*maxRejectedPayload {
		t.Errorf("%d bytes", n)
	}
}

func TestForeign(t *testing.T) {
	r := newRig(t, t.TempDir(), "json://DIR/app.jsonl")
	for _, m := range []struct{ subject, payload string }{
		{"logs.etl.x", `{"msg":"hi","rows":3,"level":"warn"}`},
		{"logs.etl.x", "plain\ntext"},
		{"logs.etl.x", ""},
		{"logs.etl.my%20host", "escaped"},
		{"logs.etl.my:host", "not escaped"},
		{"logs.lonely", "one token"},
		{"logs.a.b.c", "three"},
		{"logs.etl.x", `{"app":"forged","worker":"forged","run":"forged","seq":99,"foreign":false,"time":"2020-01-02T03:04:05Z"}`},
		{"logs.etl.x", "\x1b[2J\xff\x00"},
	} {
		r.giveForeign(m.subject, m.payload)
	}
	r.step()
	type foreign struct {
		Msg, Level, App, Worker, Run string
		Seq                          uint64
		Rows                         int
		Foreign                      bool
	}
	var got []foreign
	for line := range strings.SplitSeq(strings.TrimSuffix(r.read("app.jsonl"), "\n"), "\n") {
		var f foreign
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if err := record.Valid([]byte(line)); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		got = append(got, f)
	}
	if len(got) != 9 {
		t.Fatalf("%d records", len(got))
	}
	x, host, colon, lonely, abc := got[0].Run, got[3].Run, got[4].Run, got[5].Run, got[6].Run
	want := []foreign{
		{"hi", "warn", "etl", "x", x, 1, 3, true},
		{"plain\ntext", "info", "etl", "x", x, 2, 0, true},
		{"", "info", "etl", "x", x, 3, 0, true},
		{"escaped", "info", "etl", "my host", host, 1, 0, true},
		{"not escaped", "info", "etl", "my:host", colon, 1, 0, true},
		{"one token", "info", "lonely", "", lonely, 1, 0, true},
		{"three", "info", "a", "b.c", abc, 1, 0, true},
		{"", "info", "etl", "x", x, 4, 0, true},
		{got[8].Msg, "info", "etl", "x", x, 5, 0, true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if s := r.stats(); s.Foreign != 9 || len(s.Runs) != 0 || s.Logged != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Who invents a subject for every message makes neither the collector's memory nor its table grow.
func TestForeignSubjectsAreBounded(t *testing.T) {
	r := newRig(t, t.TempDir(), "json://DIR/app.jsonl")
	for i := range 3 * maxStrangers {
		r.giveForeign(fmt.Sprintf("logs.a.w%d", i), "x")
	}
	r.step()
	if len(r.strangers) > maxStrangers || len(r.table.runs) > maxStrangers+1 {
		t.Errorf("%d strangers, %d runs", len(r.strangers), len(r.table.runs))
	}
	if n := strings.Count(r.read("app.jsonl"), "\n"); n != 3*maxStrangers {
		t.Errorf("%d records", n)
	}
}

// What nobody sends again and nobody could take is told in the log.
func TestForeignMessagesThatAreLost(t *testing.T) {
	r := newRigWith(t, Config{Dir: t.TempDir(), Handlers: []string{"json://DIR/app.jsonl"}, Backlog: 10_000})
	for range 100 {
		r.giveForeign("logs.etl.x", strings.Repeat("m", 1000))
	}
	r.look()
	r.step()
	r.look() // told once
	r.step()
	s := r.stats()
	text := r.read("app.jsonl")
	if s.ForeignLost == 0 || s.Foreign+s.ForeignLost != 100 || strings.Count(text, "foreign messages lost") != 1 || !strings.Contains(text, fmt.Sprintf(`"count":%d`, s.ForeignLost)) {
		t.Errorf("stats %+v, file:\n%s", s, text)
	}
}

// One group takes so much and no more, so that nobody waits long behind a flood.
func TestGroupIsBounded(t *testing.T) {
	r := newRig(t, t.TempDir(), "json://DIR/app.jsonl")
	p := newPublisher("etl", "w1")
	p.log(1, record.Info, "l", strings.Repeat("x", 200<<10))
	for range 100 {
		r.give(p, 1, 1)
	}
	r.step()
	if n := len(r.answers()); n < 30 || n > 50 {
		t.Errorf("%d messages of 200 KiB in one group", n)
	}
}

// Every line of a run comes in order, whatever the groups, and what was dropped in the middle shows as
// nothing but a hole.
func TestManyPublishers(t *testing.T) {
	r := newRig(t, t.TempDir(), "json://DIR/app.jsonl", "file://DIR/app.log")
	var publishers []*publisher
	for i := range 20 {
		p := newPublisher("etl", fmt.Sprint("w", i))
		p.log(50, record.Info, "l", "m")
		publishers = append(publishers, p)
	}
	for first := uint64(1); first <= 50; first += 10 {
		for i, p := range publishers {
			r.give(p, first, first+9)
			if i%3 == 0 {
				r.step()
			}
		}
	}
	r.step()
	text := r.read("app.jsonl")
	for _, p := range publishers {
		if got := ofRun(text, p.id.Run); got != p.text(slices.Collect(seqs(1, 50))...) {
			t.Fatalf("%s:\n%s", p.id.Worker, got)
		}
	}
	if n := strings.Count(r.read("app.log"), "\n"); n != 1000 {
		t.Errorf("%d lines of text", n)
	}
}

func seqs(first, last uint64) func(yield func(uint64) bool) {
	return func(yield func(uint64) bool) {
		for s := first; s <= last && yield(s); s++ {
		}
	}
}
